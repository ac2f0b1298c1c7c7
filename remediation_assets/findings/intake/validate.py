"""Validate rows: the one statement that parses a CSV, and the reasons for which it rejects a row.

What makes two valid rows the same finding is in `identity`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from remediation_assets.findings.identity import FINDING_KEY_SQL
from remediation_assets.findings.source_context import SourceContext
from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.models import FindingCategory, Severity

from .csv_header import MUST_BE_FILLED

RULES_VERSION = 2
"""Increase it when the same file gives other rows than before; files that were read are then read again."""

# A host and at least an owner and a name; a pull request counts only below it.
REPOSITORY = r"^https://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?(?:/[A-Za-z0-9._~%+-]+){2,}$"

# One that needs no cleaning: no port, no capitals in the host, no escapes.
PLAIN_REPOSITORY = r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._~+-]+){2,}"

# Hosts that exist on no network (RFC 2606, RFC 6761); sessions are dispatched to them only in mock mode.
RESERVED_HOST = r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost)$"


class Reason(StrEnum):
    """Why a row is rejected, in words for a person; a row has the first reason that applies."""

    MISSING = "missing required field"
    CATEGORY = "unknown category"
    SEVERITY = "unknown severity"
    LINE = "bad line number"
    REPOSITORY = "not the https URL of a repository"
    EXAMPLE_HOST = "repository is on an example host"
    HOST = "repository host is not in ALLOWED_REPO_HOSTS"
    PATH = "not a path in the repository"
    MALFORMED = "malformed row"


@dataclass(frozen=True)
class Rules:
    """What rows depend on besides the content of the file: which repository hosts are valid, and the source context."""

    allow_reserved_hosts: bool
    allowed_hosts: tuple[str, ...] = ()
    source_context: SourceContext = field(default_factory=SourceContext)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the rules; a file that was read by other rules is read again."""
        written = json.dumps(
            [RULES_VERSION, self.allow_reserved_hosts, sorted(self.allowed_hosts), self.source_context.fingerprint]
        )
        return hashlib.sha256(written.encode()).hexdigest()[:12]


def validation_sql(by_name: Mapping[str, str], columns: Sequence[str]) -> str:
    """Return the statement that parses and validates all rows in one pass, into the table `validated`.

    Each row has its fields converted to their types, and either its finding key or the first reason to reject it.
    `by_name` maps a finding's field to the name of the file's column that holds it.
    """
    texts = ", ".join(
        f"{_TRIMMED.format(by_name[name])} AS {name}" if name in by_name else f"NULL::VARCHAR AS {name}"
        for name in FINDING_COLUMNS
    )
    line_breaks = " + ".join(
        f"CASE WHEN contains({name}, chr(10)) THEN length({name}) - length(replace({name}, chr(10), '')) ELSE 0 END"
        for name in columns
    )
    return f"""
        CREATE TABLE validated AS
        WITH texts AS (SELECT {texts}, {line_breaks} AS line_breaks FROM {_READ_CSV}),
        {_CLEANED},
        {_REASONED},
        {_TYPED}
        SELECT CASE WHEN reason IS NULL THEN {FINDING_KEY_SQL} END AS finding_key, {", ".join(FINDING_COLUMNS)},
            reason, raw, line_breaks
        FROM typed
        """


def rule_parameters(rules: Rules) -> dict[str, Any]:
    """Return the parameters of the validation statement, those that depend on the rules."""
    return {
        "categories": [str(member) for member in FindingCategory],
        "severities": [str(member) for member in Severity],
        "allow_reserved": rules.allow_reserved_hosts,
        "reserved": RESERVED_HOST,
        "repository": REPOSITORY,
        "plain_repository": PLAIN_REPOSITORY,
        "hosts": [host.lower() for host in rules.allowed_hosts],
    }


# What sorts before `!` in ASCII is a blank or a control character. Trimming is slow, and few values need it.
_TRIMMED = """
CASE WHEN {0} < '!' OR suffix({0}, ' ') OR suffix({0}, chr(9)) OR suffix({0}, chr(10)) OR suffix({0}, chr(13))
    THEN nullif(trim({0}, chr(9) || chr(10) || chr(13) || ' '), '') ELSE {0} END"""

