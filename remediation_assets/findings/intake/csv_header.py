"""Sniff a text once: it is JSON, or a table recognized by its header; anything else is refused.

This module knows whether a table has the columns of a finding, but not what its rows hold.
"""

import csv
import re
from dataclasses import dataclass

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.models import Finding

from .decode import JSON_BEGINNINGS, MARKUP_BEGINNING, SourceText, log_before_json

REQUIRED = [name for name, field in Finding.model_fields.items() if field.is_required()]
# A finding without a description is usable; without any other required field it is not.
MUST_BE_FILLED = [name for name in REQUIRED if name != "description"]

_EXPECTED = f"expected a CSV file in UTF-8 whose first line names at least: {', '.join(REQUIRED)}"

_DELIMITERS = (",", ";", "\t", "|")

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The longest record of a CSV file that is read."""


@dataclass(frozen=True)
class Table:
    """The shape of a CSV file: its column names as written, its delimiter, and how many lines the header takes."""

    header: tuple[str, ...]
    delimiter: str
    header_lines: int

    @property
    def missing_columns(self) -> list[str]:
        """The required columns of a finding that the table does not have."""
        names = {clean_name(name) for name in self.header}
        return [name for name in REQUIRED if name not in names]

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The columns that fill no field of a finding."""
        return tuple(name for name in self.header if clean_name(name) not in FINDING_COLUMNS)


def sniff(text: SourceText) -> Table | None:
    """Return the shape of a text that is a table, or None for JSON; raise FindingsFileError for anything else."""
    beginning = text.beginning
    if beginning[:1] in JSON_BEGINNINGS:
        return None
    # A web page or a log has a first line too, and would be taken for a table without our columns.
    _refuse_other_formats(beginning, text)
    return _read_table(text)


def require_our_columns(text: SourceText, table: Table) -> None:
    """Raise FindingsFileError if a table lacks a required column of a finding, or has a column of a finding twice."""
    if missing := table.missing_columns:
        raise FindingsFileError(
            f"{text.source} has no column {', '.join(missing)}; {_EXPECTED}. For a CSV with other columns, "
            "`remediate columns FILE` proposes a mapping."
        )
    names = [clean_name(name) for name in table.header]
    twice = sorted({name for name in names if name in FINDING_COLUMNS and names.count(name) > 1})
    if twice:
        raise FindingsFileError(f"{text.source} has the column {', '.join(twice)} twice; keep one of each.")


def clean_name(name: str) -> str:
    """Return a column's name in our spelling: `line_number` for `Line Number`."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _refuse_other_formats(beginning: str, text: SourceText) -> None:
    """Raise FindingsFileError for HTML or XML, which a failed download leaves behind, and for a log before JSON."""
    if beginning.strip() == "null":
        raise FindingsFileError(f"{text.source} holds nothing but null; the scanner did not finish, run it again.")
    if log := log_before_json(beginning):
        line = log.count("\n") + 1
        raise FindingsFileError(
            f"{text.source} has other text before its JSON, which begins at line {line}; remove it."
        )
    if beginning[:1] == MARKUP_BEGINNING:
        raise FindingsFileError(
            f"{text.source} is HTML or XML, perhaps an error page; expected CSV, or JSON of a scanner. Fetch it again."
        )


def _read_table(text: SourceText) -> Table:
    try:
        tables = [_first_record(text, delimiter) for delimiter in _DELIMITERS]
    except (UnicodeError, csv.Error):
        raise FindingsFileError(f"{text.source} is not a CSV file in UTF-8; {_EXPECTED}.") from None

    def fit(table: Table) -> tuple[int, int]:
        return len({clean_name(name) for name in table.header} & set(FINDING_COLUMNS)), len(table.header)

    # The delimiter that finds most of our columns, or else most columns; a comma if none finds any.
    table = max(tables, key=fit)
    if not table.header and text.path.stat().st_size > 0:
        raise FindingsFileError(f"{text.source} begins with a blank line; remove it.")
    if not table.header:
        raise FindingsFileError(f"{text.source} is empty; {_EXPECTED}.")
    return table


def _first_record(text: SourceText, delimiter: str) -> Table:
    # A damaged character further down costs only its row. One in the header is found by encoding it again.
    with text.open(errors="surrogateescape") as file:
        reader = csv.reader(file, delimiter=delimiter)
        names = tuple(next(reader, []))
    for name in names:
        name.encode()
    return Table(names, delimiter, reader.line_num)
