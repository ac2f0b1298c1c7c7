"""A findings file, parsed and validated in a staging database of its own.

Nothing here touches the ledger: parsing takes as long as the file is large, the ledger's lock is
held for milliseconds.
"""

import csv
import glob
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.models import Finding, FindingCategory, Severity

from .errors import FindingsFileChanged, FindingsFileError
from .identity import FINDING_KEY_SQL
from .locating import locate_rejected_rows

# An empty description tells nothing wrong about a finding; any other required field must say something.
REQUIRED = [name for name, field in Finding.model_fields.items() if field.is_required()]
MUST_BE_FILLED = [name for name in REQUIRED if name != "description"]

MAX_LINE_BYTES = 16 * 1024 * 1024

# A host and at least an owner and a name; a pull request counts only below it.
REPOSITORY = r"^https://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?(?:/[A-Za-z0-9._~%+-]+){2,}$"

# Hosts that exist on no network (RFC 2606, RFC 6761); only mock mode dispatches to them.
RESERVED_HOST = r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost)$"


@dataclass(frozen=True)
class StagedScan:
    """A parsed file: where its staging database is, and its counts."""

    path: Path
    source: str
    content_hash: str
    rows_in: int
    accepted: int
    set_aside: int
    ignored_columns: tuple[str, ...]


def stage(
    source: Path, staging: Path, *, allow_reserved_hosts: bool, allowed_hosts: tuple[str, ...] = ()
) -> StagedScan:
    """Parse the CSV file `source` into `staging`: tables `accepted` and `rejected`.

    Raises FindingsFileError where the file as a whole is not a findings file.
    """
    header = _read_header(source)
    before = _look_of(source)
    staging.unlink(missing_ok=True)
    connection = duckdb.connect(str(staging))
    try:
        _load_text(connection, source, header)
        _judge_rows(connection, allow_reserved_hosts, allowed_hosts)
        locate_rejected_rows(connection, source, width=len(header), longest=MAX_LINE_BYTES)
        accepted, set_aside = connection.execute(
            "SELECT (SELECT count(*) FROM accepted), (SELECT count(*) FROM rejected)"
        ).fetchone() or (0, 0)
    finally:
        connection.close()
    content_hash = hash_of(source)
    if _look_of(source) != before:
        raise FindingsFileChanged(f"{source} changed while it was read; read it again when it is complete.")
    return StagedScan(
        path=staging,
        source=str(source),
        content_hash=content_hash,
        rows_in=accepted + set_aside,
        accepted=accepted,
        set_aside=set_aside,
        ignored_columns=tuple(name for name in header if _clean_name(name) not in FINDING_COLUMNS),
    )


