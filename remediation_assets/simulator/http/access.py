"""What every endpoint needs first: a key of the right form, the world, and the object that the path names."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from remediation_assets.simulator.world.playbooks import SimulatedPlaybook
from remediation_assets.simulator.world.world import SimulatedSession, World

ORGANISATION = "org-simulator"
"""The organisation that keys belong to; v3 serves others as well, each with sessions of its own."""


def check_key(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """Accept any key of the version's form; answer 401 in the API's own words to everything else."""
    scheme, _, key = authorization.partition(" ")
    # Keys of one version do not work on the other.
    form = "apk_" if request.url.path.startswith("/v1/") else "cog_"
    if scheme.lower() != "bearer" or not key.startswith(form):
        raise HTTPException(401, "Unauthenticated")


def _world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


TheWorld = Annotated[World, Depends(_world_of)]


def find_session(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Return the session that a path names, or answer 404."""
    # Only the id with its prefix is documented, but clients rely on the bare one, which works as well.
    session = world.session(org_id, f"devin-{session_id.removeprefix('devin-')}")
    if session is None:
        raise HTTPException(404, "Session not found")
    return session


def find_running_session(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Return the session that a DELETE names; answer 404 if the session has ended already.

    The answer to a second DELETE is not documented; clients take 404 for "has ended already".
    """
    session = find_session(world, org_id, session_id)
    if session.shows.status == "exit":
        raise HTTPException(404, "Session not found or already terminated")
    return session


def find_listening_session(world: World, org_id: str, session_id: str) -> SimulatedSession:
    """Return the session that a message is for; answer 400 if the session has ended, by itself or on request."""
    session = find_session(world, org_id, session_id)
    if session.shows.status in ("exit", "error"):
        raise HTTPException(400, "Session has been terminated and cannot be resumed")
    return session


def find_playbook(world: World, org_id: str, playbook_id: str) -> SimulatedPlaybook:
    """Return the playbook that a path names, or answer 404."""
    playbook = world.playbooks.get(org_id, playbook_id)
    if playbook is None:
        raise HTTPException(404, "Playbook not found")
    return playbook
