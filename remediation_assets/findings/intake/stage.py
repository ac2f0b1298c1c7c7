"""Stage a findings file of any known format: parsed and validated, in a database of its own.

Nothing here touches the ledger: the larger a file is, the longer parsing takes, while the ledger's lock is only held
for milliseconds.
"""

import glob
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.findings.errors import FindingsFileChanged, FindingsFileError
from remediation_assets.ledger.schema import FINDING_COLUMNS

from .convert import CONVERTED_TABLE, Conversion, convert_csv, convert_json
from .csv_header import MAX_LINE_BYTES, Table, clean_name, require_our_columns, sniff
from .decode import SourceText, decode, version_of
from .line_numbers import locate_rejected_rows
from .validate import Reason, Rules, rule_parameters, validation_sql

MEMORY_LIMIT = "400MB"
"""What DuckDB may hold of a file in memory while it is parsed and ingested; the rest goes to the disk."""


@dataclass(frozen=True)
class StagedScan:
    """A staged file: where its staging database is, and its counts."""

    path: Path
    source: str
    content_hash: str
    rules: str
    rows_in: int
    accepted: int
    rejected: int
    ignored_columns: tuple[str, ...]
    encoding_guessed: bool
    """Whether it was read as Windows-1252 because it is not UTF-8 and nothing in it shows its encoding."""

    format: str = "CSV"
    skipped: Mapping[str, int] = field(default_factory=dict)
    """How much of the file is not an open finding, by the reason that the file itself gives."""

    notes: tuple[str, ...] = ()
    """What a person should know of the file, for example that the scanner had errors."""


def stage(source: Path, staging: Path, rules: Rules) -> StagedScan:
    """Stage a file as `accepted` and `rejected` in the new database `staging`.

    The folder around `staging` is used for copies of the text. Raise FindingsFileError if the file as a whole is not
    a findings file, and FindingsFileChanged if it was written to in the meantime.
    """
    # Each step happens once, in this order, on one text. Validation and line numbers work on our CSV alone, so
    # everything else is converted into it first.
    text = decode(source, staging.parent)
    table = sniff(text)
    if table is None:
        scan = _stage_converted(text, staging, rules, convert_json(text, staging.parent, rules.source_context))
    elif table.missing_columns and rules.source_context.mapping:
        # A file that has our columns needs no mapping, even if one is given for the files beside it.
        scan = _stage_converted(text, staging, rules, convert_csv(text, table, staging.parent, rules.source_context))
    else:
        scan = _stage_csv(text, table, staging, rules)
    if version_of(source) != text.version:
        raise FindingsFileChanged(f"{source} changed while it was read; read it again when it is complete.")
    return scan


def hash_of(source: Path) -> str:
    """Return the SHA-256 of a file's content, as a scan records it."""
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stage_csv(text: SourceText, table: Table, staging: Path, rules: Rules) -> StagedScan:
    """Stage a CSV with our columns."""
    require_our_columns(text, table)
    with _validate(text, text.path, table, staging, rules) as connection:
        _split(connection)
        locate_rejected_rows(connection, text, table)
        return replace(_scan(connection, text, staging, rules), ignored_columns=table.ignored_columns)


def _stage_converted(text: SourceText, staging: Path, rules: Rules, conversion: Conversion) -> StagedScan:
    """Stage what a file of another format was converted into; the conversion knows the line of each row."""
    with _validate(text, conversion.path, CONVERTED_TABLE, staging, rules) as connection:
        _split(connection)
        connection.execute(
            "UPDATE rejected SET line_number = l.line FROM (SELECT unnest($lines::BIGINT[]) AS line,"
            " generate_subscripts($lines::BIGINT[], 1) AS row) l WHERE row_number = l.row",
            {"lines": list(conversion.lines)},
        )
        for record in conversion.malformed:
            connection.execute(
                "INSERT INTO rejected (line_number, reason, raw) VALUES (?, ?, ?)",
                [record.line, f"{Reason.MALFORMED}: {record.reason}", record.raw],
            )
        scan = _scan(connection, text, staging, rules)
    return replace(scan, format=conversion.format, skipped=conversion.skipped, notes=conversion.notes)


def _validate(text: SourceText, csv: Path, table: Table, staging: Path, rules: Rules) -> DuckDBPyConnection:
    """Load every row, validated, into a new staging database; DuckDB keeps malformed rows in its reject tables."""
    staging.unlink(missing_ok=True)
    connection = duckdb.connect(str(staging), config={"memory_limit": MEMORY_LIMIT})
    # It is read once and thrown away, so compressing it is not worth the time.
    connection.execute("SET force_compression = 'uncompressed'")
    # Positional names: a header may hold anything, and an identifier never comes from data.
    columns = {f"c{index}": "VARCHAR" for index in range(len(table.header))}
    by_name = {clean_name(name): f"c{index}" for index, name in enumerate(table.header)}
    parameters = rule_parameters(rules) | {
        "path": _as_pattern(csv),
        "columns": columns,
        "delimiter": table.delimiter,
        "max_line_size": MAX_LINE_BYTES,
        "buffer_size": 2 * MAX_LINE_BYTES,
    }
    try:
        connection.execute(validation_sql(by_name, list(columns)), parameters)
    except duckdb.Error as error:
        connection.close()
        reason = str(error).splitlines()[0]
        raise FindingsFileError(
            f"{text.source} cannot be read as CSV ({reason.rstrip('.')}); save it again as CSV in UTF-8."
        ) from None
    return connection


def _as_pattern(path: Path) -> str:
    """Return the glob pattern that matches only this path, because DuckDB takes every path as a pattern."""
    if "\\" in str(path) and glob.has_magic(str(path)):
        raise FindingsFileError(f"{path} has a backslash and one of *?[ in its name; rename it.")
    return glob.escape(str(path))


def _split(connection: DuckDBPyConnection) -> None:
    """Split the validated rows into `accepted` and `rejected`; the number of a row is its place in the file."""
    names = ", ".join(FINDING_COLUMNS)
    connection.execute(
        f"""
        CREATE VIEW accepted AS
        SELECT rowid + 1 AS row_number, finding_key, {names} FROM validated WHERE reason IS NULL
        """
    )
    connection.execute(
        """
        CREATE TABLE rejected AS
        SELECT rowid + 1 AS row_number, NULL::BIGINT AS record_number, NULL::BIGINT AS line_number,
            json_extract_string(raw, '$.finding_id') AS finding_id, reason, raw
        FROM validated WHERE reason IS NOT NULL
        """
    )
    # What DuckDB calls a line is a record: a quoted line break does not start a new one, a blank line does.
    connection.execute(
        f"""
        INSERT INTO rejected (record_number, reason, raw)
        SELECT line, '{Reason.MALFORMED}: ' || lower(replace(CAST(any_value(error_type) AS VARCHAR), '_', ' ')),
            ltrim(any_value(csv_line), chr(10) || chr(13))
        FROM reject_errors
        GROUP BY line
        """
    )


def _scan(connection: DuckDBPyConnection, text: SourceText, staging: Path, rules: Rules) -> StagedScan:
    [(accepted, rejected)] = connection.execute(
        "SELECT (SELECT count(*) FROM validated WHERE reason IS NULL), (SELECT count(*) FROM rejected)"
    ).fetchall()
    return StagedScan(
        path=staging,
        source=str(text.source),
        content_hash=hash_of(text.source),
        rules=rules.fingerprint,
        rows_in=accepted + rejected,
        accepted=accepted,
        rejected=rejected,
        ignored_columns=(),
        encoding_guessed=text.encoding_guessed,
    )
