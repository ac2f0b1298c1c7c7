"""The v3 endpoints of sessions: each reads or changes the world, and answers with the JSON of v3."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from .access import TheWorld, find_listening_session, find_running_session, find_session
from .requests import TAGS_LIMIT, CreateSession, SendMessage, TagList
from .session_creation import start_session
from .v3_bodies import page_body, position_of, session_body

PageSize = Annotated[int, Query(ge=1, le=200)]

router = APIRouter(prefix="/v3/organizations/{org_id}/sessions")


class CreateSessionV3(CreateSession):
    """The body of a v3 create request."""

    repos: list[str] | None = None


@router.post("")
async def create(world: TheWorld, org_id: str, request: CreateSessionV3) -> dict[str, Any]:
    """Create a session."""
    return session_body(await start_session(world, org_id, request, request.repos or ()), in_full=False)


@router.get("")
def list_page(
    world: TheWorld,
    org_id: str,
    tags: Annotated[Sequence[str], Query()] = (),
    first: PageSize = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """List sessions, newest first; a session needs all of several tags, which the real API does not document."""
    # One item beyond the page shows whether another page follows.
    found = world.sessions(org_id, tags, first + 1, position_of(after))
    bodies = [session_body(session, in_full=True) for session in found]
    return page_body(bodies, [session.number for session in found], first)


@router.get("/{devin_id}")
def get(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Return a session."""
    return session_body(find_session(world, org_id, devin_id), in_full=True)


@router.delete("/{devin_id}")
def terminate(world: TheWorld, org_id: str, devin_id: str, archive: bool = False) -> dict[str, Any]:
    """Terminate a session, which can still be read."""
    session = find_running_session(world, org_id, devin_id)
    return session_body(world.end_session(session, archive=archive), in_full=False)


@router.post("/{devin_id}/archive")
def archive(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Archive a session."""
    return session_body(world.archive_session(find_session(world, org_id, devin_id)), in_full=False)


@router.get("/{devin_id}/messages")
def list_messages(
    world: TheWorld, org_id: str, devin_id: str, first: PageSize = 100, after: str | None = None
) -> dict[str, Any]:
    """List a session's conversation, oldest first."""
    session = find_session(world, org_id, devin_id)
    start = position_of(after) or 0
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
    """Send a message to a session, which resumes a suspended one."""
    session = find_listening_session(world, org_id, devin_id)
    return session_body(world.send_message(session, request.message), in_full=False)


@router.get("/{devin_id}/tags")
def list_tags(world: TheWorld, org_id: str, devin_id: str) -> dict[str, Any]:
    """Return a session's tags."""
    return {"tags": find_session(world, org_id, devin_id).tags}


@router.post("/{devin_id}/tags")
def add_tags(world: TheWorld, org_id: str, devin_id: str, request: TagList) -> dict[str, Any]:
    """Add tags to those of a session, each once."""
    tags = world.add_tags(find_session(world, org_id, devin_id), request.tags, TAGS_LIMIT)
    if tags is None:
        raise HTTPException(400, f"A session may have at most {TAGS_LIMIT} tags")
    return {"tags": tags}


@router.put("/{devin_id}/tags")
def replace_tags(world: TheWorld, org_id: str, devin_id: str, request: TagList) -> dict[str, Any]:
    """Replace a session's tags."""
    unique = list(dict.fromkeys(request.tags))
    world.set_tags(find_session(world, org_id, devin_id), unique)
    return {"tags": unique}
