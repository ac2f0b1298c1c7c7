"""The JSON of v3: sessions, playbooks and pages with names and nulls as documented."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from fastapi import HTTPException

from remediation_assets.simulator.world.playbooks import SimulatedPlaybook
from remediation_assets.simulator.world.world import SimulatedSession


def session_body(session: SimulatedSession, *, in_full: bool) -> dict[str, Any]:
    """Return a session; only GET and lists have it `in_full`, with its detail and structured output."""
    # The real v3 answers a POST with nulls there, and a client that reads an outcome from it would err.
    shows = session.shows
    return {
        "session_id": session.session_id,
        "url": session.url,
        "status": shows.status,
        "status_detail": shows.detail if in_full else None,
        "title": session.title,
        "tags": list(session.tags),
        "org_id": session.org_id,
        "created_at": int(session.life.created_at),
        "updated_at": int(shows.updated_at),
        "acus_consumed": shows.acus_consumed,
        "pull_requests": [{"pr_url": shows.pull_request, "pr_state": "open"}] if shows.pull_request else [],
        "structured_output": shows.output if in_full else None,
        "playbook_id": session.playbook_id,
        "user_id": None,
        "service_user_id": "service-user-simulator",
        "parent_session_id": None,
        "child_session_ids": None,
        "is_archived": session.is_archived,
        "origin": "api",
        "category": None,
        "subcategory": None,
    }


def playbook_body(playbook: SimulatedPlaybook) -> dict[str, Any]:
    """Return a playbook."""
    return {
        "playbook_id": playbook.playbook_id,
        "title": playbook.title,
        "body": playbook.body,
        "macro": playbook.macro,
        "access_type": "org",
        "org_id": playbook.org_id,
        "created_at": int(playbook.created_at),
        "updated_at": int(playbook.updated_at),
        "created_by": "service-user-simulator",
        "updated_by": "service-user-simulator",
    }


def page_body(items: Sequence[dict[str, Any]], numbers: Sequence[int], first: int) -> dict[str, Any]:
    """Return a page of up to `first` items; an additional item in `items` means that another page follows."""
    more = len(items) > first
    return {
        "items": list(items[:first]),
        "has_next_page": more,
        "end_cursor": _cursor(numbers[first - 1]) if more else None,
        "total": None,
    }


def position_of(cursor: str | None) -> int | None:
    """Return the position in a cursor that a page returned; answer 400 to anything else."""
    if cursor is None:
        return None
    try:
        position = int(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        position = -1
    if not 0 <= position < 2**63:
        raise HTTPException(400, "Invalid cursor")
    return position


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()
