"""The JSON of v1: sessions and playbooks with names and nulls as documented."""

from datetime import UTC, datetime
from typing import Any

from remediation_assets.simulator.world.playbooks import SimulatedPlaybook
from remediation_assets.simulator.world.world import SimulatedSession, World

_WAITS = ("waiting_for_user", "waiting_for_approval", "inactivity", "user_request")


def status_words(status: str, detail: str | None) -> tuple[str, str | None]:
    """Translate v3's status words into those of v1: its coarse `status`, and `status_enum`.

    v1 has no word of its own for an error, and none that distinguishes quota from other suspensions.
    """
    if status == "error":
        return status, None
    if status == "exit" or detail == "finished":
        return status, "finished"
    if detail in _WAITS:
        return status, "blocked"
    if status == "suspended":
        return status, "suspend_requested"
    if status == "resuming":
        return "running", "resume_requested"
    if status in ("new", "claimed", "running"):
        return "running", "working"
    return status, detail


def session_body(session: SimulatedSession) -> dict[str, Any]:
    """Return a session as it appears in lists."""
    shows = session.shows
    status, status_enum = status_words(shows.status, shows.detail)
    return {
        "session_id": session.session_id,
        "status": status,
        "status_enum": status_enum,
        "title": session.title,
        "created_at": _time(session.life.created_at),
        "updated_at": _time(shows.updated_at),
        "snapshot_id": None,
        "playbook_id": session.playbook_id,
        "requesting_user_email": None,
        "tags": list(session.tags),
        "pull_request": {"url": shows.pull_request} if shows.pull_request else None,
        "structured_output": shows.output,
    }


def session_body_with_messages(world: World, session: SimulatedSession) -> dict[str, Any]:
    """Return a session as a GET of that session returns it, with its conversation."""
    messages = [
        {
            "type": f"{source}_message",
            "message": text,
            "timestamp": _time(at),
            "event_id": f"event-{session.number}-{number}",
            "username": None,
            "origin": "api" if source == "user" else None,
            "user_id": None,
        }
        for number, (at, source, text) in enumerate(world.conversation(session))
    ]
    # The documented schema of a single session lacks this field of lists.
    body = session_body(session)
    del body["requesting_user_email"]
    return body | {"messages": messages}


def playbook_body(playbook: SimulatedPlaybook) -> dict[str, Any]:
    """Return a playbook."""
    return {
        "playbook_id": playbook.playbook_id,
        "title": playbook.title,
        "body": playbook.body,
        "macro": playbook.macro,
        "status": "published",
        "access_type": "org",
        "org_id": playbook.org_id,
        "created_at": _time(playbook.created_at),
        "updated_at": _time(playbook.updated_at),
        "created_by_user_id": "service-user-simulator",
        "created_by_user_name": "Simulator",
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
