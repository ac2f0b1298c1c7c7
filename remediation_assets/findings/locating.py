"""At which line of the file a rejected row starts: DuckDB counts records, people count lines."""

import csv
from collections.abc import Iterator
from pathlib import Path

from duckdb import DuckDBPyConnection

from .errors import FindingsFileError


def locate_rejected_rows(connection: DuckDBPyConnection, source: Path, *, width: int, longest: int) -> None:
    """Give each rejected row the number of the line it starts at, by reading the file once more.

    `width` is the number of columns, `longest` that of the bytes a field may have. Only a file with
    bad rows is read again. Raises FindingsFileError where a quote that is not closed has swallowed
    other rows: they would count as one.
    """
    rejected = connection.execute("SELECT row_number, record_number, reason FROM rejected").fetchall()
    if not rejected:
        return
    rows = {row for row, _, _ in rejected if row is not None}
    malformed = {record for _, record, _ in rejected if record is not None}
    badly_quoted = {record for _, record, reason in rejected if record is not None and "unquoted" in reason}
    located: list[tuple[int, int | None, int | None]] = []
    csv.field_size_limit(longest)
    with open(source, encoding="utf-8-sig", errors="replace", newline="") as file:
        record_lines: list[str] = []

        def lines() -> Iterator[str]:
            for line in file:
                record_lines.append(line)
                yield line

        reader = csv.reader(lines())
        row_number, starts_at = 0, 1
        try:
            for record_number, fields in enumerate(reader, start=1):
                if record_number in badly_quoted and any(_is_a_row(line, width) for line in record_lines[1:]):
                    raise FindingsFileError(
                        f"{source}: the row at line {starts_at} opens a quote that is not closed and swallows the "
                        "rows after it; correct that row."
                    )
                if record_number in malformed:
                    located.append((starts_at, None, record_number))
                elif fields and record_number > 1:
                    row_number += 1
                    if row_number in rows:
                        located.append((starts_at, row_number, None))
                starts_at = reader.line_num + 1
                record_lines.clear()
        except csv.Error:
            raise FindingsFileError(
                f"{source}: the row at line {starts_at} has a field over {longest // 2**20} MB, or a quote "
                "that is not closed; correct that row."
            ) from None
    connection.executemany("UPDATE rejected SET line_number = ? WHERE row_number = ? OR record_number = ?", located)


def _is_a_row(line: str, width: int) -> bool:
    try:
        return len(next(csv.reader([line]), [])) == width
    except csv.Error:
        return False
