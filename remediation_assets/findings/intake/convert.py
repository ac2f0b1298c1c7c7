"""Convert a file of another format into our own CSV, so that validation, keys and counts are the same for all.

Each format is understood in a module of its own; this module writes down what the format modules yield.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediation_assets import escape
from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.formats import FORMATS, format_of, mapped_csv
from remediation_assets.findings.formats.row import Item, Note, Row, Skipped, Unreadable
from remediation_assets.findings.source_context import SourceContext
from remediation_assets.ledger.schema import FINDING_COLUMNS

from .csv_header import Table
from .decode import SourceText

LONGEST_TEXT = 100_000
"""Characters of one text that are kept; nobody reads more, and a prompt takes a fraction of it."""

CONVERTED_TABLE = Table(tuple(FINDING_COLUMNS), ",", header_lines=1)
"""The shape of every CSV that is written here."""


@dataclass(frozen=True)
class MalformedRecord:
    """A record of a CSV file that cannot be split into its fields."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Conversion:
    """What a file was converted into: our CSV, and what the CSV leaves out."""

    path: Path
    format: str
    lines: tuple[int | None, ...]
    """The line of the file that each row comes from; None for formats without lines."""

    malformed: tuple[MalformedRecord, ...]
    skipped: Mapping[str, int]
    notes: tuple[str, ...]


def convert_json(text: SourceText, folder: Path, context: SourceContext) -> Conversion:
    """Convert JSON, of one document or several; raise FindingsFileError if no format fits or something is missing."""
    # Pages of an API may stand one after the other or, as `gh api --slurp` writes them, in a list.
    documents = [page for one in _documents(text) for page in (one if _is_pages(one) else [one])]
    formats: dict[str, None] = {}

    def items() -> Iterator[tuple[Item, int | None]]:
        for document in documents:
            # GitHub answers with an empty list if there is no alert, and on the last page of many.
            if document == []:
                continue
            found = format_of(document)
            if found is None:
                raise Unreadable(f"is JSON in no known format ({_outline(document)}); {_expected()}")
            formats[found.name] = None
            for item in found.read(document):
                yield item, None

    writer = _Writer(text.source, folder, context)
    try:
        writer.write(items())
    except RecursionError:
        raise FindingsFileError(f"{text.source} is JSON that is nested too deeply to be read.") from None
    # Only now: `formats` is filled while the items are written.
    return writer.conversion(", ".join(formats) or "an empty list")


def convert_csv(text: SourceText, table: Table, folder: Path, context: SourceContext) -> Conversion:
    """Convert a CSV with other columns by the mapping; raise FindingsFileError if the mapping does not fit."""
    malformed: list[MalformedRecord] = []

    def items() -> Iterator[tuple[Item, int | None]]:
        mapping = mapped_csv.validated_mapping(context.mapping, table.header)
        with text.open() as file:
            for record in mapped_csv.records(file, table.header, table.delimiter):
                if record.malformed:
                    malformed.append(MalformedRecord(record.line, record.malformed, record.raw))
                else:
                    yield mapped_csv.row_of(record, mapping), record.line

    # If a column names the repository, a row without one is rejected by itself, as with any other field.
    writer = _Writer(text.source, folder, context, repository_optional="repo_url" in context.mapping.get("columns", {}))
    writer.write(items())
    return writer.conversion("mapped CSV", malformed)


class _Writer:
    """Writes rows into our CSV and counts the rest."""

    def __init__(
        self, display_path: Path, folder: Path, context: SourceContext, *, repository_optional: bool = False
    ) -> None:
        self._display_path = display_path
        self._path = folder / "converted.csv"
        self._context = context
        self._repository_optional = repository_optional or bool(context.services)
        self._lines: list[int | None] = []
        self._skipped: Counter[str] = Counter()
        self._notes: list[str] = []

    def write(self, items: Iterable[tuple[Item, int | None]]) -> None:
        """Write what a format yields; raise FindingsFileError, naming the file, for what it cannot read."""
        try:
            self._write(items)
        except Unreadable as error:
            raise FindingsFileError(f"{self._display_path} {escape.plain(error)}.") from None

    def _write(self, items: Iterable[tuple[Item, int | None]]) -> None:
        with self._path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(FINDING_COLUMNS)
            for item, line in items:
                if isinstance(item, Skipped):
                    self._skipped[item.reason] += item.count
                elif isinstance(item, Note):
                    self._notes.append(item.sentence)
                else:
                    writer.writerow(self._values(item))
                    self._lines.append(line)

    def conversion(self, name: str, malformed: Iterable[MalformedRecord] = ()) -> Conversion:
        """Return the conversion: what was written, and the format's name."""
        skipped = dict(sorted(self._skipped.items()))
        return Conversion(self._path, name, tuple(self._lines), tuple(malformed), skipped, tuple(self._notes))

    def _values(self, row: Row) -> list[str]:
        resolved: dict[str, Any] = dict(self._context.resolve(row))
        if not resolved.get("repo_url") and not self._repository_optional:
            raise FindingsFileError(
                f"{self._display_path} does not name the repository of its findings; give --repo-url "
                "https://HOST/OWNER/NAME, or --services FILE with one for each path."
            )
        if resolved.get("dependency_name") and not resolved.get("fixed_version") and not resolved.get("fingerprint"):
            # Vulnerabilities that one upgrade fixes are one finding. Without a fixed version nothing says that two
            # are, so the rule keeps them apart.
            resolved["fingerprint"] = resolved.get("rule_id")
        return [_clean(resolved.get(name)) for name in FINDING_COLUMNS]


def _clean(value: object) -> str:
    if value is None:
        return ""
    text = str(value).replace("\0", "")
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ..."


def _documents(text: SourceText) -> list[Any]:
    """Parse one JSON value, or several one after the other: JSON Lines, and pages of an API."""
    with text.open(newline=None) as file:
        content = file.read()
    decoder, found, at = json.JSONDecoder(), [], 0
    blank = re.compile(r"[ \t\r\n]*")
    try:
        while (at := blank.match(content, at).end()) < len(content):  # type: ignore[union-attr]  # it matches "" too
            value, at = decoder.raw_decode(content, at)
            found.append(value)
    except json.JSONDecodeError as error:
        place = f"at line {error.lineno} ({error.msg})"
        raise FindingsFileError(f"{text.source} is JSON that is cut off or damaged {place}; export it again.") from None
    except (RecursionError, ValueError):
        raise FindingsFileError(
            f"{text.source} is JSON that is nested too deeply, or has a number that is too long."
        ) from None
    return found


def _is_pages(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and all(isinstance(page, list) for page in document)


def _outline(document: Any) -> str:
    if isinstance(document, dict):
        return f"its fields are {', '.join(map(repr, list(document)[:6]))}" if document else "an empty object"
    if isinstance(document, list):
        return f"a list; of its first element {_outline(document[0])}" if document else "an empty list"
    return f"a single {type(document).__name__}"


def _expected() -> str:
    return f"expected {', '.join(one.name for one in FORMATS[:-1])} or {FORMATS[-1].name}"
