"""The duplicate check: after a create request whose outcome is unknown, prove that no attempt has two sessions.

If the answer to a create request is lost, the API may still create its session later. So the round of such a request
settles only after a complete list of the wave's sessions, begun long enough after the round's last create request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType
from remediation_assets.sessions.model import Attempt


@dataclass(frozen=True)
class RoundNumber:
    """A round by its wave and its number."""

    wave_number: int
    round: int


def mark_unconfirmed(tx: Transaction, attempt: Attempt, at: datetime) -> None:
    """Note that a create request of the attempt's round, sent at or before the time `at`, has an unknown outcome."""
    tx.execute(
        """
        -- Never back: another request of the round may have been sent later than this one.
        UPDATE rounds SET unconfirmed = true, last_post_at = greatest(last_post_at, ?)
        WHERE wave_number = ? AND round = ?
        """,
        [at, attempt.wave_number, attempt.round],
    )


def note_posts(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    """Note that create requests are about to be sent, and drop earlier duplicate checks of their rounds."""
    for wave_number, number in {(attempt.wave_number, attempt.round) for attempt in attempts}:
        tx.execute(
            "UPDATE rounds SET last_post_at = ?, duplicates_checked_at = NULL WHERE wave_number = ? AND round = ?",
            [tx.now, wave_number, number],
        )


def due_checks(tx: Reader, settle_seconds: float, begun: datetime) -> list[RoundNumber]:
    """Load the rounds that the poll that began at `begun` has to check for duplicates."""
    return tx.rows(
        RoundNumber,
        """
        -- Counted from the round's last request, not from the unknown one: the check has to cover every session of the
        -- round, and each may be created late.
        SELECT wave_number, round FROM rounds
        WHERE settled_at IS NULL AND unconfirmed AND duplicates_checked_at IS NULL AND last_post_at <= ?
        """,
        [begun - timedelta(seconds=settle_seconds)],
    )


def note_checked(tx: Transaction, rounds: Sequence[RoundNumber], begun: datetime) -> None:
    """Note that complete lists, requested at `begun` or later, have shown every session of these rounds."""
    for checked in rounds:
        tx.execute(
            """
            UPDATE rounds SET duplicates_checked_at = ?
            -- A request that was sent while the lists were read makes them prove nothing.
            WHERE wave_number = ? AND round = ? AND last_post_at < ?
            """,
            [begun, checked.wave_number, checked.round, begun],
        )


def record_duplicates(tx: Transaction, duplicates: Sequence[tuple[Attempt, DevinSession]]) -> None:
    """Record second sessions of attempts, each once; they are terminated from then on."""
    for attempt, session in duplicates:
        # Looked for first: a failed INSERT would poison the whole transaction, even if its error were caught.
        if tx.execute("SELECT 1 FROM extra_sessions WHERE session_id = ?", [session.session_id]).fetchone():
            continue
        tx.execute(
            """
            INSERT INTO extra_sessions (session_id, wave_number, finding_key, attempt, seen_at)
            VALUES (?, ?, ?, ?, ?)
            """,
            [session.session_id, attempt.wave_number, attempt.finding_key, attempt.attempt, tx.now],
        )
        message = f"{attempt.label} has a second session, {session.session_id}, which is ended"
        tx.record(EventType.DUPLICATE_SESSION, message, attempt=attempt)


@dataclass(frozen=True)
class Duplicate:
    """A second session of an attempt, not known to be terminated, and why the last try to terminate it failed."""

    session_id: str
    finding_key: str
    attempt: int
    terminate_error: str | None


def unterminated_duplicates(tx: Reader) -> list[Duplicate]:
    """Load the duplicate sessions that are still to be terminated."""
    return tx.rows(
        Duplicate,
        """
        SELECT session_id, finding_key, attempt, end_error AS terminate_error FROM extra_sessions
        WHERE ended_at IS NULL
        """,
    )


def note_duplicate_terminated(tx: Transaction, session_id: str) -> None:
    """Note that a duplicate session is terminated."""
    tx.execute("UPDATE extra_sessions SET ended_at = ?, end_error = NULL WHERE session_id = ?", [tx.now, session_id])


def note_duplicate_error(tx: Transaction, session_id: str, error: str) -> None:
    """Note why a duplicate session could not be terminated; the next step tries again."""
    tx.execute("UPDATE extra_sessions SET end_error = ? WHERE session_id = ?", [error, session_id])
