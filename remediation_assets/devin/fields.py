"""Fields of the API's JSON objects, read leniently: what is odd or missing costs only itself.

Only what identifies a thing is indispensable; its absence raises Malformed, and nothing else does.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .answers import Malformed
from .errors import RefusedRequest
from .types import Playbook

NOT_TOLD = datetime.fromtimestamp(0, UTC)


def object_of(body: Any, what: str) -> dict[str, Any]:
    """Give the body as a JSON object, or raise Malformed."""
    if not isinstance(body, dict):
        raise Malformed(f"expected {what}, got {type(body).__name__}")
    return body


def identifier(fields: dict[str, Any], name: str) -> str:
    """Give a field that identifies a thing, or raise Malformed."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Malformed(f"{name} is missing or no text")
    return value


def text(value: Any) -> str | None:
    """Give a text, None for anything else."""
    return value if isinstance(value, str) else None


def list_of(value: Any) -> list[Any]:
    """Give a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def texts(value: Any) -> tuple[str, ...]:
    """Give the texts in a list."""
    return tuple(item for item in list_of(value) if isinstance(item, str))


def number(value: Any) -> float | None:
    """Give a number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def moment(value: Any) -> datetime | None:
    """Give a time in UTC, told as unix seconds (v3) or in ISO form (v1); None for anything else."""
    try:
        if isinstance(value, str):
            told = datetime.fromisoformat(value)
            return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
        seconds = number(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def session_page(session_id: str, told: Any) -> str:
    """Give the address of a session's page: the one told, else where it usually is."""
    return text(told) or f"https://app.devin.ai/sessions/{session_id.removeprefix('devin-')}"


def segment(name: str) -> str:
    """Quote a name for its place in a path, which it then cannot leave; RefusedRequest where it would."""
    if name in ("", ".", ".."):
        raise RefusedRequest("any", "path", None, f"not sent: {name!r} cannot be an id")
    return quote(name, safe="", errors="replace")


def session_segment(session_id: str) -> str:
    """Quote a session's id for a path; the prefix is wanted there, but not always given."""
    return segment(session_id if session_id.startswith("devin-") else f"devin-{session_id}")


def playbook(body: Any) -> Playbook:
    """Read a playbook, which looks the same in all versions; only its id is indispensable."""
    fields = object_of(body, "a playbook")
    return Playbook(
        playbook_id=identifier(fields, "playbook_id"),
        title=text(fields.get("title")) or "",
        body=text(fields.get("body")) or "",
    )
