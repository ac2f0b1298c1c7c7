"""Slots: how many sessions may exist under our own limit and the account's, and the release of parked sessions.

No API reports the account's limit. It is learned from refusals, and counts every session that has not been
terminated: Devin keeps the slot of a session that has finished.
"""

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType, Outcome
from remediation_assets.sessions.policy import Policy

from .attempts import OPEN, TO_TERMINATE

# Sessions that take a slot of the account: created or perhaps created, and not known to be terminated.
_OCCUPYING = """
claimed_at IS NOT NULL AND terminated_at IS NULL AND outcome IS DISTINCT FROM 'refused'
AND outcome IS DISTINCT FROM 'vanished' AND (outcome IS NULL OR session_id IS NOT NULL)
"""


def free_slots(tx: Reader, policy: Policy) -> int:
    """Return how many more sessions may be started: one, to test it, if only the account's limit is reached."""
    ours = max(0, policy.max_parallel_sessions - count_open(tx))
    cap = session_cap(tx)
    # One at least: no API reports a higher limit, so only trying finds out that there is one.
    return ours if cap is None else min(ours, max(1, cap - occupied_slots(tx)))


def count_open(tx: Reader) -> int:
    """Count the attempts that are claimed or live; our own limit applies to these."""
    return int(tx.scalar(f"SELECT count(*) FROM attempts WHERE {OPEN}"))


def occupied_slots(tx: Reader) -> int:
    """Count our sessions that take a slot of the account."""
    duplicates = "(SELECT count(*) FROM extra_sessions WHERE ended_at IS NULL)"
    return int(tx.scalar(f"SELECT count(*) + {duplicates} FROM attempts WHERE {_OCCUPYING}"))


def session_cap(tx: Reader) -> int | None:
    """Return the account's limit as far as it is known."""
    cap = tx.scalar("SELECT session_cap FROM state")
    return None if cap is None else int(cap)


def learn_refusal(tx: Transaction) -> None:
    """Note that the account refused a further session: the number of ours that it has now is its limit."""
    # Refused attempts have returned to pending by now and are not counted. Never zero, or nothing would be tried
    # again.
    tx.execute("UPDATE state SET session_cap = ?", [max(1, occupied_slots(tx))])


def learn_acceptance(tx: Transaction) -> None:
    """Note that the account accepted a session although its limit was thought to be reached."""
    tx.execute("UPDATE state SET session_cap = ? WHERE session_cap < ?", [occupied_slots(tx)] * 2)


def release_parked(tx: Transaction, policy: Policy, pending: int) -> None:
    """Mark parked successes to be terminated, the oldest first, if `pending` attempts lack the account's slots.

    Until then a parked session stays, so that Devin can respond to a review of its pull request.
    """
    cap = session_cap(tx)
    if policy.release_sessions != "when_needed" or cap is None:
        return
    # Our own limit first: a success is not given up for an attempt that could not start anyway.
    wanted = min(pending, max(0, policy.max_parallel_sessions - count_open(tx)))
    # Those on their way out give their slots as well; without them each step would release as many again.
    terminating = int(tx.scalar(f"SELECT count(*) FROM attempts WHERE {TO_TERMINATE}"))
    lacking = wanted - max(0, cap - occupied_slots(tx)) - terminating
    if lacking <= 0:
        return
    # Chosen first and updated then, without RETURNING: PostgreSQL reached through DuckDB has none.
    chosen = tx.execute(
        """
        SELECT finding_key, attempt FROM attempts
        WHERE outcome = ? AND terminate_wanted_at IS NULL AND terminated_at IS NULL AND session_id IS NOT NULL
        ORDER BY completed_at, finding_key LIMIT ?
        """,
        [Outcome.SUCCESS, lacking],
    ).fetchall()
    tx.executemany(
        "UPDATE attempts SET terminate_wanted_at = ? WHERE finding_key = ? AND attempt = ?",
        [(tx.now, finding_key, number) for finding_key, number in chosen],
    )
    if chosen:
        tx.record(
            EventType.SESSIONS_RELEASED,
            f"{len(chosen)} parked sessions are released, because {pending} attempts wait and the account takes {cap}",
        )
