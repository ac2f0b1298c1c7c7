"""The fields of the API's JSON objects, read leniently: an odd or missing field does not affect the others.

Only the field that identifies a thing is required; without it, Malformed is raised. Fields change without
notice, and a field in a new form must not make all sessions unreadable.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .errors import RefusedRequest
from .responses import Malformed
from .types import Playbook

UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


def object_of(body: Any, what: str) -> dict[str, Any]:
    """Return the body as a JSON object, or raise Malformed."""
    if not isinstance(body, dict):
        raise Malformed(f"expected {what}, got {type(body).__name__}")
    return body


def identifier(fields: dict[str, Any], name: str) -> str:
    """Return a field that identifies a thing, or raise Malformed."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Malformed(f"{name} is missing or not a string")
    return value


def text(value: Any) -> str | None:
    """Return a string, or None for anything else."""
    return value if isinstance(value, str) else None


def list_of(value: Any) -> list[Any]:
    """Return a list, an empty one for anything else."""
    return value if isinstance(value, list) else []


def texts(value: Any) -> tuple[str, ...]:
    """Return the strings in a list."""
    return tuple(item for item in list_of(value) if isinstance(item, str))


def number(value: Any) -> float | None:
    """Return a number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of 400 digits is valid JSON
        return None


def moment(value: Any) -> datetime | None:
    """Return a time in UTC from unix seconds (v3) or ISO form (v1); None for anything else."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            # v1 sends some times without a zone; they are UTC all the same.
            return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        seconds = number(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def session_page(session_id: str, url: Any) -> str:
    """Return the address of a session's page: the API's `url`, else where the page usually is."""
    return text(url) or f"https://app.devin.ai/sessions/{session_id.removeprefix('devin-')}"


def segment(name: str) -> str:
    """Quote an id as one segment of a path, or raise RefusedRequest if the path would lead elsewhere."""
    # Quoting leaves dots alone, and a client or proxy resolves "..": a DELETE would reach another address.
    if name in ("", ".", ".."):
        raise RefusedRequest("any", "path", None, f"not sent: {name!r} cannot be an id")
    return quote(name, safe="", errors="replace")


def session_segment(session_id: str) -> str:
    """Quote a session's id for a path, with the prefix that paths need; not every id has it."""
    return segment(session_id if session_id.startswith("devin-") else f"devin-{session_id}")


def playbook(body: Any) -> Playbook:
    """Read a playbook, which looks the same in all versions; only its id is required."""
    fields = object_of(body, "a playbook")
    return Playbook(
        playbook_id=identifier(fields, "playbook_id"),
        title=text(fields.get("title")) or "",
        body=text(fields.get("body")) or "",
    )
