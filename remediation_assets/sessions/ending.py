"""Ending: outcomes that no evidence gave, and the end of the sessions that are wanted no more.

The outcome and the wish for the end are committed before anything is sent, and stand whatever the
session shows later.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError, NotFound
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import Outcome

from .attempts import Attempt, load_attempts, update_attempt
from .events import Timeline
from .holds import HoldKind, lift

CHUNK = 4
MOST_IN_A_STEP = 40


@dataclass(frozen=True)
class Unwanted:
    """A session to be ended: an attempt's, or a second one that should not exist."""

    attempt: Attempt
    session_id: str
    is_extra: bool
    end_error: str | None

    @property
    def label(self) -> str:
        """Name it for people."""
        return f"{self.attempt.label}: its {'second ' if self.is_extra else ''}session {self.session_id}"


def end_attempt(tx: DuckDBPyConnection, attempt: Attempt, outcome: Outcome, reason: str, timeline: Timeline) -> None:
    """Give an attempt an outcome, where it has none yet, and ask for the end of its session, if it has one."""
    [(settled, session_id)] = tx.execute(
        """
        SELECT outcome IS NOT NULL, session_id FROM attempts
        WHERE wave_number = ? AND finding_key = ? AND attempt = ?
        """,
        [attempt.wave_number, attempt.finding_key, attempt.attempt],
    ).fetchall()
    if settled:
        return
    changes = {"status": outcome.status, "outcome": outcome, "error_message": reason, "completed_at": timeline.now}
    update_attempt(tx, attempt, {**changes, "end_wanted_at": timeline.now if session_id else None})
    event = "session_cancelled" if outcome is Outcome.CANCELLED else "session_failed"
    timeline.add(tx, event, f"{attempt.label} ended as {outcome}: {reason}", attempt=attempt)


async def end_sessions(ledger: Ledger, devin: DevinClient, timeline: Timeline, *, now: Callable[[], datetime]) -> None:
    """End the sessions that are wanted no more; what fails is told once and tried again with the next step.

    Successes are archived where the API can, all others terminated: nobody shall wake them. A step ends
    only so many, those first that have not failed before, and notes them in small chunks: it must come
    to its end although the API is slow.
    """
    with ledger.transaction() as tx:
        wanted = sorted(_wanted(tx), key=lambda unwanted: unwanted.end_error is not None)[:MOST_IN_A_STEP]
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        failures = await asyncio.gather(*(_end(devin, unwanted) for unwanted in chunk))
        timeline.now = now()
        with ledger.transaction() as tx:
            for unwanted, failure in zip(chunk, failures, strict=True):
                _record(tx, unwanted, failure, timeline)


async def _end(devin: DevinClient, unwanted: Unwanted) -> str | None:
    """End a session; give the reason where that failed."""
    try:
        if unwanted.attempt.outcome is Outcome.SUCCESS and not unwanted.is_extra and devin.can_archive:
            await devin.archive_session(unwanted.session_id)
        else:
            await devin.terminate_session(unwanted.session_id)
    except NotFound:
        return None  # gone is ended
    except DevinError as error:
        return str(error)
    return None


def _record(tx: DuckDBPyConnection, unwanted: Unwanted, failure: str | None, timeline: Timeline) -> None:
    if failure is None:
        _note(tx, unwanted, {"ended_at": timeline.now, "end_error": None})
        timeline.add(tx, "session_ended", f"{unwanted.label} is ended", attempt=unwanted.attempt)
        # A slot of the account is free, which is what such a hold waits for.
        lift(tx, [HoldKind.CONCURRENCY], timeline)
    elif unwanted.end_error is None:
        _note(tx, unwanted, {"end_error": failure})
        message = f"{unwanted.label} could not be ended and is tried again: {failure}"
        timeline.add(tx, "session_end_failed", message, attempt=unwanted.attempt)


def _wanted(tx: DuckDBPyConnection) -> list[Unwanted]:
    own = load_attempts(tx, "a.end_wanted_at IS NOT NULL AND a.session_ended_at IS NULL AND a.session_id IS NOT NULL")
    found = [Unwanted(attempt, attempt.session_id or "", False, attempt.end_error) for attempt in own]
    extras = tx.execute(
        "SELECT session_id, finding_key, attempt, end_error FROM extra_sessions WHERE ended_at IS NULL"
    ).fetchall()
    for session_id, finding_key, number, end_error in extras:
        attempts = load_attempts(tx, "a.finding_key = ? AND a.attempt = ?", [finding_key, number])
        found.extend(Unwanted(attempt, session_id, True, end_error) for attempt in attempts)
    return found


def _note(tx: DuckDBPyConnection, unwanted: Unwanted, changes: dict[str, object]) -> None:
    if not unwanted.is_extra:
        own = {"session_ended_at" if name == "ended_at" else name: value for name, value in changes.items()}
        update_attempt(tx, unwanted.attempt, own)
        return
    assignments = ", ".join(f"{name} = ?" for name in changes)
    tx.execute(
        f"UPDATE extra_sessions SET {assignments} WHERE session_id = ?", [*changes.values(), unwanted.session_id]
    )
