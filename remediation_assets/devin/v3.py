"""The v3 wire: its paths, and its JSON made into our types.

Strict about what identifies a thing, lenient about everything else: unknown fields are ignored,
missing ones tolerated. A body that cannot be used raises Malformed, and nothing else.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .answers import Malformed
from .types import DevinSession, Identity, Message, Playbook, PullRequest

SELF = "/v3/self"
PAGE_SIZE = 200  # the most that v3 gives
NOT_TOLD = datetime.fromtimestamp(0, UTC)


def organisation_path(org_id: str) -> str:
    """Give the path under which all of an organisation's things are."""
    return f"/v3/organizations/{_segment(org_id)}"


def session_path(session_id: str) -> str:
    """Give a session's path in its organisation; the prefix is wanted there, but not always given."""
    name = session_id if session_id.startswith("devin-") else f"devin-{session_id}"
    return f"/sessions/{_segment(name)}"


def session(body: Any) -> DevinSession:
    """Read a session; only its id is indispensable."""
    fields = _object(body, "a session")
    session_id = _identifier(fields, "session_id")
    created_at = _moment(fields.get("created_at")) or NOT_TOLD
    return DevinSession(
        session_id=session_id,
        url=_text(fields.get("url")) or f"https://app.devin.ai/sessions/{session_id.removeprefix('devin-')}",
        status=_text(fields.get("status")) or "unknown",
        status_detail=_text(fields.get("status_detail")),
        pull_requests=tuple(_pull_requests(fields.get("pull_requests"))),
        structured_output=fields.get("structured_output"),
        acus_consumed=_number(fields.get("acus_consumed")),
        created_at=created_at,
        updated_at=_moment(fields.get("updated_at")) or created_at,
        tags=tuple(tag for tag in _list(fields.get("tags")) if isinstance(tag, str)),
        title=_text(fields.get("title")),
        is_archived=fields.get("is_archived") is True,
        raw=fields,
    )


def message(body: Any) -> Message:
    """Read one message of a conversation."""
    fields = _object(body, "a message")
    return Message(
        source=_text(fields.get("source")) or "unknown",
        text=_text(fields.get("message")) or "",
        created_at=_moment(fields.get("created_at")),
    )


def playbook(body: Any) -> Playbook:
    """Read a playbook; only its id is indispensable."""
    fields = _object(body, "a playbook")
    return Playbook(
        playbook_id=_identifier(fields, "playbook_id"),
        title=_text(fields.get("title")) or "",
        body=_text(fields.get("body")) or "",
    )


def identity(body: Any) -> Identity:
    """Read whom a key belongs to."""
    fields = _object(body, "an identity")
    names = (_text(fields.get(key)) for key in ("service_user_name", "api_key_name", "user_name"))
    return Identity(
        principal_type=_text(fields.get("principal_type")) or "unknown",
        org_id=_text(fields.get("org_id")) or None,
        name=next((name for name in names if name), None),
    )


def page(body: Any) -> tuple[list[Any], str | None]:
    """Read a page: its items, and the cursor of the next page or None after the last.

    A page that says there are more but not where raises Malformed: what is missing may matter.
    """
    if isinstance(body, list):
        return body, None
    fields = _object(body, "a page")
    items, cursor = fields.get("items"), _text(fields.get("end_cursor"))
    if not isinstance(items, list):
        raise Malformed("expected a page with a list of items")
    if not fields.get("has_next_page", cursor is not None):
        return items, None
    if not cursor:
        raise Malformed("the page says that more follow, but gives no cursor to them")
    return items, cursor


def _segment(name: str) -> str:
    return quote(name, safe="", errors="replace")


def _object(body: Any, what: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Malformed(f"expected {what}, got {type(body).__name__}")
    return body


def _identifier(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Malformed(f"{name} is missing or no text")
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _moment(value: Any) -> datetime | None:
    # v3 tells unix seconds; the ISO form of the older versions costs nothing to accept.
    try:
        if isinstance(value, str):
            told = datetime.fromisoformat(value)
            return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
        seconds = _number(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _pull_requests(value: Any) -> Iterator[PullRequest]:
    for entry in _list(value):
        url = _text(entry.get("pr_url")) if isinstance(entry, dict) else None
        if url:
            yield PullRequest(url=url, state=_text(entry.get("pr_state")))
