"""`remediate`: the pipeline from a shell. Exit codes: 0 done, 1 error, 2 usage, 3 paused at a gate or hold."""

import asyncio
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
from duckdb import DuckDBPyConnection
from rich.console import Console

from remediation_assets.devin.client import creation_body
from remediation_assets.devin.connect import connect
from remediation_assets.devin.errors import DevinError
from remediation_assets.errors import RemediationError
from remediation_assets.escaping import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.locks import held
from remediation_assets.ledger.opening import open_ledger
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.progress import Progress, own_console, wave_table
from remediation_assets.runs import (
    FinishedRun,
    RunFailed,
    forget_materializations,
    prepare_dagster_home,
    report_dead_runs,
    run_job,
)
from remediation_assets.sessions import stopping
from remediation_assets.sessions.advance import advance, announce_events, utc_now
from remediation_assets.sessions.ending import end_sessions
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.next_request import next_request
from remediation_assets.sessions.overview import Decision, WaveState, decide, totals, wave_states, waves_around_the_work
from remediation_assets.sessions.rounds import gate_before, last_round
from remediation_assets.settings import Settings, load_settings

PAUSED = 3
STOP_SECONDS = 60.0
SIMULATOR_LOCK = "simulator.lock"
GATE_STEP = "session_results_success_rate_gate"

Parameters = ParamSpec("Parameters")


def _told_to_people(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    @wraps(command)
    def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RemediationError as error:
            for line in str(error).splitlines():
                click.echo(f"Error: {plain(line)}", err=True)
            sys.exit(1)

    return told


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="remediation-assets")
def main() -> None:
    """Clear a backlog of security findings with Devin, wave by wave."""


@main.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_told_to_people
def ingest(files: tuple[Path, ...]) -> None:
    """Read FILEs, or folders of them, into the ledger together and rank their findings; say what was set aside."""
    ledger = _prepare()[1]
    names = ["findings", "normalized_findings", "prioritized_findings"]
    paths = [_absolute(file) for file in files]
    finished = run_job("plan_waves", config={"findings": {"paths": paths}}, assets=names)
    _must_succeed(finished)
    _report_scans(ledger, finished.metadata["findings"])


