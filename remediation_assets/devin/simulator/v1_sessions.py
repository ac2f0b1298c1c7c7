"""The v1 endpoints of sessions, which see the same world as v3's."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from .access import ORGANISATION, TheWorld, found_listening, found_running, found_session
from .creating import start_session
from .requests import CreateSession, SendMessage, TagList
from .v1_wire import session_body, whole_session_body

router = APIRouter(prefix="/v1/sessions")


class CreateSessionV1(CreateSession):
    """A v1 request for a session."""

    idempotent: bool = False


@router.post("")
async def create(world: TheWorld, request: CreateSessionV1) -> dict[str, Any]:
    """Start a session, or give the one that had the same prompt before where it is idempotent."""
    session = await start_session(world, ORGANISATION, request, idempotent=request.idempotent)
    told = {"is_new_session": session.is_new} if request.idempotent else {}
    return {"session_id": session.session_id, "url": session.url} | told


@router.get("")
def list_page(
    world: TheWorld,
    tags: Annotated[Sequence[str], Query()] = (),
    limit: Annotated[int, Query(ge=1, lt=2**31)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    skip: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> dict[str, Any]:
    """List sessions, newest first; whether more follow is not told."""
    found = world.sessions(ORGANISATION, tags, limit, None, skip=offset if skip is None else skip)
    return {"sessions": [session_body(session) for session in found]}


@router.get("/{session_id}")
def get(world: TheWorld, session_id: str) -> dict[str, Any]:
    """Show a session."""
    return whole_session_body(world, found_session(world, ORGANISATION, session_id))


@router.delete("/{session_id}")
def terminate(world: TheWorld, session_id: str) -> dict[str, Any]:
    """End a session; it stays to be read."""
    session = found_running(world, ORGANISATION, session_id)
    world.end_session(session, archive=False)
    return {"detail": "Session terminated successfully"}


@router.post("/{session_id}/message")
def send_message(world: TheWorld, session_id: str, request: SendMessage) -> dict[str, Any] | None:
    """Say something to a session, and wake it where it sleeps."""
    session = found_listening(world, ORGANISATION, session_id)
    was_suspended = session.shows.status == "suspended"
    told = world.send_message(session, request.message).shows.status
    if was_suspended:
        return {
            "detail": "Session is suspended" if told == "suspended" else "Session was suspended and is being resumed"
        }
    return None


@router.put("/{session_id}/tags")
def replace_tags(world: TheWorld, session_id: str, request: TagList) -> dict[str, Any]:
    """Replace a session's tags."""
    world.set_tags(found_session(world, ORGANISATION, session_id), request.tags)
    return {"detail": "Tags updated successfully"}
