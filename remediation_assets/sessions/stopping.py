"""Stopping: what a person's order to pause, to resume or to stop does to the ledger."""

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome
from remediation_assets.planning.wave_plan import find_wave

from .attempts import load_attempts, update_attempt
from .ending import end_attempt
from .events import Timeline
from .holds import FOR_A_PERSON, HoldKind, lift, set_hold

_REASON = "stopped by a person"


def pause(tx: DuckDBPyConnection, reason: str, timeline: Timeline) -> None:
    """Let nothing more be dispatched until a person resumes; what is at work goes on and is followed."""
    set_hold(tx, HoldKind.PERSON, reason, timeline)


def resume(tx: DuckDBPyConnection, timeline: Timeline) -> int:
    """Lift what only a person lifts, and let probed holds be probed at once; return how many were lifted."""
    tx.execute("UPDATE holds SET probe_at = ? WHERE lifted_at IS NULL AND probe_at > ?", [timeline.now] * 2)
    return lift(tx, FOR_A_PERSON, timeline)


def stop(tx: DuckDBPyConnection, wave: str | None, timeline: Timeline) -> int:
    """Cancel what is open of a wave, or of all: nothing more is sent, and live sessions are to be ended.

    Returns how many attempts that is. An attempt whose session is not known yet is cancelled when it is
    known whether there is one. Raises UnknownWave.
    """
    condition, values = "r.settled_at IS NULL", []
    if wave is not None:
        condition, values = f"{condition} AND r.wave_number = ?", [find_wave(tx, wave).wave_number]
    rounds = tx.execute(f"SELECT r.wave_number, r.round FROM rounds r WHERE {condition}", values).fetchall()
    stopped = 0
    for wave_number, number in rounds:
        tx.execute(
            "UPDATE rounds SET stopped_at = ? WHERE wave_number = ? AND round = ?", [timeline.now, wave_number, number]
        )
        for attempt in load_attempts(
            tx, "a.wave_number = ? AND a.round = ? AND a.outcome IS NULL", [wave_number, number]
        ):
            stopped += 1
            if attempt.claimed_at and attempt.session_id is None:
                update_attempt(tx, attempt, {"cancel_wanted_at": timeline.now})
            else:
                end_attempt(tx, attempt, Outcome.CANCELLED, _REASON, timeline)
        timeline.add(tx, "wave_stopped", f"wave {wave_number} round {number} {_REASON}", wave_number=wave_number)
    return stopped


def unfinished_endings(tx: DuckDBPyConnection) -> int:
    """Count the sessions that are still to be ended, and those of which it is not known yet whether they exist."""
    [(count,)] = tx.execute(
        """
        SELECT (SELECT count(*) FROM attempts
                WHERE (end_wanted_at IS NOT NULL AND session_ended_at IS NULL AND session_id IS NOT NULL)
                    OR (cancel_wanted_at IS NOT NULL AND outcome IS NULL))
            + (SELECT count(*) FROM extra_sessions WHERE ended_at IS NULL)
        """
    ).fetchall()
    return int(count)
