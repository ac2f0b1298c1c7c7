"""What a reader gives, and how it takes values out of a file that may hold anything."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict


class Row(TypedDict, total=False):
    """One finding as a file tells it, by the fields of `Finding`: severity and category in our words.

    `file_path` is as the scanner wrote it; `repo_url` and `service_name` are left out where a file
    does not tell them. What is missing or wrong is found when rows are judged, not here.
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
class LeftOut:
    """Something that the file itself says is no open finding; it is counted, by reason."""

    reason: str
    count: int = 1


@dataclass(frozen=True)
class Note:
    """A sentence about the file that a person should see, such as errors that the scanner had."""

    sentence: str


Item = Row | LeftOut | Note


class Unreadable(Exception):
    """The content is not what its format demands; the text is a clause that follows the file's name."""


def text(value: object) -> str | None:
    """Give a text that says something, or a number as one; None for all else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def first_text(*values: object) -> str | None:
    """Give the first of some values that says something."""
    return next((found for found in map(text, values) if found), None)


def fields(value: object) -> dict[str, Any]:
    """Give an object's fields; none for what is no object."""
    return value if isinstance(value, dict) else {}


def elements(value: object) -> list[Any]:
    """Give a list's elements; none for what is no list."""
    return value if isinstance(value, list) else []


def objects(parent: dict[str, Any], name: str, *, optional: bool = True) -> Iterator[dict[str, Any]]:
    """Give the objects of a list that `parent` holds; raises Unreadable where it is no list of objects."""
    value = parent.get(name)
    if value is None and optional:
        return
    if not isinstance(value, list):
        raise Unreadable(f"has no list of {name}")
    for number, one in enumerate(value):
        if not isinstance(one, dict):
            raise Unreadable(f"has something in its list of {name} that is no object, at {number}")
        yield one


def line_of(value: object) -> int | None:
    """Give a line's number; None where it is not told, for which some tools write 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def joined(*parts: object) -> str:
    """Give the texts among some values as paragraphs, each once."""
    return "\n\n".join(dict.fromkeys(found.strip() for found in map(text, parts) if found))


def made_id(rule_id: str | None, *place: object) -> str:
    """Make an id for a finding that has none of its own: its rule's last word and a hash of rule and place."""
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", re.split(r"[/.:]", (rule_id or "").strip().rstrip("/.:"))[-1]).strip("-")
    digest = hashlib.sha256(repr((rule_id, *place)).encode(errors="replace")).hexdigest()
    return f"{word[:48] or 'finding'}-{digest[:8]}"