# No detection: the table was sniffed before, and DuckDB might decide otherwise from rows further down.
_READ_CSV = """
read_csv($path, columns = $columns, header = true, auto_detect = false, delim = $delimiter, quote = '"', escape = '"',
    null_padding = false, store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size,
    buffer_size = $buffer_size)"""

_CLEANED = r"""
        seen AS (
            -- Nearly all addresses need no cleaning, which one test shows; cleaning takes five.
            SELECT *, regexp_full_match(repo_url, $plain_repository) AND NOT contains(repo_url, '/.')
                AND NOT suffix(repo_url, '.git') AS is_plain
            FROM texts),
        cleaned AS (
            SELECT *, lower(category) AS clean_category, lower(severity) AS clean_severity,
                CASE WHEN contains(file_path, '\') OR starts_with(file_path, './')
                    THEN regexp_replace(replace(file_path, '\', '/'), '^(\./+)+', '') ELSE file_path END AS clean_path,
                CASE WHEN is_plain THEN repo_url ELSE regexp_replace(repo_url, '/*(\.git)?/*$', '') END AS clean_repo
            FROM seen),
        hosted AS (
            SELECT *,
                CASE WHEN is_plain THEN split_part(repo_url, '/', 3)
                    -- Real addresses escape nothing but a blank; an escaped dot would lead to another repository.
                    WHEN NOT regexp_matches(replace(clean_repo, '%20', ''), '/\.\.?(/|$)|%')
                    AND coalesce(try_cast(regexp_extract(clean_repo, '//[^/]+:(\d+)', 1) AS INTEGER), 443) <= 65535
                    THEN lower(regexp_extract(clean_repo, $repository, 1)) END AS host
            FROM cleaned)""".strip()

_MISSING = " ".join(f"WHEN {name} IS NULL THEN '{Reason.MISSING} {name}'" for name in MUST_BE_FILLED)

_REASONED = rf"""
        reasoned AS (
            SELECT *,
                CASE {_MISSING}
                    WHEN clean_category NOT IN $categories THEN '{Reason.CATEGORY}'
                    WHEN clean_severity NOT IN $severities THEN '{Reason.SEVERITY}'
                    WHEN NOT regexp_full_match(line_number, '[0-9]{{1,9}}') OR try_cast(line_number AS BIGINT) = 0
                        THEN '{Reason.LINE}'
                    WHEN host = '' OR host IS NULL THEN '{Reason.REPOSITORY}'
                    WHEN NOT $allow_reserved AND regexp_matches(host, $reserved) THEN '{Reason.EXAMPLE_HOST}'
                    -- From the root of a machine or of a drive, or out of the repository. The cheap tests come first,
                    -- for nearly every path passes them.
                    WHEN (starts_with(clean_path, '/') OR starts_with(clean_path, '~') OR contains(clean_path, ':')
                            OR contains(clean_path, '..'))
                        AND regexp_matches(clean_path,
                            '^(/|~|[A-Za-z]:|(?i:file):|[A-Za-z][A-Za-z0-9+.-]*:[/:])|(^|/)\.\.(/|$)')
                        THEN '{Reason.PATH}'
                    WHEN len($hosts) > 0 AND NOT list_contains($hosts, host) THEN '{Reason.HOST}'
                END AS reason
            FROM hosted)""".strip()

_VALUES = {
    "category": "clean_category",
    "severity": "clean_severity",
    "description": "coalesce(description, '')",
    "file_path": "clean_path",
    "repo_url": "CASE WHEN is_plain THEN repo_url ELSE 'https://'"
    " || regexp_replace(lower(regexp_extract(clean_repo, '//([^/]+)', 1)), ':443$', '')"
    " || regexp_extract(clean_repo, '//[^/]+(/.*)', 1) END",
}

_CASTS = ", ".join(f"TRY_CAST({_VALUES.get(name, name)} AS {kind}) AS {name}" for name, kind in FINDING_COLUMNS.items())
_PACKED = ", ".join(f"{name} := {name}" for name in FINDING_COLUMNS)

# `raw` is the row as it came, for a person who looks at what was rejected.
_TYPED = f"""
        typed AS (
            SELECT {_CASTS}, reason, line_breaks,
                CASE WHEN reason IS NOT NULL THEN CAST(to_json(struct_pack({_PACKED})) AS VARCHAR) END AS raw
            FROM reasoned)""".strip()
