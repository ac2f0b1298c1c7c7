"""One step in the life of all open waves, and the loop that takes steps until a wave has settled.

Whoever carries waves - a run, the sensor, the command line - calls `advance`; the fence makes any
number of them harmless.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError, Forbidden, NotAuthorised, QuotaExhausted
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.errors import LedgerBusy
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.locks import held
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.settings import Settings
from remediation_assets.slack import announce

from .announcing import announcements
from .dispatching import POST_DEADLINE_SECONDS, claimable, dispatch
from .ending import end_sessions
from .events import Timeline, events_since, newest_event
from .holds import Hold, HoldKind, lift, postpone_probes, probe_due, set_hold, standing_holds
from .observing import observe
from .playbook_sync import upload_playbooks
from .rounds import last_round
from .settling import advance_rounds
from .slots import give_up_parked
from .waking import wake_sessions
from .withdrawing import withdraw_gone

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class HeldUp(RemediationError):
    """A wait was given up because a hold or an outage has no known end; nothing is lost."""


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


def utc_now() -> datetime:
    """Give the time in UTC."""
    return datetime.now(UTC)


async def advance(
    ledger: Ledger, devin: DevinClient, settings: Settings, *, now: Clock = utc_now, seconds: float = math.inf
) -> Step:
    """Take one step: poll, judge, end, retry or settle, dispatch, wake; publish before and after.

    Under an exclusive lock, tried without waiting: who does not get it does nothing and says which
    process holds it. Raises a DevinError where the poll fails; nothing is dispatched then. No creation
    is sent that could take longer than `seconds` from now on.
    """
    give_up_at = time.monotonic() + seconds
    ledger.publish()
    timeline = Timeline(now())
    with ExitStack() as fence:
        try:
            fence.enter_context(held(ledger.data_dir / "advance.lock", timeout=0))
        except LedgerBusy as busy:
            return Step(busy=str(busy))
        try:
            ledger.belong_to(await devin.org_id())
            await _probe_credentials(ledger, devin, settings, timeline)
            await observe(ledger, devin, settings, timeline, now=now)
            with ledger.transaction() as tx:
                if all(hold.kind is HoldKind.CONCURRENCY for hold in standing_holds(tx)):
                    give_up_parked(tx, settings, claimable(tx), timeline)
            await end_sessions(ledger, devin, timeline, now=now)
            timeline.now = now()
            with ledger.transaction() as tx:
                withdraw_gone(tx, timeline)  # also where nothing may be claimed, for the round then settles
                settled = advance_rounds(
                    tx,
                    min_success_rate=settings.min_success_rate,
                    max_retries=settings.max_retries,
                    timeline=timeline,
                )
            await upload_playbooks(ledger, devin, timeline)
            started = await dispatch(
                ledger,
                devin,
                settings,
                timeline,
                now=now,
                may_send=lambda: time.monotonic() + POST_DEADLINE_SECONDS < give_up_at,
            )
            await wake_sessions(ledger, devin, settings, timeline)
            with ledger.transaction() as tx:
                holds = standing_holds(tx)
        except (NotAuthorised, Forbidden, QuotaExhausted) as error:
            with ledger.transaction() as tx:
                # Whatever it is, it was met by reading, so reading is what tries it again.
                seconds = settings.hold_probe_minutes * 60
                set_hold(tx, HoldKind.CREDENTIALS, str(error), timeline, seconds=seconds)
            raise
        finally:
            ledger.publish(force=bool(timeline.urgent))
            announce_events(ledger, settings, timeline)
    return Step(tuple(timeline.messages), started, tuple(settled), tuple(holds))


def announce_events(ledger: Ledger, settings: Settings, timeline: Timeline) -> None:
    """Tell Slack, where it is set, of what has happened that people wait for; only of what was kept."""
    if not timeline.urgent or not settings.slack_webhook_url.get_secret_value():
        return
    try:
        with ledger.transaction() as tx:
            messages = announcements(tx, timeline.urgent)
    except RemediationError as error:
        logger.warning("Slack is told nothing of this step: %s", error)
    else:
        announce(settings.slack_webhook_url, messages)


async def _probe_credentials(ledger: Ledger, devin: DevinClient, settings: Settings, timeline: Timeline) -> None:
    """Try with a request that costs nothing whether refused credentials work again, once per interval."""
    with ledger.transaction() as tx:
        due = probe_due(tx, timeline.now)
        if due:
            postpone_probes(tx, timeline.now, settings.hold_probe_minutes, of_credentials=True)
    if due:
        await devin.who_am_i()
        with ledger.transaction() as tx:
            lift(tx, [HoldKind.CREDENTIALS], timeline)


async def follow(
    ledger: Ledger,
    devin: DevinClient,
    settings: Settings,
    wave: str,
    *,
    log: Callable[[str], None],
    now: Clock = utc_now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Advance until the wave's last round has settled.

    Raises NoRound where it has none, and HeldUp when a hold or outage without a known end has
    lasted for the settings' `hold_wait_minutes`; the sessions go on and nothing is lost.
    """
    stuck_since: datetime | None = None
    busy: str | None = None
    with ledger.transaction() as tx:
        wave_number = find_wave(tx, wave).wave_number
        last_event = newest_event(tx)
    while True:
        with ledger.transaction() as tx:
            current = last_round(tx, wave_number)
            told = events_since(tx, wave_number, last_event)
        # From the ledger, for other processes carry the wave as well.
        for event_id, message in told:
            log(message)
            last_event = event_id
        if current is None:
            raise NoRound(f"{wave} has never been dispatched; run remediate_wave or dispatch_wave for it.")
        if current.settled_at is not None:
            return
        reason: str | None = None
        try:
            step = await advance(ledger, devin, settings, now=now)
            if step.busy and step.busy != busy:
                log(f"another process carries the waves: {step.busy}")
            busy = step.busy
            reason = next((hold.sentence for hold in step.holds if hold.ends_at is None), None)
            if wave in step.settled:
                continue
        except DevinError as error:
            reason = f"Devin cannot be polled: {error}"
            log(reason)
        stuck_since = (stuck_since or now()) if reason else None
        if stuck_since and now() - stuck_since >= timedelta(minutes=settings.hold_wait_minutes):
            raise HeldUp(f"{wave} still waits: {reason}. Its sessions go on; run it again later, nothing is lost.")
        await sleep(settings.poll_interval_seconds)
