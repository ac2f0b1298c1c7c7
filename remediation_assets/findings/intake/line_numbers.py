"""Find the line of the file at which a rejected row starts: DuckDB counts records, people count lines."""

import csv
from collections.abc import Iterator
from typing import NamedTuple, TextIO

import numpy as np
from duckdb import DuckDBPyConnection

from remediation_assets.findings.errors import FindingsFileError

from .csv_header import MAX_LINE_BYTES, Table
from .decode import SourceText


class RowStart(NamedTuple):
    """The line at which a row starts; a parsed row has a row number, a malformed one a record number."""

    line: int
    row_number: int | None
    record_number: int | None


def locate_rejected_rows(connection: DuckDBPyConnection, text: SourceText, table: Table) -> None:
    """Set the line number of each rejected row; a file without rejected rows is not read again.

    Raise FindingsFileError if a quote that is not closed has swallowed other rows, which would count as a single row.
    """
    if connection.execute("SELECT 1 FROM rejected LIMIT 1").fetchone() is None:
        return
    starts = _by_counting(connection, text, table)
    if not starts:
        starts = _by_reading(connection, text, table)
    for column in ("row_number", "record_number"):
        known = [start for start in starts if getattr(start, column) is not None]
        connection.execute(
            f"""
            UPDATE rejected SET line_number = l.line_number
            FROM (SELECT unnest($numbers) AS number, unnest($lines) AS line_number) l
            WHERE {column} = l.number
            """,
            {"numbers": [getattr(start, column) for start in known], "lines": [start.line for start in known]},
        )


def _by_counting(connection: DuckDBPyConnection, text: SourceText, table: Table) -> list[RowStart] | None:
    """Count the lines before each row by the line breaks inside the rows; return None if that does not add up.

    Blank lines and quotes that are not closed upset the count. Reading the file by records takes ten times as long.
    """
    records = connection.execute(
        """
        SELECT line, any_value(csv_line), bool_or(error_type = 'UNQUOTED VALUE') FROM reject_errors GROUP BY line
        """
    ).fetchall()
    # DuckDB shows blank lines before a bad record as part of it.
    if any(unquoted or raw.startswith(("\r", "\n")) for _, raw, unquoted in records):
        return None
    breaks = connection.execute("SELECT line_breaks FROM validated ORDER BY rowid").fetchnumpy()["line_breaks"]
    is_row = np.ones(len(breaks) + len(records), dtype=bool)
    numbers = np.array([record for record, *_ in records], dtype=np.int64)
    # The header is record 1, so record n is row n - 2 of the arrays.
    if numbers.size and (numbers.min() < 2 or numbers.max() > len(is_row) + 1):
        return None
    is_row[numbers - 2] = False
    lines = np.ones(len(is_row), dtype=np.int64)
    lines[is_row] += breaks
    lines[numbers - 2] = [len(raw.rstrip("\r\n").split("\n")) for _, raw, _ in records]
    ends = table.header_lines + np.cumsum(lines)
    # The check that makes counting safe: the last row must end on the last line of the file.
    if not len(ends) or ends[-1] != _count_lines(text):
        return None
    starts = ends - lines + 1
    rows = np.array(
        [row for (row,) in connection.execute("SELECT row_number FROM rejected WHERE row_number > 0").fetchall()],
        dtype=np.int64,
    )
    places = np.flatnonzero(is_row)[rows - 1]
    return [
        *(RowStart(int(start), int(row), None) for start, row in zip(starts[places], rows, strict=True)),
        *(RowStart(int(starts[number - 2]), None, int(number)) for number in numbers),
    ]


def _count_lines(text: SourceText) -> int:
    count, last = 0, b"\n"
    with text.path.open("rb") as file:
        while chunk := file.read(4 * 1024 * 1024):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def _by_reading(connection: DuckDBPyConnection, text: SourceText, table: Table) -> list[RowStart]:
    """Read the file a second time, record by record."""
    rejected = connection.execute("SELECT row_number, record_number, reason FROM rejected").fetchall()
    rows = {row for row, _, _ in rejected if row is not None}
    malformed = {record for _, record, _ in rejected if record is not None}
    badly_quoted = {record for _, record, reason in rejected if record is not None and "unquoted" in reason}
    starts: list[RowStart] = []
    row_number = 0
    csv.field_size_limit(MAX_LINE_BYTES)
    with text.open() as file:
        records = _Records(file, table.delimiter)
        try:
            for record_number, (line, is_blank) in enumerate(records, start=1):
                if record_number in badly_quoted and any(_is_a_row(one, table) for one in records.swallowed):
                    raise FindingsFileError(
                        f"{text.source}: the row at line {line} opens a quote that is not closed and swallows the "
                        "rows after it; correct that row."
                    )
                if record_number in malformed:
                    starts.append(RowStart(line, None, record_number))
                elif not is_blank and record_number > 1:
                    row_number += 1
                    if row_number in rows:
                        starts.append(RowStart(line, row_number, None))
        except csv.Error:
            raise FindingsFileError(
                f"{text.source}: the row at line {records.line} has a field over {MAX_LINE_BYTES // 2**20} MB, or a "
                "quote that is not closed; correct that row."
            ) from None
    return starts


class _Records:
    """The records of a CSV file, including blank ones: the line each starts at, and whether it is blank.

    A line without a quote is a record; only lines with a quote go through the csv module, which is slow. `swallowed`
    has the lines of the last record after its first line.
    """

    def __init__(self, file: TextIO, delimiter: str) -> None:
        self.line = 1
        self.swallowed: list[str] = []
        self._file = file
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        pending: list[str] = []
        taken: list[str] = []

        def lines() -> Iterator[str]:
            # The current line, then as many more as the reader asks for, which it does inside a quote.
            while True:
                line = pending.pop() if pending else next(self._file, None)
                if line is None:
                    return
                taken.append(line)
                yield line

        reader = csv.reader(lines(), delimiter=self._delimiter)
        line_number = 0
        for line in self._file:
            line_number += 1
            self.line = line_number
            if '"' not in line:
                self.swallowed = []
                yield line_number, line in ("\n", "\r\n", "\r")
                continue
            pending.append(line)
            taken.clear()
            is_blank = not next(reader, [])
            self.swallowed = taken[1:]
            line_number += len(self.swallowed)
            yield self.line, is_blank


def _is_a_row(line: str, table: Table) -> bool:
    try:
        return len(next(csv.reader([line], delimiter=table.delimiter), [])) == len(table.header)
    except csv.Error:
        return False
