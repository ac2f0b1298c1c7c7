"""What a format module yields, and the functions with which it takes values out of a document.

`read(document)` of a format module yields one item for each thing in the document, in the document's order:

- a `Row` for each open finding, with as many fields as the document has; a field it does not know is missing or None;
- `Skipped` for each thing that the document itself does not count as an open finding, such as a suppressed result;
- a `Note` for what a person should know about the whole document.

It raises `Unreadable` if the document is not what its format demands. It does not validate rows, and it does not
resolve repository, service or root: both happen afterwards, and alike for every format.

A document may hold anything anywhere, so nothing is taken out of it by subscript. `text`, `fields` and `elements`
return an empty value instead of a value of the wrong kind. `objects` raises `Unreadable` instead: it is for the lists
that hold the findings, because a finding in a damaged list must not be lost in silence.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict


class Row(TypedDict, total=False):
    """One finding, by the fields of `Finding`.

    `severity` and `category` are in our words (see `severity_of` and `categorize`). A scanner's word that is not known
    stays as it is, and the row is then rejected with that word. `file_path` is as the scanner wrote it.

    `fingerprint` is the scanner's own name for the finding, the same in its next scan. With a fingerprint, line and
    title may change without making it another finding; without one, they are part of what identifies the finding (see
    `identity`).
    """

    finding_id: str | None
    scanner: str | None
    category: str | None
    severity: str | None
    title: str | None
    description: str | None
    service_name: str | None
    repo_url: str | None
    file_path: str | None
    line_number: int | str | None
    cwe_id: str | None
    dependency_name: str | None
    current_version: str | None
    fixed_version: str | None
    language: str | None
    rule_id: str | None
    fingerprint: str | None


@dataclass(frozen=True)
class Skipped:
    """Something that the document itself does not count as an open finding; counted by reason."""

    reason: str
    count: int = 1


@dataclass(frozen=True)
class Note:
    """A sentence about the document that a person should see, such as errors that the scanner had."""

    sentence: str


Item = Row | Skipped | Note


class Unreadable(Exception):
    """A document is not what its format demands; the message is a clause that follows the file's name."""


def text(value: object) -> str | None:
    """Return a text that is not blank, or a number as text; None for anything else."""
    # In Python a bool is an int, and "True" is no text that a scanner wrote.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def first_text(*values: object) -> str | None:
    """Return the first of some values that is a text."""
    return next((found for found in map(text, values) if found), None)


def fields(value: object) -> dict[str, Any]:
    """Return an object's fields; none if the value is not an object."""
    return value if isinstance(value, dict) else {}


def elements(value: object) -> list[Any]:
    """Return a list's elements; none if the value is not a list."""
    return value if isinstance(value, list) else []


def objects(parent: dict[str, Any], name: str, *, optional: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list in `parent`; raise Unreadable if it is not a list of objects.

    If `optional`, a list that is missing or null counts as empty.
    """
    value = parent.get(name)
    if value is None and optional:
        return
    if not isinstance(value, list):
        raise Unreadable(f"has no list of {name}")
    for number, one in enumerate(value):
        if not isinstance(one, dict):
            raise Unreadable(f"has an element in its list of {name} that is not an object, at {number}")
        yield one


def line_of(value: object) -> int | None:
    """Return the number of a line; None if there is none, which some tools write as 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def paragraphs(*parts: object) -> str:
    """Return the texts among some values as paragraphs, each once."""
    return "\n\n".join(dict.fromkeys(found.strip() for found in map(text, parts) if found))


def generated_id(rule_id: str | None, *place: object) -> str:
    """Return an id for a finding that has none of its own: the rule's last word and a hash of rule and place.

    It is a label for people; what identifies a finding is its finding key.
    """
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", re.split(r"[/.:]", (rule_id or "").strip().rstrip("/.:"))[-1]).strip("-")
    digest = hashlib.sha256(repr((rule_id, *place)).encode(errors="replace")).hexdigest()
    return f"{word[:48] or 'finding'}-{digest[:8]}"
