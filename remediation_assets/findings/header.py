"""The first line of a findings file: its columns, and what stands between them."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.models import Finding

from .errors import FindingsFileError
from .plain_text import GUESSED, is_windows_1252, recoded

# An empty description tells nothing wrong about a finding; any other required field must say something.
REQUIRED = [name for name, field in Finding.model_fields.items() if field.is_required()]
MUST_BE_FILLED = [name for name in REQUIRED if name != "description"]

_EXPECTED = f"expected a CSV file in UTF-8 whose first line names at least: {', '.join(REQUIRED)}"

_DELIMITERS = (",", ";", "\t", "|")


class NotUtf8(FindingsFileError):
    """The header cannot be decoded."""


@dataclass(frozen=True)
class Table:
    """How a file is a table: its column names as written, its delimiter, and how many lines the names take."""

    header: tuple[str, ...]
    delimiter: str
    lines: int

    @property
    def missing(self) -> list[str]:
        """Give the columns of ours that it lacks, of those that are needed."""
        there = {clean_name(name) for name in self.header}
        return [name for name in REQUIRED if name not in there]


def clean_name(name: str) -> str:
    """Give a column's name as we write it: `Line Number` is `line_number`."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def read_header(source: Path, plain: Path) -> Table:
    """Read the header of a file whose text in UTF-8 is `plain`; raises FindingsFileError where it is not ours."""
    return checked(source, read_table(source, plain))


def checked(source: Path, table: Table) -> Table:
    """Give a table back that has our columns; raises FindingsFileError for one that has not."""
    if missing := table.missing:
        raise FindingsFileError(
            f"{source} has no column {', '.join(missing)}; {_EXPECTED}. For a CSV with other columns, "
            "`remediate columns FILE` proposes a mapping."
        )
    names = [clean_name(name) for name in table.header]
    twice = sorted({name for name in names if name in FINDING_COLUMNS and names.count(name) > 1})
    if twice:
        raise FindingsFileError(f"{source} has the column {', '.join(twice)} twice; keep one of each.")
    return table


def read_table(source: Path, plain: Path) -> Table:
    """Read the header of any CSV file; raises FindingsFileError where there is none, NotUtf8 where it is not UTF-8."""
    try:
        tables = [_first_record(plain, delimiter) for delimiter in _DELIMITERS]
    except (UnicodeError, csv.Error):
        raise NotUtf8(f"{source} is not a CSV file in UTF-8; {_EXPECTED}.") from None

    def ours(table: Table) -> tuple[int, int]:
        return len({clean_name(name) for name in table.header} & set(FINDING_COLUMNS)), len(table.header)

    # The delimiter that finds most of our columns, or else most columns; a comma where none finds any.
    table = max(tables, key=ours)
    if not table.header and plain.stat().st_size > 0:
        raise FindingsFileError(f"{source} begins with a blank line; remove it.")
    if not table.header:
        raise FindingsFileError(f"{source} is empty; {_EXPECTED}.")
    return table


def read_any_table(source: Path, plain: Path, folder: Path) -> tuple[Table, Path, bool]:
    """Read the header of a CSV file in UTF-8 or of Windows; give its text in UTF-8, and whether that was guessed."""
    try:
        return read_table(source, plain), plain, False
    except NotUtf8:
        if not is_windows_1252(plain):
            raise
        plain = recoded(plain, folder, GUESSED, source)
        return read_table(source, plain), plain, True


def _first_record(plain: Path, delimiter: str) -> Table:
    # Bad bytes further down are a row's matter; those of the header itself do not encode again.
    with plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        names = tuple(next(reader, []))
    for name in names:
        name.encode()
    return Table(names, delimiter, reader.line_num)
