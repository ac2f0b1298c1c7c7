"""One step in the life of all open waves, and the loop that takes steps until a wave has settled.

Whoever runs waves - a Dagster run, the sensor, the command line - calls `advance`; its lock makes any number
of them harmless.

A step does, in this order: publish what a crash may have left unpublished; probe refused credentials; poll;
release parked sessions; terminate sessions that are no longer needed; withdraw closed findings and settle rounds;
upload playbooks; dispatch; resume suspended sessions; publish. Polling comes first because everything after it
rests on what Devin shows now. Sessions are terminated before rounds settle and attempts are claimed, because the
next attempt at a finding waits for the end of the one before. Dispatching comes late so that the slots that the
earlier steps freed are used at once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediation_assets.clock import Clock, utc_now
from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError, Forbidden, NotAuthorised, QuotaExhausted
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal
from remediation_assets.locks import LockHeld, held
from remediation_assets.models import EventType
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.sessions.model import Hold, HoldKind
from remediation_assets.sessions.steps.dispatch import POST_DEADLINE_SECONDS, dispatch
from remediation_assets.sessions.steps.poll import poll
from remediation_assets.sessions.steps.resume import resume_sessions
from remediation_assets.sessions.steps.settle import settle_rounds
from remediation_assets.sessions.steps.terminate import terminate_sessions
from remediation_assets.sessions.steps.upload_playbooks import upload_playbooks
from remediation_assets.sessions.steps.withdraw import withdraw_closed
from remediation_assets.sessions.store.attempts import claimable
from remediation_assets.sessions.store.events import events_since, newest_event
from remediation_assets.sessions.store.holds import (
    credentials_probe_due,
    lift,
    postpone_credentials_probe,
    set_hold,
    standing_holds,
)
from remediation_assets.sessions.store.rounds import last_round, open_rounds
from remediation_assets.sessions.store.runs import note_run_completed
from remediation_assets.sessions.store.slots import release_parked

from .notifications import announce_events
from .policy import Policy

logger = logging.getLogger(__name__)

PUBLISHED_AT_ONCE = {
    EventType.HOLD_SET,
    EventType.HOLD_LIFTED,
    EventType.WAVE_COMPLETED,
    EventType.WAVE_GATED,
    EventType.WAVE_NOT_JUDGED,
}
"""Events that people wait for: they are published at once, not at the next interval."""


class HeldUp(RemediationError):
    """A wait was given up because nobody knows when a hold or an outage will end; nothing is lost."""


class NoRound(RemediationError):
    """A wave has no round to wait for; the text says what to do."""


@dataclass(frozen=True)
class Step:
    """What one step did."""

    messages: tuple[str, ...] = ()
    started: int = 0
    settled: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    busy: str | None = None


async def advance(
    ledger: Ledger, devin: DevinClient, policy: Policy, *, now: Clock = utc_now, seconds: float = math.inf
) -> Step:
    """Take one step; publish before and after it.

    A step needs an exclusive lock and does not wait for it: if another process holds the lock, do nothing and return
    which process that is. If the poll fails, raise a DevinError and dispatch nothing. No create request is sent that
    could take longer than `seconds` from now on.
    """
    give_up_at = time.monotonic() + seconds
    # Outside the lock: a crash between commit and publication heals even while another process advances.
    ledger.publish()
    journal = Journal(now)
    with ExitStack() as lock:
        try:
            lock.enter_context(held(ledger.data_dir / "advance.lock", timeout=0))
        except LockHeld as busy:
            return Step(busy=str(busy))
        try:
            # Before the poll: with the key of another organisation every session of ours would look vanished.
            ledger.belong_to(await devin.org_id())
            step = await _take_steps(ledger, devin, policy, journal, give_up_at)
        except (NotAuthorised, Forbidden, QuotaExhausted) as error:
            with ledger.transaction(journal) as tx:
                # Whatever it is, it was met by reading, so reading is what tries it again.
                set_hold(tx, HoldKind.CREDENTIALS, str(error), seconds=policy.hold_probe_minutes * 60)
            raise
        finally:
            # Also after an error: what was committed before it is real, and people have to see it.
            urgent = any(event.event_type in PUBLISHED_AT_ONCE for event in journal.events)
            ledger.publish(force=urgent)
            announce_events(ledger, policy.slack_webhook_url, journal)
    return step


async def _take_steps(ledger: Ledger, devin: DevinClient, policy: Policy, journal: Journal, give_up_at: float) -> Step:
    await _probe_credentials(ledger, devin, policy, journal)
    await poll(ledger, devin, policy, journal)
    with ledger.transaction(journal) as tx:
        # Under any other hold the freed slot could not be used, and a parked success would be given up for nothing.
        if all(hold.kind is HoldKind.CONCURRENCY for hold in standing_holds(tx)):
            release_parked(tx, policy, len(claimable(tx)))
    await terminate_sessions(ledger, devin, journal)
    with ledger.transaction(journal) as tx:
        withdraw_closed(tx)  # also while nothing may be claimed, because the round then settles
        settled = settle_rounds(tx, policy)
    await upload_playbooks(ledger, devin, journal)
    started = await dispatch(
        ledger,
        devin,
        policy,
        journal,
        may_send=lambda: time.monotonic() + POST_DEADLINE_SECONDS < give_up_at,
    )
    await resume_sessions(ledger, devin, policy, journal)
    with ledger.transaction(journal) as tx:
        holds = standing_holds(tx)
        # Also after a hold was lifted under which the last round had settled.
        if not open_rounds(tx):
            note_run_completed(tx)
    return Step(tuple(journal.messages), started, tuple(settled), tuple(holds))


async def _probe_credentials(ledger: Ledger, devin: DevinClient, policy: Policy, journal: Journal) -> None:
    """Send a request that costs nothing, once per interval, to see whether refused credentials work again."""
    with ledger.transaction(journal) as tx:
        due = credentials_probe_due(tx)
        if due:
            # Before it is sent: a process that dies with the probe must not leave it due for everybody.
            postpone_credentials_probe(tx, policy.hold_probe_minutes)
    if due:
        await devin.who_am_i()
        with ledger.transaction(journal) as tx:
            lift(tx, [HoldKind.CREDENTIALS])


@dataclass(frozen=True)
class Pace:
    """The clock and the sleep function that a wait uses; tests replace them."""

    now: Clock = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def follow(
    ledger: Ledger,
    devin: DevinClient,
    policy: Policy,
    wave: str,
    *,
    log: Callable[[str], None],
    pace: Pace = Pace(),
) -> None:
    """Advance until the wave's last round has settled.

    Raise NoRound if the wave has no round, and HeldUp if a hold or an outage without a known end has lasted for
    the policy's `hold_wait_minutes`; the sessions continue and nothing is lost.
    """
    stuck_since: datetime | None = None
    busy: str | None = None
    with ledger.transaction() as tx:
        wave_number = find_wave(tx, wave).wave_number
        last_event = newest_event(tx)
    while True:
        with ledger.transaction() as tx:
            current = last_round(tx, wave_number)
            happened = events_since(tx, wave_number, last_event)
        # From the ledger, because other processes run the wave as well.
        for event in happened:
            log(event.message)
            last_event = event.event_id
        if current is None:
            raise NoRound(f"{wave} has never been dispatched; run remediate_wave or dispatch_wave for it.")
        if current.settled_at is not None:
            return
        reason: str | None = None
        try:
            step = await advance(ledger, devin, policy, now=pace.now)
            # Once for each holder, not with every wait.
            if step.busy and step.busy != busy:
                log(f"another process runs the waves: {step.busy}")
            busy = step.busy
            # A hold with an end is waited for, however long; only one without can be a wait for nothing.
            reason = next((hold.sentence for hold in step.holds if hold.ends_at is None), None)
            # Without a wait: the next turn reads the last events and returns.
            if wave in step.settled:
                continue
        except DevinError as error:
            reason = f"Devin cannot be polled: {error}"
            log(reason)
        # One step without trouble starts the patience again.
        stuck_since = (stuck_since or pace.now()) if reason else None
        if stuck_since and pace.now() - stuck_since >= timedelta(minutes=policy.hold_wait_minutes):
            raise HeldUp(f"{wave} still waits: {reason}. Its sessions go on; run it again later, nothing is lost.")
        await pace.sleep(policy.poll_interval_seconds)
