"""End attempts that have no evidence, and terminate sessions that are no longer needed.

The outcome of an attempt and the mark to terminate its session are committed before anything is sent. They stand
whatever the session shows later.
"""

import asyncio
from dataclasses import dataclass

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError, NotFound
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Reader, Transaction
from remediation_assets.models import EventType, Outcome
from remediation_assets.sessions.model import Attempt, HoldKind
from remediation_assets.sessions.store.attempts import current_end, find_attempt, to_terminate, update_attempt
from remediation_assets.sessions.store.duplicate_audit import (
    note_duplicate_error,
    note_duplicate_terminated,
    unterminated_duplicates,
)
from remediation_assets.sessions.store.holds import lift
from remediation_assets.sessions.store.stage_times import leave_stage

# Sent together and recorded together: a death in between repeats no more requests than these.
CHUNK = 4
MOST_IN_A_STEP = 40


@dataclass(frozen=True)
class Unneeded:
    """A session to be terminated: an attempt's own, or a duplicate that should not exist."""

    attempt: Attempt
    session_id: str
    is_duplicate: bool
    terminate_error: str | None

    @property
    def label(self) -> str:
        """Return the session's name for people."""
        return f"{self.attempt.label}: its {'second ' if self.is_duplicate else ''}session {self.session_id}"


def end_attempt(tx: Transaction, attempt: Attempt, outcome: Outcome, reason: str) -> None:
    """End an attempt that has no outcome yet, and mark its session, if it has one, to be terminated.

    The attempt is loaded again, because it may have ended or got a session since the caller loaded it.
    """
    current = current_end(tx, attempt)
    if current.outcome is not None:
        return
    update_attempt(
        tx,
        attempt,
        status=outcome.status,
        outcome=outcome,
        error_message=reason,
        completed_at=tx.now,
        # Without a session there is nothing to end; one that shows up later is recorded as a duplicate and ended so.
        terminate_wanted_at=tx.now if current.session_id else None,
    )
    leave_stage(tx, attempt)
    event = EventType.SESSION_CANCELLED if outcome is Outcome.CANCELLED else EventType.SESSION_FAILED
    tx.record(event, f"{attempt.label} ended as {outcome}: {reason}", attempt=attempt)


async def terminate_sessions(ledger: Ledger, devin: DevinClient, journal: Journal) -> None:
    """Terminate the sessions that are no longer needed; a failure is reported once and tried again with the next step.

    Sessions of successes are archived if the API can do that, so that nobody resumes them; all others are terminated.
    A step handles a limited number, beginning with sessions whose termination has not failed yet, and records them in
    small chunks: it must come to an end even if the API is slow.
    """
    with ledger.transaction(journal) as tx:
        unneeded = sorted(_unneeded(tx), key=lambda session: session.terminate_error is not None)[:MOST_IN_A_STEP]
    for start in range(0, len(unneeded), CHUNK):
        chunk = unneeded[start : start + CHUNK]
        # `_terminate` returns a DevinError as text, so that one failure does not lose what the others achieved.
        failures = await asyncio.gather(*(_terminate(devin, session) for session in chunk))
        with ledger.transaction(journal) as tx:
            for session, failure in zip(chunk, failures, strict=True):
                _record(tx, session, failure)


async def _terminate(devin: DevinClient, session: Unneeded) -> str | None:
    """Terminate or archive a session; return the reason if that failed."""
    try:
        if session.attempt.outcome is Outcome.SUCCESS and not session.is_duplicate and devin.can_archive:
            # Terminating is for good; an archived session stays readable for whoever reviews its pull request.
            await devin.archive_session(session.session_id)
        else:
            await devin.terminate_session(session.session_id)
    except NotFound:
        return None  # a session that does not exist needs no end
    except DevinError as error:
        return str(error)
    return None


def _record(tx: Transaction, session: Unneeded, failure: str | None) -> None:
    if failure is None:
        if session.is_duplicate:
            note_duplicate_terminated(tx, session.session_id)
        else:
            update_attempt(tx, session.attempt, terminated_at=tx.now, terminate_error=None)
        tx.record(EventType.SESSION_TERMINATED, f"{session.label} is ended", attempt=session.attempt)
        # A slot of the account is free, which is what such a hold waits for.
        lift(tx, [HoldKind.CONCURRENCY])
    # Only the first failure is an event: it is tried with every step, and would fill the timeline.
    elif session.terminate_error is None:
        if session.is_duplicate:
            note_duplicate_error(tx, session.session_id, failure)
        else:
            update_attempt(tx, session.attempt, terminate_error=failure)
        message = f"{session.label} could not be ended and is tried again: {failure}"
        tx.record(EventType.TERMINATE_FAILED, message, attempt=session.attempt)


def _unneeded(tx: Reader) -> list[Unneeded]:
    found = [
        Unneeded(attempt, attempt.session_id or "", False, attempt.terminate_error) for attempt in to_terminate(tx)
    ]
    found.extend(
        Unneeded(attempt, duplicate.session_id, True, duplicate.terminate_error)
        for duplicate in unterminated_duplicates(tx)
        if (attempt := find_attempt(tx, duplicate.finding_key, duplicate.attempt))
    )
    return found
