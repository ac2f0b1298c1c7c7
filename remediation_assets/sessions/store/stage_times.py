"""When polls saw each session in its stages, which shows where sessions spend their time."""

from remediation_assets.ledger.transaction import Transaction
from remediation_assets.sessions.model import Attempt


def enter_stage(tx: Transaction, attempt: Attempt, stage: str) -> None:
    """Note that a session was first seen in a stage, and so is in no earlier one any more."""
    leave_stage(tx, attempt)
    values = {
        "finding_key": attempt.finding_key,
        "attempt": attempt.attempt,
        "wave_number": attempt.wave_number,
        "stage": stage,
        "first_seen_at": tx.now,
    }
    tx.insert("stage_times", values)


def leave_stage(tx: Transaction, attempt: Attempt) -> None:
    """Note that a session is not in its stage any more: the last poll was the last to see it there."""
    tx.execute(
        """
        -- A stage that a single poll saw ends, for all that is known, when that poll wrote it down.
        UPDATE stage_times SET last_seen_at = greatest(first_seen_at, (SELECT last_poll_at FROM state))
        WHERE finding_key = ? AND attempt = ? AND last_seen_at IS NULL
        """,
        [attempt.finding_key, attempt.attempt],
    )
