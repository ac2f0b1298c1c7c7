"""A findings file of any known format, parsed and validated in a staging database of its own.

Nothing here touches the ledger: parsing takes as long as the file is large, the ledger's lock is
held for milliseconds.
"""

import glob
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.ledger.schema import FINDING_COLUMNS

from .converting import Converted, convert_csv, convert_json, is_json, refuse_what_is_no_csv
from .errors import FindingsFileChanged, FindingsFileError
from .header import Table, checked, clean_name, read_any_table, read_header
from .judging import Reason, Rules, judging, rule_values
from .locating import Shape, locate_rejected_rows
from .plain_text import GUESSED, is_windows_1252, plain_utf_8, recoded

MEMORY_LIMIT = "400MB"
"""What DuckDB may hold of a file while it is parsed and brought in; more goes to the disk."""

MAX_LINE_BYTES = 16 * 1024 * 1024


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

    format: str = "CSV"
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How much of the file is no open finding, by the reason that the file itself tells."""

    notes: tuple[str, ...] = ()
    """What a person should know of it, such as that the scanner had errors."""


def stage(source: Path, staging: Path, rules: Rules) -> StagedScan:
    """Parse the file `source` into `staging`: `accepted` and `rejected`; the folder around it serves for copies.

    Raises FindingsFileError where the file as a whole is not a findings file, and FindingsFileChanged
    where it was written to meanwhile.
    """
    plain = plain_utf_8(source, staging.parent)
    before = _look_of(source)
    if is_json(plain):
        scan = _stage_converted(source, staging, rules, convert_json(plain, source, staging.parent, rules.origin))
    else:
        refuse_what_is_no_csv(plain, source)
        scan = _stage_csv(source, plain, staging, rules)
    if _look_of(source) != before:
        raise FindingsFileChanged(f"{source} changed while it was read; read it again when it is complete.")
    return scan


def _stage_csv(source: Path, plain: Path, staging: Path, rules: Rules) -> StagedScan:
    table, plain, guessed = read_any_table(source, plain, staging.parent)
    if rules.origin.mapping and table.missing:
        if not guessed and is_windows_1252(plain):
            plain, guessed = recoded(plain, staging.parent, GUESSED, source), True
        converted = convert_csv(plain, source, staging.parent, rules.origin, table)
        return replace(_stage_converted(source, staging, rules, converted), encoding_guessed=guessed)
    connection = _read(source, plain, staging, checked(source, table), rules)
    if _has_broken_encoding(connection) and is_windows_1252(plain):
        connection.close()
        plain, guessed = recoded(plain, staging.parent, GUESSED, source), True
        connection = _read(source, plain, staging, table, rules)
    with connection:
        _set_aside(connection)
        shape = Shape(table.lines, len(table.header), table.delimiter, MAX_LINE_BYTES)
        locate_rejected_rows(connection, plain, shape, source)
        scan = _scan(connection, source, staging, rules)
    ignored = tuple(name for name in table.header if clean_name(name) not in FINDING_COLUMNS)
    return replace(scan, ignored_columns=ignored, encoding_guessed=guessed)


def _stage_converted(source: Path, staging: Path, rules: Rules, converted: Converted) -> StagedScan:
    """Parse what a file of another format was converted into."""
    with _read(source, converted.path, staging, read_header(source, converted.path), rules) as connection:
        _set_aside(connection)
        connection.execute(
            "UPDATE rejected SET line_number = l.line FROM (SELECT unnest($lines::BIGINT[]) AS line,"
            " generate_subscripts($lines::BIGINT[], 1) AS row) l WHERE row_number = l.row",
            {"lines": list(converted.lines)},
        )
        for one in converted.set_aside:
            connection.execute(
                "INSERT INTO rejected VALUES (NULL, NULL, ?, NULL, ?, ?)",
                [one.line, f"{Reason.MALFORMED}: {one.reason}", one.raw],
            )
        scan = _scan(connection, source, staging, rules)
    return replace(scan, format=converted.format, left_out=converted.left_out, notes=converted.notes)


def _scan(connection: DuckDBPyConnection, source: Path, staging: Path, rules: Rules) -> StagedScan:
    [(accepted, set_aside)] = connection.execute(
        "SELECT (SELECT count(*) FROM judged WHERE reason IS NULL), (SELECT count(*) FROM rejected)"
    ).fetchall()
    return StagedScan(
        path=staging,
        source=str(source),
        content_hash=hash_of(source),
        rules=rules.fingerprint,
        rows_in=accepted + set_aside,
        accepted=accepted,
        set_aside=set_aside,
        ignored_columns=(),
        encoding_guessed=False,
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
        connection.execute(judging(by_name, list(columns)), file | rule_values(rules))
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
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
