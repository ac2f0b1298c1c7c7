"""The v1 endpoints of sessions, over the same world as those of v3."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from .access import ORGANISATION, TheWorld, find_listening_session, find_running_session, find_session
from .requests import CreateSession, SendMessage, TagList
from .session_creation import start_session
from .v1_bodies import session_body, session_body_with_messages

router = APIRouter(prefix="/v1/sessions")


class CreateSessionV1(CreateSession):
    """The body of a v1 create request."""

    idempotent: bool = False


@router.post("")
async def create(world: TheWorld, request: CreateSessionV1) -> dict[str, Any]:
    """Create a session; an idempotent request returns the one that already has this prompt, if any."""
    session = await start_session(world, ORGANISATION, request, idempotent=request.idempotent)
    # Documented for idempotent requests only.
    novelty = {"is_new_session": session.is_new} if request.idempotent else {}
    return {"session_id": session.session_id, "url": session.url} | novelty


@router.get("")
def list_page(
    world: TheWorld,
    tags: Annotated[Sequence[str], Query()] = (),
    limit: Annotated[int, Query(ge=1, lt=2**31)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    skip: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> dict[str, Any]:
    """List sessions, newest first, without saying whether more follow."""
    # The documentation has both `offset` and `skip` for one thing.
    found = world.sessions(ORGANISATION, tags, limit, None, skip=offset if skip is None else skip)
    return {"sessions": [session_body(session) for session in found]}


@router.get("/{session_id}")
def get(world: TheWorld, session_id: str) -> dict[str, Any]:
    """Return a session."""
    return session_body_with_messages(world, find_session(world, ORGANISATION, session_id))


@router.delete("/{session_id}")
def terminate(world: TheWorld, session_id: str) -> dict[str, Any]:
    """Terminate a session, which can still be read."""
    session = find_running_session(world, ORGANISATION, session_id)
    world.end_session(session, archive=False)
    return {"detail": "Session terminated successfully"}


@router.post("/{session_id}/message")
def send_message(world: TheWorld, session_id: str, request: SendMessage) -> dict[str, Any] | None:
    """Send a message to a session, which resumes a suspended one."""
    session = find_listening_session(world, ORGANISATION, session_id)
    was_suspended = session.shows.status == "suspended"
    status = world.send_message(session, request.message).shows.status
    if not was_suspended:
        return None
    # Without quota it stays suspended.
    return {"detail": "Session is suspended" if status == "suspended" else "Session was suspended and is being resumed"}


@router.put("/{session_id}/tags")
def replace_tags(world: TheWorld, session_id: str, request: TagList) -> dict[str, Any]:
    """Replace a session's tags."""
    world.set_tags(find_session(world, ORGANISATION, session_id), request.tags)
    return {"detail": "Tags updated successfully"}