def _read_header(source: Path) -> list[str]:
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise FindingsFileError("The findings file's name is not UTF-8; rename it.") from None
    expected = f"expected a CSV file in UTF-8 whose first line names at least: {', '.join(REQUIRED)}"
    try:
        # A pipe can be read only once, and opening one without a writer waits for ever.
        if stat.S_ISFIFO(source.stat().st_mode) or source.is_char_device() or source.is_socket():
            raise FindingsFileError(f"{source} is not a regular file; save it as a file and give its path.")
        with open(source, encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except FileNotFoundError:
        raise FindingsFileError(f"{source} does not exist; give the path of a findings file.") from None
    except IsADirectoryError:
        raise FindingsFileError(f"{source} is a folder; give the path of one CSV file.") from None
    except OSError as error:
        raise FindingsFileError(f"{source} cannot be read ({error.strerror}); give a file you may read.") from None
    except (UnicodeDecodeError, csv.Error):
        raise FindingsFileError(f"{source} is not a CSV file in UTF-8; {expected}.") from None
    if not header and source.stat().st_size > 0:
        raise FindingsFileError(f"{source} begins with a blank line; remove it.")
    if not header:
        raise FindingsFileError(f"{source} is empty; {expected}.")
    names = [_clean_name(name) for name in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise FindingsFileError(f"{source} has no column {', '.join(missing)}; {expected}.")
    twice = sorted({name for name in names if name in FINDING_COLUMNS and names.count(name) > 1})
    if twice:
        raise FindingsFileError(f"{source} has the column {', '.join(twice)} twice; keep one of each.")
    return header


def _clean_name(name: str) -> str:
    return name.strip().lower()


def _load_text(connection: DuckDBPyConnection, source: Path, header: list[str]) -> None:
    """Load every row as text; rows with too many or too few fields go to DuckDB's reject tables."""
    # Positional names: a header may hold anything, and an identifier never comes from data.
    columns = {f"c{index}": "VARCHAR" for index in range(len(header))}
    try:
        connection.execute(
            """
            CREATE TEMP TABLE raw AS
            SELECT * FROM read_csv($path, columns = $columns, header = true, auto_detect = false, delim = ',',
                quote = '"', escape = '"', null_padding = false, store_rejects = true, rejects_limit = 0,
                max_line_size = $max_line_size)
            """,
            {"path": _as_pattern(source), "columns": columns, "max_line_size": MAX_LINE_BYTES},
        )
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise FindingsFileError(
            f"{source} cannot be read as CSV ({reason.rstrip('.')}); save it again as CSV in UTF-8."
        ) from None
    by_name = {_clean_name(name): f"c{index}" for index, name in enumerate(header)}
    blanks = "chr(9) || chr(10) || chr(13) || ' '"
    picked = ", ".join(
        f"nullif(trim({by_name[name]}, {blanks}), '') AS {name}" if name in by_name else f"NULL::VARCHAR AS {name}"
        for name in FINDING_COLUMNS
    )
    connection.execute(f"CREATE TEMP TABLE texts AS SELECT rowid + 1 AS row_number, {picked} FROM raw")


def _as_pattern(source: Path) -> str:
    """Give the glob pattern that only this path matches, for DuckDB takes any path as a pattern."""
    if "\\" in str(source) and glob.has_magic(str(source)):
        raise FindingsFileError(f"{source} has a backslash and one of *?[ in its name; rename it.")
    return glob.escape(str(source))


def _judge_rows(connection: DuckDBPyConnection, allow_reserved_hosts: bool, allowed_hosts: tuple[str, ...]) -> None:
    """Split the rows into `accepted`, with types and key, and `rejected`, with the first reason found."""
    categories, severities = (tuple(str(member) for member in enum) for enum in (FindingCategory, Severity))
    missing = " ".join(f"WHEN {name} IS NULL THEN 'missing required field {name}'" for name in MUST_BE_FILLED)
    connection.execute(
        rf"""
        CREATE TEMP TABLE judged AS
        WITH cleaned AS (
            SELECT * REPLACE (
                lower(category) AS category, lower(severity) AS severity, coalesce(description, '') AS description,
                regexp_replace(repo_url, '/*(\.git)?/*$', '') AS repo_url)
            FROM texts),
        hosted AS (
            SELECT *,
                -- Of escapes only a blank is known from real addresses; dots would lead elsewhere.
                CASE WHEN NOT regexp_matches(replace(repo_url, '%20', ''), '/\.\.?(/|$)|%')
                    AND coalesce(try_cast(regexp_extract(repo_url, '//[^/]+:(\d+)', 1) AS INTEGER), 443) <= 65535
                    THEN lower(regexp_extract(repo_url, $repository, 1)) END AS host
            FROM cleaned)
        SELECT * EXCLUDE (host) REPLACE (
                'https://' || regexp_replace(lower(regexp_extract(repo_url, '//([^/]+)', 1)), ':443$', '')
                    || regexp_extract(repo_url, '//[^/]+(/.*)', 1) AS repo_url),
            CASE {missing}
                WHEN category NOT IN $categories THEN 'unknown category'
                WHEN severity NOT IN $severities THEN 'unknown severity'
                WHEN NOT regexp_full_match(line_number, '[0-9]{{1,9}}') OR try_cast(line_number AS BIGINT) = 0
                    THEN 'bad line number'
                WHEN host = '' OR host IS NULL THEN 'not the https URL of a repository'
                WHEN NOT $allow_reserved AND regexp_matches(host, $reserved)
                    THEN 'repository is on an example host'
                WHEN len($hosts) > 0 AND NOT list_contains($hosts, host) THEN 'repository host is not allowed'
            END AS reason
        FROM hosted
        """,
        {
            "categories": list(categories),
            "severities": list(severities),
            "allow_reserved": allow_reserved_hosts,
            "reserved": RESERVED_HOST,
            "repository": REPOSITORY,
            "hosts": [host.lower() for host in allowed_hosts],
        },
    )
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in FINDING_COLUMNS.items())
    connection.execute(
        f"""
        CREATE TABLE accepted AS
        SELECT row_number, {FINDING_KEY_SQL} AS finding_key, {typed}
        FROM judged
        WHERE reason IS NULL
        ORDER BY row_number
        """
    )
    texts = ", ".join(f"x.{name}" for name in FINDING_COLUMNS)
    connection.execute(
        f"""
        CREATE TABLE rejected AS
        SELECT row_number, NULL::BIGINT AS record_number, NULL::BIGINT AS line_number, j.finding_id, j.reason,
            (SELECT CAST(to_json(t) AS VARCHAR) FROM (SELECT {texts}) t) AS raw
        FROM judged j JOIN texts x USING (row_number)
        WHERE reason IS NOT NULL
        """
    )
    # What DuckDB calls a line counts records: a quoted line break is not a new one, a blank line is.
    connection.execute(
        """
        INSERT INTO rejected
        SELECT NULL, line, NULL, NULL,
            'malformed row: ' || lower(replace(CAST(any_value(error_type) AS VARCHAR), '_', ' ')), any_value(csv_line)
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