def _report_scans(ledger: Ledger, told: Mapping[str, Any]) -> None:
    """Say of each file what was read, then what changed in all, then what was set aside and why."""
    scan_ids = [int(one) for one in str(told["scans"]).split()]
    with ledger.published() as connection:
        scans = connection.execute(
            """
            SELECT scan_id, source, rows_in, accepted, set_aside FROM scans
            WHERE list_contains(?, scan_id) ORDER BY scan_id
            """,
            [scan_ids],
        ).fetchall()
        reasons = connection.execute(
            """
            SELECT scan_id, reason, count(*), list(line_number ORDER BY line_number)[:5], any_value(finding_id)
            FROM rejected_findings WHERE list_contains(?, scan_id)
            GROUP BY scan_id, reason ORDER BY count(*) DESC, reason
            """,
            [scan_ids],
        ).fetchall()
        total, duplicates = connection.execute(
            "SELECT (SELECT count(*) FROM prioritized_findings), (SELECT count(*) FROM duplicate_findings)"
        ).fetchone() or (0, 0)
        presence = connection.execute(
            """
            SELECT replace(presence, '_', ' '), count(*) FROM fixed_findings
            WHERE presence != 'not seen since' GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
    for scan_id, source, rows_in, accepted, set_aside in scans:
        click.echo(f"{plain(source)}: {rows_in} rows read: {accepted} accepted, {set_aside} set aside.")
        for of_scan, reason, count, lines, example in reasons:
            if of_scan == scan_id:
                where = ", ".join(map(str, lines)) + (", ..." if count > len(lines) else "")
                shown = f" ({plain(example)})" if count == 1 and example else ""
                click.echo(f"  {plain(reason)}: {count}, line {where}{shown}")
    if told["read as Windows-1252"] != "none":
        for source in str(told["read as Windows-1252"]).splitlines():
            click.echo(f"{plain(source)} is not UTF-8 and was read as Windows-1252; save it as UTF-8 to be sure.")
    if told["read before"]:
        click.echo(f"{told['read before']} of the files had been read before as they are.")
    click.echo(f"{told['new']} findings are new, {told['unchanged']} unchanged, {told['gone']} gone.")
    click.echo(f"{total} findings are known, {duplicates} further rows merged into them.")
    if presence:
        told_of = ", ".join(f"{count} {words}" for words, count in presence)
        click.echo(f"Of the findings fixed before, this has been seen since: {told_of}; see fixed_findings.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--show", metavar="FINDING", help="Show what would be sent for this finding, by its id or its key.")
@_told_to_people
def plan(file: Path, wave_size: int | None, show: str | None) -> None:
    """Read FILE, rank its findings and cut them into waves. Starts nothing."""
    settings, ledger = _prepare()
    _plan(file, wave_size)
    if show is None:
        _show_waves(ledger)
    else:
        _show_next_request(settings, ledger, show)


def _show_next_request(settings: Settings, ledger: Ledger, finding: str) -> None:
    ledger_id = ledger.ledger_id
    with ledger.transaction() as tx:
        sent = next_request(tx, finding, read_playbooks(), ledger_id, settings, secrets.token_hex)
    ledger.publish(force=True)
    body = creation_body(settings.api_version, **sent.request, structured_output_schema=REMEDIATION_OUTPUT_SCHEMA)
    prompt = body.pop("prompt")
    body.setdefault("playbook_id", f"(given when {sent.playbook.title!r} is uploaded)")
    click.echo(f"# Request, sent {sent.when}; the prompt's delimiter is drawn anew for each attempt\n")
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    click.echo(f"\n# Prompt ({len(prompt)} characters)\n\n{prompt}")
    click.echo(f"# Playbook: {sent.playbook.title}\n\n{sent.playbook.body}", nl=False)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--wave", help="Run this wave only, again if it has been run: wave-0001.")
@click.option("--dry-run", is_flag=True, help="Plan, show what would be started, start nothing.")
@click.option("--ignore-gate", is_flag=True, help="Start waves although the one before has not passed.")
@_told_to_people
def run(file: Path, wave_size: int | None, wave: str | None, dry_run: bool, ignore_gate: bool) -> None:
    """Plan FILE, then run its waves one after the other until one fails its gate."""
    _, ledger = _prepare()
    _plan(file, wave_size)
    if wave and not ignore_gate and (closed := _closed_gate(ledger, wave)):
        _pause(ledger, closed)
    if dry_run:
        _show_waves(ledger)
    console = own_console()
    handled: set[str] = set()
    started = False
    # Looked up anew each time: somebody may have run a wave, or planned again, meanwhile.
    while state := _next_wave(ledger, handled, wave):
        handled.add(state.wave)
        decision = Decision(run=True) if wave else decide(state, ignore_gate=ignore_gate)
        if decision.reason:
            click.echo(decision.reason)
        if decision.stop:
            _pause(ledger, "No session is started.")
        if decision.run and dry_run:
            click.echo(f"{state.wave} would be started.")
        elif decision.run:
            _run_wave(ledger, state.wave, {"ignore_gate": ignore_gate, "again": bool(wave)}, console)
        started |= decision.run
    if not started:
        click.echo("Every wave has been run; no session is started." if handled else "No finding needs work.")
    _summarize(ledger)


def _closed_gate(ledger: Ledger, wave: str) -> str | None:
    """Say why a new round of the wave may not start; one that is under way goes on in any case."""
    with ledger.published() as connection:
        planned = find_wave(connection, wave)
        last = last_round(connection, planned.wave_number)
        return None if last and last.collected_at is None else gate_before(connection, planned)


def _next_wave(ledger: Ledger, handled: set[str], only: str | None) -> WaveState | None:
    with ledger.published() as connection:
        states = wave_states(connection)
    return next((s for s in states if s.wave not in handled and only in (None, s.wave)), None)


def _run_wave(ledger: Ledger, wave: str, config: dict[str, bool], console: Console) -> None:
    """Run one wave to its gate; ends the program where that does not pass."""
    with Progress(ledger, console).shown():
        finished = run_job("remediate_wave", wave=wave, config={"devin_sessions": config})
    state = _next_wave(ledger, set(), wave)
    with ledger.published() as connection:
        holds = totals(connection).holds
    if state is None or (not finished.succeeded and finished.failed_steps != (GATE_STEP,)):
        if holds:
            _pause(ledger, finished.reason)
        raise RunFailed(finished.reason)
    if not state.passed and not config["ignore_gate"]:
        _pause(ledger, decide(state, ignore_gate=False).reason + " No further wave is started.")


@main.command()
@_told_to_people
def status() -> None:
    """Show waves, sessions, holds and the last poll; report runs whose process is gone as failed."""
    settings = load_settings()
    ledger = open_ledger(settings)
    for message in report_dead_runs(settings):
        click.echo(plain(message))
    if ledger.path.exists():
        ledger.verify()
    ledger.publish(force=True)
    _show_waves(ledger)
    with ledger.published() as connection:
        figures = totals(connection)
    click.echo(f"{figures.live} live sessions, {figures.unanswered} creations without an answer.")
    for hold in figures.holds:
        click.echo(plain(hold))
    polled = figures.last_poll_at
    click.echo(f"Last poll: {f'{polled:%Y-%m-%d %H:%M:%S} UTC' if polled else 'never'}.")


@main.command()
@click.option("--reason", default="a person asked for it", show_default=True, help="What `status` gives as the reason.")
@_told_to_people
def pause(reason: str) -> None:
    """Start no further session until `resume`; those at work go on."""
    _order(lambda tx, timeline: stopping.pause(tx, reason, timeline))
    click.echo("Paused: no session is started until `remediate resume`. Those at work go on.")


@main.command()
@_told_to_people
def resume() -> None:
    """Lift a pause, and let the holds that are probed from time to time be probed at once."""
    _order(stopping.resume)
    click.echo("Resumed: sessions are started again by the next step of whoever carries the waves.")


@main.command()
@click.option("--wave", help="Stop this wave only: wave-0001. Without it, all of them, and pause.")
@_told_to_people
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


class _FaultsInHelp(click.Command):
    """Lists the faults that there are below the options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from remediation_assets.devin.simulator.faults import KINDS

        with formatter.section("Faults (NAME=AMOUNT or NAME=AMOUNT/SECONDS)"):
            seconds = {kind.name: f", /SECONDS {kind.seconds:g} by default" for kind in KINDS.values() if kind.seconds}
            formatter.write_dl([(k.name, f"{k.meaning} ({k.amount}{seconds.get(k.name, '')})") for k in KINDS.values()])


@main.command(cls=_FaultsInHelp)
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes any free one.")
@click.option("--fault", "faults", multiple=True, help="Let this go wrong; may be given several times.")
@click.option("--control", is_flag=True, help="Let GET and PUT /simulator/faults change the faults meanwhile.")
@_told_to_people
def simulator(port: int, faults: tuple[str, ...], control: bool) -> None:
    """Serve the simulated Devin over HTTP, API versions v1 and v3, until interrupted.

    It is the world of the data directory, with MOCK_SEED, MOCK_TIME_SCALE and MOCK_FAULTS as it was made; --fault
    replaces its faults. Any key that begins with cog_ (v3) or apk_ (v1) is good.
    """
    # Here and not above: a live pipeline never loads the simulator's web framework.
    from remediation_assets.devin.simulator.faults import Faults
    from remediation_assets.devin.simulator.opening import open_world
    from remediation_assets.devin.simulator.serve import serve

    settings = load_settings()
    Faults(faults)  # what cannot be is told before anything is touched
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    def tell(address: str) -> None:
        click.echo(f"Simulated Devin on {address}; use it with DEVIN_API_BASE_URL={address} and MOCK_MODE=true.")

    lock = settings.data_dir / SIMULATOR_LOCK
    serve(lambda: open_world(settings, faults), port, lock, controlled=control, ready=tell)


@main.command()
@_told_to_people
def reset() -> None:
    """Delete a mock ledger, its results, the simulator's world, the wave partitions and their history."""
    settings, ledger = _prepare()
    if not settings.mock_mode:
        raise RemediationError("Only a mock ledger can be reset; a live one is the record of what was spent.")
    if ledger.path.exists():
        ledger.verify()
        with held(ledger.data_dir / "advance.lock", timeout=0):
            ledger.delete()
        # Only with a ledger of our own: another's runs may be recorded in the same Dagster home.
        forget_materializations()
    if settings.simulates_in_process:  # one that is served elsewhere is not ours
        with held(ledger.data_dir / SIMULATOR_LOCK, timeout=0):
            for leftover in ledger.data_dir.glob("simulator.sqlite*"):
                leftover.unlink()
    click.echo(f"{ledger.data_dir} holds no ledger any more.")


def _prepare() -> tuple[Settings, Ledger]:
    settings = load_settings()
    prepare_dagster_home(settings)
    return settings, open_ledger(settings)


def _absolute(file: Path) -> str:
    return str(Path(os.path.expanduser(file)).absolute())


def _plan(file: Path, wave_size: int | None) -> None:
    config: dict[str, dict[str, Any]] = {"findings": {"path": _absolute(file)}}
    if wave_size:
        config["waves"] = {"wave_size": wave_size}
    _must_succeed(run_job("plan_waves", config=config))


def _must_succeed(finished: FinishedRun) -> None:
    if not finished.succeeded:
        raise RunFailed(finished.reason)


def _pause(ledger: Ledger, reason: str) -> NoReturn:
    click.echo(plain(reason))
    _summarize(ledger)
    sys.exit(PAUSED)


def _show_waves(ledger: Ledger) -> None:
    with ledger.published() as connection:
        Console(highlight=False).print(wave_table(waves_around_the_work(connection)))


def _summarize(ledger: Ledger) -> None:
    with ledger.published() as connection:
        figures = totals(connection)
    done = figures.succeeded + figures.failed
    rate = f" ({figures.succeeded / done:.0%} of {done})" if done else ""
    acus = "" if figures.acus is None else f", {figures.acus:.1f} ACUs"
    click.echo(
        f"{figures.succeeded} findings fixed{rate}, {figures.pull_requests} pull requests, "
        f"{figures.planned - done} of {figures.planned} planned findings to go{acus}."
    )
    click.echo(f"Results: duckdb -readonly {shlex.quote(str(ledger.published_path))}")
    click.echo("Runs, waves and gates in the Dagster UI: make dev, then http://127.0.0.1:3000")
