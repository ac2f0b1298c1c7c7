"""`remediate pause`, `resume`, `stop` and `reopen`: what a person orders of sessions."""

import asyncio
import getpass
import time
from collections.abc import Callable

import click
from duckdb import DuckDBPyConnection

from remediation_assets.devin.connect import connect
from remediation_assets.devin.errors import DevinError
from remediation_assets.errors import RemediationError
from remediation_assets.escaping import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.opening import open_ledger
from remediation_assets.sessions import reviewing, stopping
from remediation_assets.sessions.advance import advance, announce_events, utc_now
from remediation_assets.sessions.ending import end_sessions
from remediation_assets.sessions.events import Timeline
from remediation_assets.settings import Settings, load_settings

from .common import ExampleCommand, told_to_people

STOP_SECONDS = 60.0


@click.command(cls=ExampleCommand, example="remediate pause --reason 'release freeze until Monday'")
@click.option("--reason", default="a person asked for it", show_default=True, help="What `status` gives as the reason.")
@told_to_people
def pause(reason: str) -> None:
    """Start no further session until `resume`; those at work go on."""
    _order(lambda tx, timeline: stopping.pause(tx, reason, timeline))
    click.echo("Paused: no session is started until `remediate resume`. Those at work go on.")


@click.command(cls=ExampleCommand, example="remediate resume")
@told_to_people
def resume() -> None:
    """Lift a pause, and let the holds that are probed from time to time be probed at once."""
    _order(stopping.resume)
    click.echo("Resumed: sessions are started again by the next step of whoever carries the waves.")


@click.command(cls=ExampleCommand, example="remediate stop --wave wave-0003")
@click.option("--wave", help="Stop this wave only: wave-0001. Without it, all of them, and pause.")
@told_to_people
def stop(wave: str | None) -> None:
    """Start nothing more and terminate our live sessions; their attempts are cancelled and count for no gate."""
    settings = load_settings()

    def order(tx: DuckDBPyConnection, timeline: Timeline) -> int:
        if wave is None:
            stopping.pause(tx, "everything was stopped", timeline)
        return stopping.stop(tx, wave, timeline)

    ledger, stopped = _order(order)
    click.echo(f"{stopped} attempts are stopped." + ("" if wave else " `remediate resume` lets sessions start again."))
    left = asyncio.run(_end_stopped(ledger, settings))
    if left:
        raise RemediationError(
            f"{left} sessions could not be ended yet, or are still looked for; run `remediate stop` again."
        )
    click.echo("No session of what was stopped is left.")


@click.command(cls=ExampleCommand, example="remediate reopen KEY --reason 'It drops the check for admins.'")
@click.argument("key")
@click.option("--by", "reviewer", metavar="NAME", default=getpass.getuser, help="Who says so; you by default.")
@click.option("--reason", default="", help="What was wrong; the next attempt is told it.")
@told_to_people
def reopen(key: str, reviewer: str, reason: str) -> None:
    """Have the finding with this KEY tried again although it succeeded, as when its pull request was rejected."""
    told: list[str] = []
    _order(lambda tx, timeline: told.append(reviewing.reopen(tx, key, reviewer, reason, timeline)))
    click.echo(f"{key} is reopened: `remediate run FILE --wave {told[0]}` tries it again.")


def _order(order: Callable[[DuckDBPyConnection, Timeline], int | None]) -> tuple[Ledger, int]:
    """Carry out an order in the ledger, and publish it."""
    settings = load_settings()
    ledger = open_ledger(settings)
    if not ledger.path.exists():
        raise RemediationError("There is no ledger yet; run `remediate plan FILE` first.")
    timeline = Timeline(utc_now())
    with ledger.transaction() as tx:
        done = order(tx, timeline)
    ledger.publish(force=True)
    announce_events(ledger, settings, timeline)
    return ledger, done or 0


async def _end_stopped(ledger: Ledger, settings: Settings) -> int:
    """Take steps until every session that was stopped is ended; give up after a while and say how many are left."""
    give_up_at = time.monotonic() + settings.settle_seconds + STOP_SECONDS
    async with connect(settings) as devin:
        while True:
            timeline = Timeline(utc_now())
            # What is known to be live is ended first, also where Devin cannot be looked at.
            await end_sessions(ledger, devin, timeline, now=utc_now)
            messages = timeline.messages
            try:
                step = await advance(ledger, devin, settings)
                messages += [*step.messages, *([step.busy] if step.busy else [])]
            except DevinError as error:
                messages.append(str(error))
            for message in messages:
                click.echo(plain(message))
            with ledger.transaction() as tx:
                left = stopping.unfinished_endings(tx)
            if not left or time.monotonic() > give_up_at:
                return left
            await asyncio.sleep(min(settings.poll_interval_seconds, 2.0))
