"""The v3 wire's shapes: what requests may hold, and what the world's things look like as JSON.

Names, nulls and limits as the API documents them; unknown fields of a request are ignored.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import HTTPException
from pydantic import AfterValidator, BaseModel, Field

from .playbooks import SimulatedPlaybook
from .world import SimulatedSession

PROMPT_LIMIT = 30_000
SCHEMA_LIMIT = 64 * 1024


def _fits(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if len(json.dumps(schema)) > SCHEMA_LIMIT:
        raise ValueError("structured_output_schema must not exceed 64KB")
    return schema


Tags = Annotated[list[str], Field(max_length=50)]


class CreateSession(BaseModel):
    """The fields of a session request that the simulator knows."""

    prompt: str
    title: str | None = None
    tags: Tags | None = None
    playbook_id: str | None = None
    repos: list[str] | None = None
    knowledge_ids: list[str] | None = None
    secret_ids: list[str] | None = None
    max_acu_limit: Annotated[int, Field(gt=0)] | None = None
    structured_output_schema: Annotated[dict[str, Any] | None, AfterValidator(_fits)] = None


class SendMessage(BaseModel):
    """A user's message."""

    message: str


class TagList(BaseModel):
    """A session's tags, or those to set or add."""

    tags: Tags


class WritePlaybook(BaseModel):
    """A playbook to make, or to put in another's place."""

    title: str
    body: str
    macro: Annotated[str, Field(pattern=r"^![A-Za-z0-9_-]+$")] | None = None


def session_body(session: SimulatedSession, *, told: bool) -> dict[str, Any]:
    """Write a session; only get and list have `told` its detail and structured output."""
    shows = session.shows
    return {
        "session_id": session.session_id,
        "url": f"https://app.devin.ai/sessions/{session.session_id.removeprefix('devin-')}",
        "status": shows.status,
        "status_detail": shows.detail if told else None,
        "title": session.title,
        "tags": list(session.tags),
        "org_id": session.org_id,
        "created_at": int(session.life.created_at),
        "updated_at": int(shows.updated_at),
        "acus_consumed": shows.acus_consumed,
        "pull_requests": [{"pr_url": shows.pull_request, "pr_state": "open"}] if shows.pull_request else [],
        "structured_output": shows.output if told else None,
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
    """Write a playbook."""
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
    """Write a page of up to `first` items; an item too many, and its number, tell that more follow."""
    more = len(items) > first
    return {
        "items": list(items[:first]),
        "has_next_page": more,
        "end_cursor": _cursor(numbers[first - 1]) if more else None,
        "total": None,
    }


def place_of(cursor: str | None) -> int | None:
    """Read a cursor that a page gave; 400 for anything else."""
    if cursor is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        raise HTTPException(400, "Invalid cursor") from None


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()
