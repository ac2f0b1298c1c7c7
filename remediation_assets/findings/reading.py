"""A findings file, parsed and validated in a staging database of its own.

Nothing here touches the ledger: parsing takes as long as the file is large, the ledger's lock is
held for milliseconds.
"""

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.models import FindingCategory, Severity

from .errors import FindingsFileChanged, FindingsFileError
from .header import MUST_BE_FILLED, NotUtf8, Table, clean_name, read_header
from .identity import FINDING_KEY_SQL
from .locating import Shape, locate_rejected_rows
from .plain_text import is_windows_1252, plain_utf_8, recoded

RULES_VERSION = 1
"""Raised whenever rows come to be read otherwise than before."""

MEMORY_LIMIT = "400MB"
"""What DuckDB may hold of a file while it is parsed and brought in; more goes to the disk."""

GUESSED = "cp1252"

MAX_LINE_BYTES = 16 * 1024 * 1024

# A host and at least an owner and a name; a pull request counts only below it.
REPOSITORY = r"^https://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?(?:/[A-Za-z0-9._~%+-]+){2,}$"

# One that needs nothing made plain: no port, no capitals in the host, no escapes.
PLAIN_REPOSITORY = r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._~+-]+){2,}"

# Hosts that exist on no network (RFC 2606, RFC 6761); only mock mode dispatches to them.
RESERVED_HOST = r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost)$"


class Reason(StrEnum):
    """Why a row is set aside, in words for a person; a row has the first that fits."""

    MISSING = "missing required field"
    CATEGORY = "unknown category"
    SEVERITY = "unknown severity"
    LINE = "bad line number"
    REPOSITORY = "not the https URL of a repository"
    EXAMPLE_HOST = "repository is on an example host"
    HOST = "repository host is not allowed"
    MALFORMED = "malformed row"


