"""`remediate pause`, `resume`, `stop` and `reopen`: commands by which a person controls the sessions."""

import asyncio
import getpass
import time
from collections.abc import Callable
from typing import TypeVar

import click

from remediation_assets.connect import connect, open_ledger
from remediation_assets.devin.errors import DevinError
from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.models import GateVerdict
from remediation_assets.planning.wave_plan import find_finding
from remediation_assets.reports.waves import wave_states
from remediation_assets.sessions.notifications import announce_events
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.reconcile import advance
from remediation_assets.sessions.steps import cancel
from remediation_assets.sessions.steps.terminate import terminate_sessions
from remediation_assets.sessions.store import reviews
from remediation_assets.sessions.store.rounds import open_rounds
from remediation_assets.settings import Settings, load_settings
from remediation_assets.wording import counted

from .options import ExampleCommand, WaveName
from .output import report_errors, say
from .shell import file_of

STOP_SECONDS = 60.0
"""How long `stop` waits for sessions to end, on top of the wait for creations without an answer."""

Result = TypeVar("Result")


@click.command(cls=ExampleCommand, example="remediate pause --reason 'release freeze until Monday'")
@click.option("--reason", default="a person asked for it", show_default=True, help="The reason that `status` shows.")
@report_errors
def pause(reason: str) -> None:
    """Start no more sessions until `resume`; sessions at work continue."""
    ledger, _ = _execute(lambda tx: cancel.pause(tx, reason))
    _say("Paused: no session is started until `remediate resume`. Sessions at work continue.", ledger)


@click.command(cls=ExampleCommand, example="remediate resume")
@report_errors
def resume() -> None:
    """Lift a pause, and probe at once the holds that are otherwise probed at intervals."""
    ledger, _ = _execute(cancel.resume)
    _say(
        "Resumed: whatever runs the waves starts sessions again with its next step. If nothing does, "
        "`remediate run FILE` goes on.",
        ledger,
    )


@click.command(cls=ExampleCommand, example="remediate stop --wave wave-0003")
@click.option(
    "--wave", type=WaveName(), help="Stop only this wave, such as wave-0001. Without it, stop all waves and pause."
)
@report_errors
def stop(wave: str | None) -> None:
    """Start nothing more and terminate our live sessions. Their attempts are cancelled and count for no gate."""

    def pause_and_stop(tx: Transaction) -> tuple[int, list[str]]:
        if wave is None:
            # In one transaction: nothing may be dispatched between the pause and the stop.
            cancel.pause(tx, "everything was stopped")
        under_way = [one.wave for one in open_rounds(tx) if wave in (None, one.wave)]
        return cancel.stop(tx, wave), under_way

    ledger, (stopped, waves) = _execute(pause_and_stop)
    click.echo(f"{counted(stopped, 'attempt is', 'attempts are')} stopped.")
    left = asyncio.run(_terminate_stopped(load_settings()))
    if left:
        raise RemediationError(
            f"{counted(left, 'session')} could not be terminated or found yet; `remediate stop` tries again."
        )
    click.echo("No session of these attempts is left.")
    if wave is None:
        _say("Nothing is started until `remediate resume`.", ledger)
    with ledger.published() as reader:
        states = [state for state in wave_states(reader) if state.wave in waves]
    for state in states:
        # A wave that was judged all the same, by what had ended before, is not run again unless somebody asks for it.
        again = "" if state.verdict in (None, GateVerdict.NOT_JUDGED) else f" --wave {state.wave}"
        _say(f"`remediate run FILE{again}` runs what was stopped of {state.wave} again.", ledger)


@click.command(cls=ExampleCommand, example="remediate reopen FIND-0003 --reason 'It drops the check for admins.'")
@click.argument("finding")
@click.option("--by", "reviewer", metavar="NAME", default=getpass.getuser, help="Who decides this; you by default.")
@click.option("--reason", default="", help="What was wrong, for the prompt of the next attempt.")
@report_errors
def reopen(finding: str, reviewer: str, reason: str) -> None:
    """Try a FINDING, by its id or key, again although it succeeded, for example if its pull request was rejected."""
    ledger, wave = _execute(
        lambda tx: reviews.reopen(tx, find_finding(tx, finding).finding_key, reviewer, reason),
    )
    _say(f"{finding} is reopened: `remediate run FILE --wave {wave}` tries it again.", ledger)


def _say(message: str, ledger: Ledger) -> None:
    say(message, load_settings(), file_of(ledger))


def _execute(command: Callable[[Transaction], Result]) -> tuple[Ledger, Result]:
    """Run a control command on the ledger, publish and notify Slack; return the ledger and what the command returns."""
    settings = load_settings()
    ledger = open_ledger(settings)
    # A transaction would create an empty ledger.
    if not ledger.path.exists():
        raise RemediationError("There is no ledger yet; run `remediate plan FILE` first.")
    journal = Journal()
    with ledger.transaction(journal) as tx:
        result = command(tx)
    # At once, whatever the usual interval: the next command is often `status`.
    ledger.publish(force=True)
    announce_events(ledger, settings.slack_webhook_url, journal)
    return ledger, result


async def _terminate_stopped(settings: Settings) -> int:
    """Take steps until every stopped session is terminated or time is up; return how many sessions are left."""
    deadline = time.monotonic() + settings.settle_seconds + STOP_SECONDS
    ledger, policy = open_ledger(settings), Policy.of(settings)
    async with connect(settings) as devin:
        while True:
            journal = Journal()
            # Before the step, which first polls: if Devin cannot list sessions, the known ones are terminated even so.
            await terminate_sessions(ledger, devin, journal)
            messages = journal.messages
            try:
                step = await advance(ledger, devin, policy)
                messages += [*step.messages, *([step.busy] if step.busy else [])]
            except DevinError as error:
                messages.append(str(error))
            for message in messages:
                click.echo(plain(message))
            with ledger.transaction() as tx:
                left = cancel.count_unterminated(tx)
            if not left or time.monotonic() > deadline:
                return left
            # Somebody waits at the terminal, so not the whole interval of a live pipeline.
            await asyncio.sleep(min(settings.poll_interval_seconds, 2.0))
