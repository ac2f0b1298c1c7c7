"""Resume the sessions that the account's quota has suspended, once there is quota again.

A message to a suspended session resumes the session and renews its ACU limit. So each session gets only one message
after each quota hold. While a quota hold stands, one suspended session is the probe: resuming it costs less than a new
attempt, whose session would be suspended as well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.models import EventType
from remediation_assets.sessions.model import Attempt, HoldKind
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.store.attempts import suspended, to_resume, update_attempt
from remediation_assets.sessions.store.holds import lift, postpone_quota_probe, set_hold, standing_holds

_MESSAGE = "There is quota again. Please go on with the task."


def note_suspended(
    tx: Transaction, seen: Sequence[tuple[Attempt, str | None]], policy: Policy, begun: datetime
) -> None:
    """Note which sessions are suspended for quota, with the reason, and which suspended ones work again.

    A session that works again shows that there is quota, so all others are to be resumed. A session that was sent a
    message a short while ago is given time to resume.
    """
    grace = timedelta(seconds=policy.blocked_confirm_seconds)
    resumed = [attempt for attempt, reason in seen if attempt.suspended_at and not reason]
    for attempt in resumed:
        update_attempt(tx, attempt, suspended_at=None, resume_wanted_at=None, resume_sent_at=None)
        tx.record(EventType.SESSION_RESUMED, f"{attempt.label} goes on", attempt=attempt)
    # A session that works is better evidence than those beside it that still sleep, so no hold is set below.
    if resumed:
        lift(tx, [HoldKind.QUOTA])
    for attempt, reason in seen:
        if not reason:
            continue
        if attempt.suspended_at is None:
            update_attempt(tx, attempt, suspended_at=begun)
            tx.record(EventType.SESSION_SUSPENDED, f"{attempt.label}: {reason}", attempt=attempt)
        elif attempt.resume_wanted_at and attempt.resume_sent_at and begun - attempt.resume_sent_at >= grace:
            # The message had its time and changed nothing; it may be chosen again after the next probe's interval.
            update_attempt(tx, attempt, resume_wanted_at=None)
        elif attempt.resume_wanted_at:
            continue  # it is being resumed
        if not resumed:
            set_hold(tx, HoldKind.QUOTA, reason, seconds=policy.hold_probe_minutes * 60)


def mark_to_resume(tx: Transaction) -> None:
    """Mark suspended sessions to be resumed: all of them, or a single one while a quota hold is due for its probe."""
    holds = standing_holds(tx)
    waiting = suspended(tx)
    quota = next((hold for hold in holds if hold.kind is HoldKind.QUOTA), None)
    # A message makes Devin work and spend, which is what a pause is to prevent.
    if any(hold.kind is HoldKind.PERSON for hold in holds):
        return
    if quota is None:
        chosen = [attempt for attempt in waiting if attempt.resume_wanted_at is None]
    elif quota.admits(tx.now) and not any(attempt.resume_wanted_at for attempt in waiting):
        # The first is the one resumed longest ago, so a session that cannot wake up is not the probe every time.
        chosen = waiting[:1]
    else:
        return
    for attempt in chosen:
        update_attempt(tx, attempt, resume_wanted_at=tx.now)


async def resume_sessions(ledger: Ledger, devin: DevinClient, policy: Policy, journal: Journal) -> None:
    """Send a message to each suspended session that is to be resumed; note the message before it is sent."""
    with ledger.transaction(journal) as tx:
        mark_to_resume(tx)
        chosen = to_resume(tx)
        for attempt in chosen:
            # Noted before it is sent: each message renews the session's ACU limit, so one that is lost costs less than
            # a second one.
            update_attempt(tx, attempt, resume_sent_at=tx.now)
        if chosen:
            postpone_quota_probe(tx, policy.hold_probe_minutes)
    for attempt in chosen:
        try:
            await devin.send_message(attempt.session_id or "", _MESSAGE)
        except DevinError as error:
            message = f"{attempt.label} could not be resumed ({error}); it is tried again later"
            with ledger.transaction(journal) as tx:
                tx.record(EventType.RESUME_FAILED, message, attempt=attempt)