@dataclass(frozen=True)
class Rules:
    """What a file is read by besides its content: the hosts whose repositories count."""

    allow_reserved_hosts: bool
    allowed_hosts: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Tell these rules from others: a file that was read by others is read again."""
        written = json.dumps([RULES_VERSION, self.allow_reserved_hosts, sorted(self.allowed_hosts)])
        return hashlib.sha256(written.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class StagedScan:
    """A parsed file: where its staging database is, and its counts."""

    path: Path
    source: str
    content_hash: str
    rules: str
    rows_in: int
    accepted: int
    set_aside: int
    ignored_columns: tuple[str, ...]
    encoding_guessed: bool
    """Whether it was taken for Windows-1252 because it is not UTF-8 and nothing in it tells."""


def stage(source: Path, staging: Path, rules: Rules) -> StagedScan:
    """Parse the CSV file `source` into `staging`: `accepted` and `rejected`; the folder around it serves for copies.

    Raises FindingsFileError where the file as a whole is not a findings file, and FindingsFileChanged
    where it was written to meanwhile.
    """
    plain = plain_utf_8(source, staging.parent)
    before = _look_of(source)
    guessed = False
    try:
        table = read_header(source, plain)
    except NotUtf8:
        if not is_windows_1252(plain):
            raise
        plain, guessed = recoded(plain, staging.parent, GUESSED, source), True
        table = read_header(source, plain)
    connection = _read(source, plain, staging, table, rules)
    if _has_broken_encoding(connection) and is_windows_1252(plain):
        connection.close()
        plain, guessed = recoded(plain, staging.parent, GUESSED, source), True
        connection = _read(source, plain, staging, table, rules)
    try:
        _set_aside(connection)
        shape = Shape(table.lines, len(table.header), table.delimiter, MAX_LINE_BYTES)
        locate_rejected_rows(connection, plain, shape, source)
        [(accepted, set_aside)] = connection.execute(
            "SELECT (SELECT count(*) FROM judged WHERE reason IS NULL), (SELECT count(*) FROM rejected)"
        ).fetchall()
    finally:
        connection.close()
    content_hash = hash_of(source)
    if _look_of(source) != before:
        raise FindingsFileChanged(f"{source} changed while it was read; read it again when it is complete.")
    return StagedScan(
        path=staging,
        source=str(source),
        content_hash=content_hash,
        rules=rules.fingerprint,
        rows_in=accepted + set_aside,
        accepted=accepted,
        set_aside=set_aside,
        ignored_columns=tuple(name for name in table.header if clean_name(name) not in FINDING_COLUMNS),
        encoding_guessed=guessed,
    )


def _read(source: Path, plain: Path, staging: Path, table: Table, rules: Rules) -> DuckDBPyConnection:
    """Load every row, judged, into a new staging database; rows with a wrong number of fields into reject tables."""
    staging.unlink(missing_ok=True)
    connection = duckdb.connect(str(staging), config={"memory_limit": MEMORY_LIMIT})
    # It is read once and thrown away, so it is not worth the time that compressing it takes.
    connection.execute("SET force_compression = 'uncompressed'")
    # Positional names: a header may hold anything, and an identifier never comes from data.
    columns = {f"c{index}": "VARCHAR" for index in range(len(table.header))}
    by_name = {clean_name(name): f"c{index}" for index, name in enumerate(table.header)}
    file = {
        "path": _as_pattern(plain),
        "columns": columns,
        "delimiter": table.delimiter,
        "max_line_size": MAX_LINE_BYTES,
        "buffer_size": 2 * MAX_LINE_BYTES,
    }
    try:
        connection.execute(_judging(by_name, list(columns)), file | _rule_values(rules))
    except duckdb.Error as error:
        connection.close()
        reason = str(error).splitlines()[0]
        raise FindingsFileError(
            f"{source} cannot be read as CSV ({reason.rstrip('.')}); save it again as CSV in UTF-8."
        ) from None
    return connection


def _has_broken_encoding(connection: DuckDBPyConnection) -> bool:
    found = connection.execute("SELECT 1 FROM reject_errors WHERE error_type = 'INVALID ENCODING' LIMIT 1")
    return found.fetchone() is not None


def _as_pattern(source: Path) -> str:
    """Give the glob pattern that only this path matches, for DuckDB takes any path as a pattern."""
    if "\\" in str(source) and glob.has_magic(str(source)):
        raise FindingsFileError(f"{source} has a backslash and one of *?[ in its name; rename it.")
    return glob.escape(str(source))


# What stands before `!` in ASCII is a blank or a control; trimming is slow, and few values need it.
_TRIMMED = """
CASE WHEN {0} < '!' OR suffix({0}, ' ') OR suffix({0}, chr(9)) OR suffix({0}, chr(10)) OR suffix({0}, chr(13))
    THEN nullif(trim({0}, chr(9) || chr(10) || chr(13) || ' '), '') ELSE {0} END"""


_READ_CSV = """
read_csv($path, columns = $columns, header = true, auto_detect = false, delim = $delimiter, quote = '"', escape = '"',
    null_padding = false, store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size,
    buffer_size = $buffer_size)"""


def _judging(by_name: Mapping[str, str], columns: Sequence[str]) -> str:
    """Write the statement that reads and judges all rows in one pass: types, key and the first reason against each.

    `by_name` tells in which of the file's `columns` each of ours stands.
    """
    texts = ", ".join(
        f"{_TRIMMED.format(by_name[name])} AS {name}" if name in by_name else f"NULL::VARCHAR AS {name}"
        for name in FINDING_COLUMNS
    )
    line_breaks = " + ".join(
        f"CASE WHEN contains({name}, chr(10)) THEN length({name}) - length(replace({name}, chr(10), '')) ELSE 0 END"
        for name in columns
    )
    missing = " ".join(f"WHEN {name} IS NULL THEN '{Reason.MISSING} {name}'" for name in MUST_BE_FILLED)
    cleaned = {
        "category": "clean_category",
        "severity": "clean_severity",
        "description": "coalesce(description, '')",
        "repo_url": "CASE WHEN is_plain THEN repo_url ELSE 'https://'"
        " || regexp_replace(lower(regexp_extract(clean_repo, '//([^/]+)', 1)), ':443$', '')"
        " || regexp_extract(clean_repo, '//[^/]+(/.*)', 1) END",
    }
    typed = ", ".join(
        f"TRY_CAST({cleaned.get(name, name)} AS {kind}) AS {name}" for name, kind in FINDING_COLUMNS.items()
    )
    packed = ", ".join(f"{name} := {name}" for name in FINDING_COLUMNS)
    names = ", ".join(FINDING_COLUMNS)
    return rf"""
        CREATE TABLE judged AS
        WITH texts AS (SELECT {texts}, {line_breaks} AS line_breaks FROM {_READ_CSV}),
        seen AS (
            -- Nearly all addresses are as they should be, which one look tells; the others take five.
            SELECT *, regexp_full_match(repo_url, $plain_repository) AND NOT contains(repo_url, '/.')
                AND NOT suffix(repo_url, '.git') AS is_plain
            FROM texts),
        cleaned AS (
            SELECT *, lower(category) AS clean_category, lower(severity) AS clean_severity,
                CASE WHEN is_plain THEN repo_url ELSE regexp_replace(repo_url, '/*(\.git)?/*$', '') END AS clean_repo
            FROM seen),
        hosted AS (
            SELECT *,
                CASE WHEN is_plain THEN split_part(repo_url, '/', 3)
                    -- Of escapes only a blank is known from real addresses; dots would lead elsewhere.
                    WHEN NOT regexp_matches(replace(clean_repo, '%20', ''), '/\.\.?(/|$)|%')
                    AND coalesce(try_cast(regexp_extract(clean_repo, '//[^/]+:(\d+)', 1) AS INTEGER), 443) <= 65535
                    THEN lower(regexp_extract(clean_repo, $repository, 1)) END AS host
            FROM cleaned),
        reasoned AS (
            SELECT *,
                CASE {missing}
                    WHEN clean_category NOT IN $categories THEN '{Reason.CATEGORY}'
                    WHEN clean_severity NOT IN $severities THEN '{Reason.SEVERITY}'
                    WHEN NOT regexp_full_match(line_number, '[0-9]{{1,9}}') OR try_cast(line_number AS BIGINT) = 0
                        THEN '{Reason.LINE}'
                    WHEN host = '' OR host IS NULL THEN '{Reason.REPOSITORY}'
                    WHEN NOT $allow_reserved AND regexp_matches(host, $reserved) THEN '{Reason.EXAMPLE_HOST}'
                    WHEN len($hosts) > 0 AND NOT list_contains($hosts, host) THEN '{Reason.HOST}'
                END AS reason
            FROM hosted),
        typed AS (
            SELECT {typed}, reason, line_breaks,
                CASE WHEN reason IS NOT NULL THEN CAST(to_json(struct_pack({packed})) AS VARCHAR) END AS raw
            FROM reasoned)
        SELECT CASE WHEN reason IS NULL THEN {FINDING_KEY_SQL} END AS finding_key, {names}, reason, raw, line_breaks
        FROM typed
        """


def _rule_values(rules: Rules) -> dict[str, Any]:
    return {
        "categories": [str(member) for member in FindingCategory],
        "severities": [str(member) for member in Severity],
        "allow_reserved": rules.allow_reserved_hosts,
        "reserved": RESERVED_HOST,
        "repository": REPOSITORY,
        "plain_repository": PLAIN_REPOSITORY,
        "hosts": [host.lower() for host in rules.allowed_hosts],
    }


def _set_aside(connection: DuckDBPyConnection) -> None:
    """Split what was read into `accepted` and `rejected`; the number of a row is its place in the file."""
    names = ", ".join(FINDING_COLUMNS)
    connection.execute(
        f"""
        CREATE VIEW accepted AS
        SELECT rowid + 1 AS row_number, finding_key, {names} FROM judged WHERE reason IS NULL
        """
    )
    connection.execute(
        """
        CREATE TABLE rejected AS
        SELECT rowid + 1 AS row_number, NULL::BIGINT AS record_number, NULL::BIGINT AS line_number,
            json_extract_string(raw, '$.finding_id') AS finding_id, reason, raw
        FROM judged WHERE reason IS NOT NULL
        """
    )
    # What DuckDB calls a line counts records: a quoted line break is not a new one, a blank line is.
    connection.execute(
        f"""
        INSERT INTO rejected
        SELECT NULL, line, NULL, NULL,
            '{Reason.MALFORMED}: ' || lower(replace(CAST(any_value(error_type) AS VARCHAR), '_', ' ')),
            ltrim(any_value(csv_line), chr(10) || chr(13))
        FROM reject_errors
        GROUP BY line
        """
    )


def _look_of(source: Path) -> tuple[int, int, int]:
    """Give what shows that a file was replaced or written to."""
    found = source.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def hash_of(source: Path) -> str:
    """Give the SHA-256 of a file's content, as a scan records it."""
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
