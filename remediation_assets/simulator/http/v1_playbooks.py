"""The v1 endpoints of playbooks."""

from typing import Any

from fastapi import APIRouter

from .access import ORGANISATION, TheWorld, find_playbook
from .requests import WritePlaybook
from .v1_bodies import playbook_body

router = APIRouter(prefix="/v1/playbooks")

_ALL = 1_000_000  # v1 does not page its playbooks


@router.get("")
def list_all(world: TheWorld) -> list[dict[str, Any]]:
    """List all playbooks at once, oldest first."""
    return [playbook_body(playbook) for playbook in world.playbooks.page(ORGANISATION, _ALL, 0)]


@router.post("")
def create(world: TheWorld, request: WritePlaybook) -> dict[str, Any]:
    """Create a playbook."""
    return playbook_body(world.playbooks.create(ORGANISATION, request.title, request.body, request.macro))


@router.get("/{playbook_id}")
def get(world: TheWorld, playbook_id: str) -> dict[str, Any]:
    """Return a playbook."""
    return playbook_body(find_playbook(world, ORGANISATION, playbook_id))


@router.put("/{playbook_id}")
def replace(world: TheWorld, playbook_id: str, request: WritePlaybook) -> dict[str, Any]:
    """Replace a playbook's title, body and macro."""
    found = find_playbook(world, ORGANISATION, playbook_id)
    return playbook_body(world.playbooks.replace(found, request.title, request.body, request.macro))


@router.delete("/{playbook_id}")
def delete(world: TheWorld, playbook_id: str) -> dict[str, Any]:
    """Remove a playbook."""
    world.playbooks.delete(find_playbook(world, ORGANISATION, playbook_id))
    return {"detail": "Playbook deleted successfully"}
