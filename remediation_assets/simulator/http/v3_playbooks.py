"""The v3 endpoints of playbooks."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from .access import TheWorld, find_playbook
from .requests import WritePlaybook
from .v3_bodies import page_body, playbook_body, position_of

router = APIRouter(prefix="/v3/organizations/{org_id}/playbooks")


@router.get("")
def list_page(
    world: TheWorld,
    org_id: str,
    first: Annotated[int, Query(ge=1, le=200)] = 100,
    after: str | None = None,
) -> dict[str, Any]:
    """List playbooks, oldest first."""
    found = world.playbooks.page(org_id, first + 1, position_of(after) or 0)
    bodies = [playbook_body(playbook) for playbook in found]
    return page_body(bodies, [playbook.number for playbook in found], first)


@router.post("")
def create(world: TheWorld, org_id: str, request: WritePlaybook) -> dict[str, Any]:
    """Create a playbook."""
    return playbook_body(world.playbooks.create(org_id, request.title, request.body, request.macro))


@router.get("/{playbook_id}")
def get(world: TheWorld, org_id: str, playbook_id: str) -> dict[str, Any]:
    """Return a playbook."""
    return playbook_body(find_playbook(world, org_id, playbook_id))


@router.put("/{playbook_id}")
def replace(world: TheWorld, org_id: str, playbook_id: str, request: WritePlaybook) -> dict[str, Any]:
    """Replace a playbook's title, body and macro."""
    found = find_playbook(world, org_id, playbook_id)
    return playbook_body(world.playbooks.replace(found, request.title, request.body, request.macro))


@router.delete("/{playbook_id}")
def delete(world: TheWorld, org_id: str, playbook_id: str) -> dict[str, Any]:
    """Remove a playbook, and return it a last time."""
    found = find_playbook(world, org_id, playbook_id)
    world.playbooks.delete(found)
    return playbook_body(found)
