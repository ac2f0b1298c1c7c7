"""A file of another format into our own CSV, from which on everything is the same: keys, set-aside rows, counts."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediation_assets import escaping
from remediation_assets.ledger.schema import FINDING_COLUMNS

from .errors import FindingsFileError
from .header import Table
from .origin import Origin
from .readers import READERS, mapped_csv, reader_for
from .readers.row import Item, LeftOut, Note, Row, Unreadable

LONGEST_TEXT = 100_000
"""Characters of one text that are kept; nobody reads more, and a prompt takes a fraction of it."""


@dataclass(frozen=True)
class SetAside:
    """A record that could not even be told apart into fields."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Converted:
    """Our CSV of a file, and what does not stand in it."""

    path: Path
    format: str
    lines: tuple[int | None, ...]
    """For each row at which line of the file it stood; None where a format knows no lines."""

    set_aside: tuple[SetAside, ...]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]


def is_json(plain: Path) -> bool:
    """Say whether a text is meant as JSON, by its first character."""
    return _beginning(plain)[:1] in ("{", "[")


def refuse_what_is_no_csv(plain: Path, told: Path) -> None:
    """Raise FindingsFileError for a page or an XML file, which one gets where a download failed, and for a log."""
    head = _beginning(plain)
    if head.strip() == "null":
        raise FindingsFileError(f"{told} holds nothing but null; the scanner did not finish, run it again.")
    before = re.match(r"(?s)(?:(?![\[{])[^\n]*\n)+(?=\s*(?:\{|\[\s*\{))", head)
    if before and "severity" not in head.partition("\n")[0].lower():
        line = before[0].count("\n") + 1
        raise FindingsFileError(f"{told} has other text before its JSON, which begins at line {line}; remove it.")
    if head[:1] == "<":
        raise FindingsFileError(
            f"{told} is HTML or XML, as of an error page; expected CSV, or JSON of a scanner. Fetch it again."
        )


def convert_json(plain: Path, told: Path, folder: Path, origin: Origin) -> Converted:
    """Convert a JSON file, of one document or several; raises FindingsFileError for what no reader can read."""
    # Pages of an API may stand one after the other or, as `gh api --slurp` writes them, in a list.
    documents = [page for one in _documents(plain, told) for page in (one if _is_pages(one) else [one])]
    formats: dict[str, None] = {}

    def items() -> Iterator[tuple[Item, int | None]]:
        for document in documents:
            # An empty list is what GitHub answers where there is no alert, and the last page of many.
            if document == []:
                continue
            reader = reader_for(document)
            if reader is None:
                raise Unreadable(f"is JSON that no reader knows ({_outline(document)}); {_expected()}")
            formats[reader.name] = None
            for item in reader.read(document):
                yield item, None

    writer = _Writer(told, folder, origin)
    try:
        writer.write(items())
    except RecursionError:
        raise FindingsFileError(f"{told} is JSON that is nested too deeply to be read.") from None
    return writer.finished(", ".join(formats) or "an empty list")


def convert_csv(plain: Path, told: Path, folder: Path, origin: Origin, table: Table) -> Converted:
    """Convert a CSV with other columns by the origin's mapping; raises FindingsFileError where that does not fit."""
    set_aside: list[SetAside] = []

    def items() -> Iterator[tuple[Item, int | None]]:
        mapping = mapped_csv.checked(origin.mapping, table.header)
        for record in mapped_csv.records(plain, table.header, table.delimiter):
            if record.why_not:
                set_aside.append(SetAside(record.line, record.why_not, record.raw))
            else:
                yield mapped_csv.row_of(record, mapping), record.line

    # Where a column tells the repository, a row without one is set aside as any other.
    writer = _Writer(told, folder, origin, may_lack_repository="repo_url" in origin.mapping.get("columns", {}))
    writer.write(items())
    return writer.finished("mapped CSV", set_aside)


class _Writer:
    """Writes rows into our CSV and counts the rest."""

    def __init__(self, told: Path, folder: Path, origin: Origin, *, may_lack_repository: bool = False) -> None:
        self._told = told
        self._path = folder / "converted.csv"
        self._origin = origin
        self._may_lack_repository = may_lack_repository or bool(origin.services)
        self._lines: list[int | None] = []
        self._left_out: Counter[str] = Counter()
        self._notes: list[str] = []

    def write(self, items: Iterator[tuple[Item, int | None]]) -> None:
        """Write what a reader gives; raises FindingsFileError, naming the file, for what it cannot read."""
        try:
            self._write(items)
        except Unreadable as error:
            raise FindingsFileError(f"{self._told} {escaping.plain(error)}.") from None

    def _write(self, items: Iterator[tuple[Item, int | None]]) -> None:
        with self._path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(FINDING_COLUMNS)
            for item, line in items:
                if isinstance(item, LeftOut):
                    self._left_out[item.reason] += item.count
                elif isinstance(item, Note):
                    self._notes.append(item.sentence)
                else:
                    writer.writerow(self._values(item))
                    self._lines.append(line)

    def finished(self, name: str, set_aside: list[SetAside] | None = None) -> Converted:
        left_out = dict(sorted(self._left_out.items()))
        return Converted(self._path, name, tuple(self._lines), tuple(set_aside or ()), left_out, tuple(self._notes))

    def _values(self, row: Row) -> list[str]:
        placed: dict[str, Any] = dict(self._origin.placed(row))
        if not placed.get("repo_url") and not self._may_lack_repository:
            raise FindingsFileError(
                f"{self._told} does not tell the repository of its findings; give --repo-url https://HOST/OWNER/NAME, "
                "or --services FILE with one for each path."
            )
        if placed.get("dependency_name") and not placed.get("fixed_version") and not placed.get("fingerprint"):
            # Only what one upgrade mends is one finding; nothing says that of two without a fix.
            placed["fingerprint"] = placed.get("rule_id")
        return [_clean(placed.get(name)) for name in FINDING_COLUMNS]


def _clean(value: object) -> str:
    if value is None:
        return ""
    text = str(value).replace("\0", "")
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ..."


def _documents(plain: Path, told: Path) -> list[Any]:
    """Parse a file of one JSON value, or of several one after the other: JSON Lines, and pages of an API."""
    text = plain.read_text(encoding="utf-8-sig", errors="replace")
    decoder, found, at = json.JSONDecoder(), [], 0
    blank = re.compile(r"[ \t\r\n]*")
    try:
        while (at := blank.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing too
            value, at = decoder.raw_decode(text, at)
            found.append(value)
    except json.JSONDecodeError as error:
        where = f"at line {error.lineno} ({error.msg})"
        raise FindingsFileError(f"{told} is JSON that breaks off or is damaged {where}; export it again.") from None
    except (RecursionError, ValueError):
        raise FindingsFileError(f"{told} is JSON that is nested too deeply, or has a number without end.") from None
    return found


def _is_pages(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and all(isinstance(page, list) for page in document)


def _beginning(plain: Path) -> str:
    with plain.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(4096).lstrip()


def _outline(document: Any) -> str:
    if isinstance(document, dict):
        return f"its fields are {', '.join(map(repr, list(document)[:6]))}" if document else "an empty object"
    if isinstance(document, list):
        return f"a list; of its first element {_outline(document[0])}" if document else "an empty list"
    return f"a single {type(document).__name__}"


def _expected() -> str:
    return f"expected {', '.join(reader.name for reader in READERS[:-1])} or {READERS[-1].name}"
