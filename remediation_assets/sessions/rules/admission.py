"""How many attempts may be dispatched now. A pure function."""

from collections.abc import Sequence
from datetime import datetime

from remediation_assets.sessions.model import Attempt, Hold, HoldKind

CHUNK = 4
"""Attempts claimed at a time: what a death between claim and record can leave behind."""


def admitted(
    now: datetime,
    *,
    free_slots: int,
    holds: Sequence[Hold],
    refusals_in_a_row: int,
    suspended: Sequence[Attempt],
) -> int:
    """Return how many attempts may be claimed now, at most CHUNK.

    The strictest limit counts. After the account has refused an attempt because of a limit, attempts are sent one at
    a time. While quota is used up, no attempt is sent if a suspended session can be the probe: resuming the session
    costs less than a new attempt, whose session would be suspended as well.
    """
    limits = [CHUNK, free_slots]
    limits += [limit for hold in holds if (limit := hold.admits(now)) is not None]
    if refusals_in_a_row:
        limits.append(1)
    # One that was sent its message under this hold has been the probe already; it may not keep new attempts back.
    quota = next((hold for hold in holds if hold.kind is HoldKind.QUOTA), None)
    if quota and any(attempt.resume_sent_at is None or attempt.resume_sent_at < quota.set_at for attempt in suspended):
        limits.append(0)
    return max(0, min(limits))
