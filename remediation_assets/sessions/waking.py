"""Waking: sessions that the account's quota has suspended go on when there is quota again.

A word to a suspended session resumes it, and renews its ACU limit; so each is spoken to once for each
end of a hold. Where quota is asked for again, one suspended session is the probe: it costs less than
another attempt, which would be suspended as well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings

from .attempts import Attempt, load_attempts, update_attempt
from .dispatching import halted
from .events import Timeline
from .holds import HoldKind, lift, set_hold, standing_holds

_WORDS = "There is quota again. Please go on with the task."


def note_halted(
    tx: DuckDBPyConnection,
    seen: Sequence[tuple[Attempt, str | None]],
    settings: Settings,
    begun: datetime,
    timeline: Timeline,
) -> None:
    """Note which sessions are suspended for quota, with the reason, and which of those work again.

    One that works again shows that there is quota, so all others are to be woken. One that has just
    been spoken to is left the time to wake up.
    """
    grace = timedelta(seconds=settings.blocked_confirm_seconds)
    resumed = [attempt for attempt, reason in seen if attempt.halted_at and not reason]
    for attempt in resumed:
        update_attempt(tx, attempt, {"halted_at": None, "wake_wanted_at": None, "woken_at": None})
        timeline.add(tx, "session_resumed", f"{attempt.label} goes on", attempt=attempt)
    if resumed:
        lift(tx, [HoldKind.QUOTA], timeline)
    for attempt, reason in seen:
        if not reason:
            continue
        if attempt.halted_at is None:
            update_attempt(tx, attempt, {"halted_at": begun})
            timeline.add(tx, "session_halted", f"{attempt.label}: {reason}", attempt=attempt)
        elif attempt.wake_wanted_at and attempt.woken_at and begun - attempt.woken_at >= grace:
            update_attempt(tx, attempt, {"wake_wanted_at": None})
        elif attempt.wake_wanted_at:
            continue  # it is being woken
        if not resumed:
            set_hold(tx, HoldKind.QUOTA, reason, timeline, seconds=settings.hold_probe_minutes * 60)


def want_wake(tx: DuckDBPyConnection, now: datetime) -> None:
    """Ask for a word to suspended sessions: to all where no hold for quota stands, to one where its probe is due."""
    holds = standing_holds(tx)
    asleep = halted(tx)
    quota = next((hold for hold in holds if hold.kind is HoldKind.QUOTA), None)
    if any(hold.kind is HoldKind.PERSON for hold in holds):
        return
    if quota is None:
        chosen = [attempt for attempt in asleep if attempt.wake_wanted_at is None]
    elif quota.admits(now) and not any(attempt.wake_wanted_at for attempt in asleep):
        chosen = asleep[:1]
    else:
        return
    for attempt in chosen:
        update_attempt(tx, attempt, {"wake_wanted_at": now})


async def wake_sessions(ledger: Ledger, devin: DevinClient, settings: Settings, timeline: Timeline) -> None:
    """Speak to the suspended sessions whose time has come; each word is noted before it is sent."""
    with ledger.transaction() as tx:
        want_wake(tx, timeline.now)
        wanted = load_attempts(
            tx,
            "a.outcome IS NULL AND a.wake_wanted_at IS NOT NULL"
            " AND (a.woken_at IS NULL OR a.woken_at < a.wake_wanted_at)",
        )
        for attempt in wanted:
            update_attempt(tx, attempt, {"woken_at": timeline.now})
        if wanted:
            tx.execute(
                "UPDATE holds SET probe_at = ? WHERE kind = ? AND lifted_at IS NULL",
                [timeline.now + timedelta(minutes=settings.hold_probe_minutes), HoldKind.QUOTA],
            )
    for attempt in wanted:
        try:
            await devin.send_message(attempt.session_id or "", _WORDS)
        except DevinError as error:
            words = f"{attempt.label} could not be woken ({error}); it is tried again later"
            with ledger.transaction() as tx:
                timeline.add(tx, "session_wake_failed", words, attempt=attempt)
