"""At which line of the file a rejected row starts: DuckDB counts records, people count lines."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from duckdb import DuckDBPyConnection

from .errors import FindingsFileError

Located = tuple[int, int | None, int | None]
"""A line's number, and the row or the record that starts there."""


@dataclass(frozen=True)
class Shape:
    """What a file looks like: its header's lines, its columns, what stands between them, a field's most bytes."""

    header_lines: int
    width: int
    delimiter: str
    longest: int


def locate_rejected_rows(connection: DuckDBPyConnection, plain: Path, shape: Shape, told: Path) -> None:
    """Give each rejected row the number of the line it starts at.

    Only a file with bad rows is looked at again. Raises FindingsFileError, naming the file `told`, where a
    quote that is not closed has swallowed other rows: they would count as one.
    """
    if connection.execute("SELECT 1 FROM rejected LIMIT 1").fetchone() is None:
        return
    located = _by_counting(connection, plain, shape) or _by_reading(connection, plain, shape, told)
    for number, place in (("row_number", 1), ("record_number", 2)):
        known = [one for one in located if one[place] is not None]
        connection.execute(
            f"""
            UPDATE rejected SET line_number = l.line_number
            FROM (SELECT unnest($numbers) AS number, unnest($lines) AS line_number) l
            WHERE {number} = l.number
            """,
            {"numbers": [one[place] for one in known], "lines": [one[0] for one in known]},
        )


def _by_counting(connection: DuckDBPyConnection, plain: Path, shape: Shape) -> list[Located] | None:
    """Count the lines before each row by the line breaks inside the rows; None where that does not add up.

    It does not where there are blank lines, or quotes that are not closed. Reading the file would take
    ten times as long.
    """
    records = connection.execute(
        """
        SELECT line, any_value(csv_line), bool_or(error_type = 'UNQUOTED VALUE') FROM reject_errors GROUP BY line
        """
    ).fetchall()
    # DuckDB shows blank lines before a bad record as part of it.
    if any(unquoted or text.startswith(("\r", "\n")) for _, text, unquoted in records):
        return None
    breaks = connection.execute("SELECT line_breaks FROM judged ORDER BY rowid").fetchnumpy()["line_breaks"]
    is_row = np.ones(len(breaks) + len(records), dtype=bool)
    numbers = np.array([record for record, *_ in records], dtype=np.int64)
    # Records are numbered from the header on, which is the first.
    if numbers.size and (numbers.min() < 2 or numbers.max() > len(is_row) + 1):
        return None
    is_row[numbers - 2] = False
    lines = np.ones(len(is_row), dtype=np.int64)
    lines[is_row] += breaks
    lines[numbers - 2] = [len(text.rstrip("\r\n").split("\n")) for _, text, _ in records]
    ends = shape.header_lines + np.cumsum(lines)
    if not len(ends) or ends[-1] != _count_lines(plain):
        return None
    starts = ends - lines + 1
    rows = np.array(
        [row for (row,) in connection.execute("SELECT row_number FROM rejected WHERE row_number > 0").fetchall()],
        dtype=np.int64,
    )
    places = np.flatnonzero(is_row)[rows - 1]
    return [
        *((int(start), int(row), None) for start, row in zip(starts[places], rows, strict=True)),
        *((int(starts[number - 2]), None, int(number)) for number in numbers),
    ]


def _count_lines(plain: Path) -> int:
    count, last = 0, b"\n"
    with plain.open("rb") as file:
        while chunk := file.read(4 * 1024 * 1024):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def _by_reading(connection: DuckDBPyConnection, plain: Path, shape: Shape, told: Path) -> list[Located]:
    """Read the file once more, record by record."""
    rejected = connection.execute("SELECT row_number, record_number, reason FROM rejected").fetchall()
    rows = {row for row, _, _ in rejected if row is not None}
    malformed = {record for _, record, _ in rejected if record is not None}
    badly_quoted = {record for _, record, reason in rejected if record is not None and "unquoted" in reason}
    located: list[Located] = []
    csv.field_size_limit(shape.longest)
    row_number = 0
    records = _Records(plain, shape.delimiter)
    try:
        for record_number, (starts_at, is_blank) in enumerate(records, start=1):
            if record_number in badly_quoted and any(_is_a_row(line, shape) for line in records.swallowed):
                raise FindingsFileError(
                    f"{told}: the row at line {starts_at} opens a quote that is not closed and swallows the "
                    "rows after it; correct that row."
                )
            if record_number in malformed:
                located.append((starts_at, None, record_number))
            elif not is_blank and record_number > 1:
                row_number += 1
                if row_number in rows:
                    located.append((starts_at, row_number, None))
    except csv.Error:
        raise FindingsFileError(
            f"{told}: the row at line {records.starts_at} has a field over {shape.longest // 2**20} MB, or a quote "
            "that is not closed; correct that row."
        ) from None
    return located


class _Records:
    """The records of a CSV text, blank ones too: the line each starts at, and whether it is blank.

    A line without a quote is a record; only the others go through the csv module, which is slow.
    `swallowed` are the lines after its first that the last record took.
    """

    def __init__(self, plain: Path, delimiter: str) -> None:
        self.starts_at = 1
        self.swallowed: list[str] = []
        self._plain = plain
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        with self._plain.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            pending: list[str] = []
            taken: list[str] = []

            def lines() -> Iterator[str]:
                # The line at hand, then as many more as the reader asks for: it does so inside a quote.
                while True:
                    line = pending.pop() if pending else next(file, None)
                    if line is None:
                        return
                    taken.append(line)
                    yield line

            reader = csv.reader(lines(), delimiter=self._delimiter)
            line_number = 0
            for line in file:
                line_number += 1
                self.starts_at = line_number
                if '"' not in line:
                    self.swallowed = []
                    yield line_number, line in ("\n", "\r\n", "\r")
                    continue
                pending.append(line)
                taken.clear()
                is_blank = not next(reader, [])
                self.swallowed = taken[1:]
                line_number += len(self.swallowed)
                yield self.starts_at, is_blank


def _is_a_row(line: str, shape: Shape) -> bool:
    try:
        return len(next(csv.reader([line], delimiter=shape.delimiter), [])) == shape.width
    except csv.Error:
        return False
