"""What endpoints need first: a key that could be one, the world, and the thing that the path names."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from .playbooks import SimulatedPlaybook
from .world import SimulatedSession, World

ORGANISATION = "org-simulator"
"""The organisation that keys belong to; v3 serves others too, each with sessions of its own."""


def check_key(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """Let any key of the version's form pass; 401 in the API's own words for all else."""
    scheme, _, key = authorization.partition(" ")
    # Keys of one version do not work on the other.
    form = "apk_" if request.url.path.startswith("/v1/") else "cog_"
    if scheme.lower() != "bearer" or not key.startswith(form):
        raise HTTPException(401, "Unauthenticated")


def _world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


TheWorld = Annotated[World, Depends(_world_of)]


def found_session(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Give the session that a path names, or 404."""
    # Documented is the id with its prefix; that the bare one works too is what clients rely on.
    session = world.session(org_id, f"devin-{session_id.removeprefix('devin-')}")
    if session is None:
        raise HTTPException(404, "Session not found")
    return session


def found_running(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Give the session that a DELETE names; 404 also where it has ended already.

    What the API says to a second DELETE is not documented; clients take 404 for "already gone".
    """
    session = found_session(world, org_id, session_id)
    if session.shows.status == "exit":
        raise HTTPException(404, "Session not found or already terminated")
    return session


def found_listening(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Give the session that a message is for; 400 where it has ended, by itself or by order."""
    session = found_session(world, org_id, session_id)
    if session.shows.status in ("exit", "error"):
        raise HTTPException(400, "Session has been terminated and cannot be resumed")
    return session


def found_playbook(world: World, org_id: str, playbook_id: str) -> SimulatedPlaybook:
    """Give the playbook that a path names, or 404."""
    playbook = world.playbooks.get(org_id, playbook_id)
    if playbook is None:
        raise HTTPException(404, "Playbook not found")
    return playbook
