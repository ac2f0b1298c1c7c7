"""`remediate plan`, `run` and `status`: plan the waves, run them, show how far they are."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from remediation_assets.connect import open_ledger
from remediation_assets.devin.client import creation_body
from remediation_assets.escape import plain
from remediation_assets.findings.intake.files import absolute
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import GateVerdict
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.planning.waves import wave_name
from remediation_assets.reports.next_request import next_request
from remediation_assets.reports.waves import Decision, WaveState, decide, to_be_started, totals, wave_states
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.steps.session_request import RequestContext
from remediation_assets.sessions.store.rounds import IN_A_SHELL, gate_before, last_round
from remediation_assets.settings import Settings, load_settings

from .dagster_runs import RunFailed, report_dead_runs, run_job
from .first_live_run import Start, how_to_start
from .options import ExampleCommand, prepare, source_config, source_options
from .output import end_paused, must_succeed, report_errors, show_waves, summarize, waiting
from .progress import Progress, own_console

SHOWN_OF_DRY_RUN = 3
"""Waves that --dry-run describes one by one."""


@click.command(cls=ExampleCommand, example="remediate plan findings.csv --show FIND-0003")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--show", metavar="FINDING", help="Show what would be sent for this finding, by its id or its key.")
@click.option("--json", "as_json", is_flag=True, help="Print the waves as JSON.")
@source_options
@report_errors
def plan(file: Path, wave_size: int | None, show: str | None, as_json: bool, **source: str) -> None:
    """Read FILE, rank its findings and cut them into waves. Starts nothing."""
    settings, ledger = prepare()
    _plan(file, wave_size, source)
    if as_json:
        with ledger.published() as connection:
            click.echo(json.dumps([asdict(state) for state in wave_states(connection)]))
    elif show is None:
        show_waves(ledger)
    else:
        _show_next_request(settings, ledger, show)


def _show_next_request(settings: Settings, ledger: Ledger, finding: str) -> None:
    ledger_id = ledger.ledger_id
    with ledger.transaction() as tx:
        context = RequestContext(ledger_id, Policy.of(settings), secrets.token_hex)
        sent = next_request(tx, finding, read_playbooks(), context)
    ledger.publish(force=True)
    body = creation_body(settings.api_version, **sent.request, structured_output_schema=REMEDIATION_OUTPUT_SCHEMA)
    prompt = body.pop("prompt")
    # Playbooks are uploaded with the first dispatch that needs them, so the id may not be known yet.
    body.setdefault("playbook_id", f"(known once {sent.playbook.title!r} is uploaded)")
    click.echo(f"# Request, sent {sent.when}; each attempt gets a new delimiter in its prompt\n")
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    click.echo(f"\n# Prompt ({len(prompt)} characters)\n\n{prompt}")
    click.echo(f"# Playbook: {sent.playbook.title}\n\n{sent.playbook.body}", nl=False)


@click.command(
    cls=ExampleCommand,
    example="remediate run scan.csv --dry-run\nremediate run scan.csv\nremediate run scan.csv --wave wave-0002",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--wave", help="Run only this wave, such as wave-0001, even if it has been run before.")
@click.option("--dry-run", is_flag=True, help="Plan and show what would be started, but start nothing.")
@click.option("--ignore-gate", is_flag=True, help="Start waves even if the one before has not passed.")
@click.option("--yes", is_flag=True, help="Do not ask before the first session of a live ledger.")
@source_options
@report_errors
def run(
    file: Path, wave_size: int | None, wave: str | None, dry_run: bool, ignore_gate: bool, yes: bool, **source: str
) -> None:
    """Plan FILE, then run its waves one after the other until one fails its gate."""
    settings, ledger = prepare()
    usual_size = wave_size or settings.wave_size
    # Before anything is planned: whoever declines has changed nothing.
    start = Start.ALL if yes or dry_run else how_to_start(ledger, settings, usual_size)
    if start is not Start.ALL:
        wave = wave or wave_name(1)
        wave_size = 1 if start is Start.FINDING else wave_size
    _plan(file, wave_size, source)
    if wave and not ignore_gate and (closed := _closed_gate(ledger, wave)):
        end_paused(ledger, closed)
    if dry_run:
        show_waves(ledger)
    handled, started = _take_waves(ledger, settings, wave, dry_run=dry_run, ignore_gate=ignore_gate)
    if dry_run and handled > SHOWN_OF_DRY_RUN:
        click.echo(f"{handled - SHOWN_OF_DRY_RUN} more waves would follow, each if the one before passes its gate.")
    if dry_run:
        click.echo("`remediate plan FILE --show FINDING` prints what would be sent for one finding.")
    if start is not Start.ALL:
        click.echo(
            f"That was {start}. Look at the results; `remediate run FILE` continues with waves of {usual_size}, one "
            "after the other as long as their gates pass."
        )
    if not started:
        click.echo("Every wave has been run; no session is started." if handled else "No finding needs work.")
    summarize(ledger)


def _take_waves(
    ledger: Ledger, settings: Settings, only: str | None, *, dry_run: bool, ignore_gate: bool
) -> tuple[int, bool]:
    """Run, describe or skip one wave after the other, or only the wave `only`; exit if a person has to decide first.

    Return how many waves were handled, and whether any of them was run, or would be without `dry_run`.
    """
    console = own_console()
    handled: set[str] = set()
    started = False
    # Read again for each wave: while one ran, somebody may have run another or planned again.
    while state := _next_wave(ledger, handled, only):
        handled.add(state.wave)
        # A wave that was named is run, even again; `run` has checked the gate before it.
        decision = Decision(run=True) if only else decide(state, ignore_gate=ignore_gate)
        if decision.reason:
            click.echo(decision.reason)
        if decision.stop:
            end_paused(ledger, "No session is started.")
        if decision.run and dry_run:
            if len(handled) <= SHOWN_OF_DRY_RUN:
                click.echo(_describe_start(ledger, settings, state))
        elif decision.run:
            # A wave that was not judged has a round that is collected, and needs another one.
            again = bool(only) or state.verdict is GateVerdict.NOT_JUDGED
            _run_wave(ledger, state.wave, {"ignore_gate": ignore_gate, "again": again}, console)
        started |= decision.run
    return len(handled), started


def _describe_start(ledger: Ledger, settings: Settings, state: WaveState) -> str:
    with ledger.published() as connection:
        kinds = to_be_started(connection, state.wave)
    sessions = sum(kinds.values())
    at_work = f"{state.wave} continues with {state.at_work} sessions at work" if state.at_work else ""
    if not sessions:
        return f"{at_work or f'{state.wave} has nothing left to start'}."
    by_category = ", ".join(f"{category} {count}" for category, count in kinds.items())
    described = f"{sessions} sessions ({by_category})"
    most = f"with their retries at most {sessions * _most_acus_per_finding(settings)} ACUs"
    return f"{at_work or state.wave}{';' if at_work else ''} would be started: {described}, {most}."


def _most_acus_per_finding(settings: Settings) -> int:
    """Return how many ACUs one finding may cost in a round, with all its retries."""
    return (1 + settings.max_retries) * settings.max_acu_per_session


def _closed_gate(ledger: Ledger, wave: str) -> str | None:
    """Return why no new round of the wave may start; None if one may, or if a round is still under way."""
    with ledger.published() as connection:
        planned = find_wave(connection, wave)
        last = last_round(connection, planned.wave_number)
        closed = None if last and last.collected_at is None else gate_before(connection, planned)
        return closed.sentence(overrule=IN_A_SHELL) if closed else None


def _next_wave(ledger: Ledger, handled: set[str], only: str | None) -> WaveState | None:
    with ledger.published() as connection:
        states = wave_states(connection)
    return next((s for s in states if s.wave not in handled and only in (None, s.wave)), None)


def _run_wave(ledger: Ledger, wave: str, config: dict[str, bool], console: Console) -> None:
    """Run one wave to its gate; exit if the wave does not pass."""
    with Progress(ledger, console).shown():
        finished = run_job("remediate_wave", wave=wave, config={"devin_sessions": config})
    state = _next_wave(ledger, set(), wave)
    with ledger.published() as connection:
        holds = totals(connection).holds
    # Dagster fails the run of a wave that misses its gate, too. Any other failure is an error, or a pause if a
    # hold is behind it.
    if state is None or not (finished.succeeded or finished.only_gate_failed):
        if holds:
            end_paused(ledger, finished.reason)
        raise RunFailed(finished.reason)
    if not state.opens and not config["ignore_gate"]:
        end_paused(ledger, decide(state, ignore_gate=False).reason + " No further wave is started.")


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
        if as_json:
            waves = [asdict(state) for state in wave_states(connection)]
            click.echo(json.dumps({"waves": waves, **asdict(figures)}, default=str))
            return
    show_waves(ledger)
    click.echo(f"{figures.live} live sessions, {figures.unanswered} create requests without an answer.")
    for hold in figures.holds:
        click.echo(plain(hold))
    polled = figures.last_poll_at
    click.echo(f"Last poll: {f'{polled:%Y-%m-%d %H:%M:%S} UTC' if polled else 'never'}.")


def _plan(file: Path, wave_size: int | None, source: Mapping[str, str]) -> None:
    config: dict[str, dict[str, Any]] = {"findings": {"path": str(absolute(file)), **source_config(source)}}
    if wave_size:
        config["waves"] = {"wave_size": wave_size}
    with waiting("Reading, ranking and planning findings"):
        finished = run_job("plan_waves", config=config)
    must_succeed(finished)
