"""Ending sessions: those whose attempts have an outcome that asks for it."""

from collections.abc import Callable
from datetime import datetime

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError, NotFound
from remediation_assets.ledger.ledger import Ledger

from .attempts import load_attempts, update_attempt
from .events import Timeline


async def end_sessions(ledger: Ledger, devin: DevinClient, timeline: Timeline, *, now: Callable[[], datetime]) -> None:
    """Terminate the sessions whose attempts have an outcome that asks for it; failures are tried again later."""
    with ledger.transaction() as tx:
        wanted = load_attempts(
            tx, "a.end_wanted_at IS NOT NULL AND a.session_ended_at IS NULL AND a.session_id IS NOT NULL"
        )
    ended = []
    for attempt in wanted:
        try:
            await devin.terminate_session(attempt.session_id or "")
        except NotFound:
            pass  # gone is ended
        except DevinError as error:
            timeline.messages.append(f"{attempt.label}: its session could not be ended yet ({error})")
            continue
        ended.append(attempt)
    if ended:
        timeline.now = now()
        with ledger.transaction() as tx:
            for attempt in ended:
                update_attempt(tx, attempt, {"session_ended_at": timeline.now})
                timeline.add(tx, "session_ended", f"{attempt.label}: its session is ended", attempt=attempt)
