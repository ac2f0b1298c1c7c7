"""`remediate waves` and `status`: what is in the waves, and how far they are."""

import json
from dataclasses import asdict

import click

from remediation_assets.connect import open_ledger
from remediation_assets.escape import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import GateVerdict
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.planning.waves import current_choice
from remediation_assets.reports.plan import chosen_waves, planned_rows
from remediation_assets.reports.waves import Around, WaveState, totals, wave_states
from remediation_assets.sessions.store.rounds import IN_A_SHELL, gate_before
from remediation_assets.settings import Settings, load_settings
from remediation_assets.wording import counted

from .dagster_runs import report_dead_runs
from .options import ExampleCommand, WaveName
from .output import describe, report_errors, say, show_planned, show_waves, wide_console
from .progress import wave_table
from .shell import file_of


@click.command(cls=ExampleCommand, example="remediate waves\nremediate waves 2")
@click.argument("wave", required=False, type=WaveName())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@report_errors
def waves(wave: str | None, as_json: bool) -> None:
    """List all waves, or the findings of one WAVE with what became of them."""
    settings = load_settings()
    ledger = open_ledger(settings)
    ledger.publish(force=True)
    if wave is not None:
        _show_wave(ledger, settings, wave, as_json=as_json)
        return
    with ledger.published() as connection:
        states = wave_states(connection)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
    elif states:
        console = wide_console()
        console.print(wave_table(Around(tuple(states), 0, 0), framed=console.is_terminal))
    else:
        say("Nothing is planned yet; `remediate plan FILE` plans a findings file.", settings)


def _show_wave(ledger: Ledger, settings: Settings, wave: str, *, as_json: bool) -> None:
    with ledger.published() as connection:
        planned = find_wave(connection, wave)
        number = planned.wave_number
        [state] = wave_states(connection, first=number, last=number)
        rows = planned_rows(connection, [wave])
        closed = gate_before(connection, planned)
    if as_json:
        click.echo(json.dumps(asdict(state) | {"planned": [asdict(row) for row in rows]}))
        return
    show_planned(rows, with_status=True)
    reason = closed.sentence(overrule=IN_A_SHELL) if closed and not state.started else None
    say(reason or _what_next(state), settings, file_of(ledger))


def _what_next(state: WaveState) -> str:
    wave = state.wave
    if not state.started:
        return f"Nothing of {wave} has been started; `remediate run FILE --wave {wave}` runs it."
    if state.verdict is None:
        return f"{wave} is under way; `remediate run FILE` follows it."
    left = state.findings - state.succeeded
    again = f" `remediate run FILE --wave {wave}` tries again what did not succeed." if left else ""
    if state.verdict is GateVerdict.NOT_JUDGED:
        return f"{wave} was not judged, because no outcome of it counts.{again}"
    return f"The gate of {wave} {state.verdict.words}: {state.reason}.{again}"


@click.command(cls=ExampleCommand, example="remediate status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every wave.")
@report_errors
def status(as_json: bool) -> None:
    """Show waves, sessions, holds and the last poll; report runs whose process is gone as failed."""
    settings = load_settings()
    ledger = open_ledger(settings)
    for message in report_dead_runs(settings):
        # Standard output is for the JSON alone.
        click.echo(plain(message), err=as_json)
    if ledger.path.exists():
        ledger.verify()
    # Whoever is at work publishes at intervals; a status has to be current.
    ledger.publish(force=True)
    with ledger.published() as connection:
        figures = totals(connection)
        choice, chosen = current_choice(connection), chosen_waves(connection)
        if as_json:
            states = [asdict(state) for state in wave_states(connection)]
            made = asdict(choice) if choice else None
            click.echo(json.dumps({"waves": states, **asdict(figures), "choice": made}, default=str))
            return
    show_waves(ledger)
    click.echo(describe(figures))
    if choice:
        say(
            f"Chosen first: {choice.words}, in {counted(chosen.waves, 'wave')}, of which {chosen.not_started} not "
            "started; `remediate plan FILE --all` ends the choice.",
            settings,
            file_of(ledger),
        )
    requests = counted(figures.unanswered, "create request")
    click.echo(f"{counted(figures.live, 'live session')}, {requests} without an answer.")
    for hold in figures.holds:
        say(hold[0].upper() + hold[1:] + ".", settings)
    polled = figures.last_poll_at
    click.echo(f"Last poll: {f'{polled:%Y-%m-%d %H:%M:%S} UTC' if polled else 'never'}.")
