"""The v3 endpoints of sessions: each asks or changes the world, and answers in the wire's shapes."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from .access import TheWorld, found_listening, found_running, found_session
from .creating import start_session
from .requests import TAGS_LIMIT, CreateSession, SendMessage, TagList
from .v3_wire import page_body, place_of, session_body

PageSize = Annotated[int, Query(ge=1, le=200)]

router = APIRouter(prefix="/v3/organizations/{org_id}/sessions")


class CreateSessionV3(CreateSession):
    """A v3 request for a session."""

    repos: list[str] | None = None


@router.post("")
async def create(world: TheWorld, org_id: str, request: CreateSessionV3) -> dict[str, Any]:
    """Start a session."""
    return session_body(await start_session(world, org_id, request, request.repos or ()), told=False)


@router.get("")
def list_page(
    world: TheWorld,
    org_id: str,
    tags: Annotated[Sequence[str], Query()] = (),
    first: PageSize = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """List sessions, newest first; several tags mean all of them, which the API does not document."""
    found = world.sessions(org_id, tags, first + 1, place_of(after))
    bodies = [session_body(session, told=True) for session in found]
    return page_body(bodies, [session.number for session in found], first)


@router.get("/{devin_id}")
def get(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Show a session."""
    return session_body(found_session(world, org_id, devin_id), told=True)


@router.delete("/{devin_id}")
def terminate(world: TheWorld, org_id: str, devin_id: str, archive: bool = False) -> dict[str, Any]:
    """End a session; it stays to be read."""
    session = found_running(world, org_id, devin_id)
    return session_body(world.end_session(session, archive=archive), told=False)


@router.post("/{devin_id}/archive")
def archive(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Archive a session."""
    return session_body(world.archive_session(found_session(world, org_id, devin_id)), told=False)


@router.get("/{devin_id}/messages")
def list_messages(
    world: TheWorld, org_id: str, devin_id: str, first: PageSize = 100, after: str | None = None
) -> dict[str, Any]:
    """List a session's conversation, oldest first."""
    session = found_session(world, org_id, devin_id)
    start = place_of(after) or 0
    rest = world.conversation(session)[start:]
    bodies = [
        {
            "created_at": int(at),
            "event_id": f"event-{session.number}-{number}",
            "message": text,
            "source": source,
        }
        for number, (at, source, text) in enumerate(rest, start=start)
    ]
    return page_body(bodies, range(start + 1, start + 1 + len(rest)), first)


@router.post("/{devin_id}/messages")
def send_message(world: TheWorld, org_id: str, devin_id: str, request: SendMessage) -> dict[str, Any]:
    """Say something to a session, and wake it where it sleeps."""
    session = found_listening(world, org_id, devin_id)
    return session_body(world.send_message(session, request.message), told=False)


@router.get("/{devin_id}/tags")
def list_tags(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Show a session's tags."""
    return {"tags": found_session(world, org_id, devin_id).tags}


@router.post("/{devin_id}/tags")
def add_tags(world: TheWorld, org_id: str, devin_id: str, request: TagList) -> dict[str, Any]:
    """Add tags to a session's; those it has already stay once."""
    tags = world.add_tags(found_session(world, org_id, devin_id), request.tags, TAGS_LIMIT)
    if tags is None:
        raise HTTPException(400, f"A session may have at most {TAGS_LIMIT} tags")
    return {"tags": tags}


@router.put("/{devin_id}/tags")
def replace_tags(world: TheWorld, org_id: str, devin_id: str, request: TagList) -> dict[str, Any]:
    """Replace a session's tags."""
    unique = list(dict.fromkeys(request.tags))
    world.set_tags(found_session(world, org_id, devin_id), unique)
    return {"tags": unique}
