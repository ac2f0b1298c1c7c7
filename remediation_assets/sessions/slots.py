"""Slots: how many sessions may be, by our own limit and by the account's, and giving parked ones up.

The account's limit is not told anywhere. It is learned from refusals, and counts every session that
has not been ended: Devin keeps the slot of one that has finished.
"""

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome
from remediation_assets.settings import Settings

from .events import Timeline

# Sessions that take a slot of the account: created or perhaps created, and not known to be ended.
_OCCUPYING = """
claimed_at IS NOT NULL AND session_ended_at IS NULL AND outcome IS DISTINCT FROM 'refused'
AND outcome IS DISTINCT FROM 'vanished' AND (outcome IS NULL OR session_id IS NOT NULL)
"""


def free_slots(tx: DuckDBPyConnection, settings: Settings) -> int:
    """Give how many more sessions may be started; where the account's limit is reached, one that tries it."""
    ours = max(0, settings.max_parallel_sessions - live_attempts(tx))
    cap = session_cap(tx)
    return ours if cap is None else min(ours, max(1, cap - occupied_slots(tx)))


def live_attempts(tx: DuckDBPyConnection) -> int:
    """Count the attempts that are claimed and have no outcome."""
    return _count(tx, "SELECT count(*) FROM attempts WHERE claimed_at IS NOT NULL AND outcome IS NULL")


def occupied_slots(tx: DuckDBPyConnection) -> int:
    """Count our sessions that the account counts."""
    extras = "(SELECT count(*) FROM extra_sessions WHERE ended_at IS NULL)"
    return _count(tx, f"SELECT count(*) + {extras} FROM attempts WHERE {_OCCUPYING}")


def session_cap(tx: DuckDBPyConnection) -> int | None:
    """Give the account's limit as far as it is known."""
    [(cap,)] = tx.execute("SELECT session_cap FROM state").fetchall()
    return None if cap is None else int(cap)


def learn_refusal(tx: DuckDBPyConnection) -> None:
    """Note that the account refused another session beside those that it has of ours."""
    tx.execute("UPDATE state SET session_cap = ?", [max(1, occupied_slots(tx))])


def learn_acceptance(tx: DuckDBPyConnection) -> None:
    """Note that the account took a session although its limit was thought to be reached."""
    tx.execute("UPDATE state SET session_cap = ? WHERE session_cap < ?", [occupied_slots(tx)] * 2)


def give_up_parked(tx: DuckDBPyConnection, settings: Settings, pending: int, timeline: Timeline) -> None:
    """Ask for the end of parked successes, the oldest first, where `pending` attempts lack the account's slots.

    Until then they stay, so that Devin can answer to a review of its pull request.
    """
    cap = session_cap(tx)
    if settings.release_sessions != "when_needed" or cap is None:
        return
    wanted = min(pending, max(0, settings.max_parallel_sessions - live_attempts(tx)))
    ending = "SELECT count(*) FROM attempts WHERE end_wanted_at IS NOT NULL AND session_ended_at IS NULL"
    lacking = wanted - max(0, cap - occupied_slots(tx)) - _count(tx, f"{ending} AND session_id IS NOT NULL")
    if lacking <= 0:
        return
    given = tx.execute(
        """
        UPDATE attempts SET end_wanted_at = ?
        WHERE (finding_key, attempt) IN (
            SELECT (finding_key, attempt) FROM attempts
            WHERE outcome = ? AND end_wanted_at IS NULL AND session_ended_at IS NULL AND session_id IS NOT NULL
            ORDER BY completed_at, finding_key LIMIT ?)
        RETURNING session_id
        """,
        [timeline.now, Outcome.SUCCESS, lacking],
    ).fetchall()
    if given:
        timeline.add(
            tx,
            "sessions_released",
            f"{len(given)} parked sessions are given up, for {pending} attempts wait and the account takes {cap}",
        )


def _count(tx: DuckDBPyConnection, sql: str) -> int:
    [(count,)] = tx.execute(sql).fetchall()
    return int(count)
