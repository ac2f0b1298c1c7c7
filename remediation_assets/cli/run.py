"""`remediate run`: plan a file, then run its waves one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from remediation_assets.findings.intake.files import absolute
from remediation_assets.findings.intake.scan import last_request
from remediation_assets.findings.intake.stage import hash_of
from remediation_assets.findings.source_context import OPTIONS
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import GateVerdict
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.planning.waves import current_choice, wave_name
from remediation_assets.reports.plan import repositories_to_start
from remediation_assets.reports.scans import planned_contents
from remediation_assets.reports.waves import Decision, WaveState, decide, to_be_started, totals, wave_states
from remediation_assets.sessions.model import FOR_A_PERSON
from remediation_assets.sessions.store.holds import standing_holds
from remediation_assets.sessions.store.rounds import IN_A_SHELL, gate_before, last_round
from remediation_assets.settings import Settings
from remediation_assets.wording import counted

from .dagster_runs import RunFailed, run_job
from .first_live_run import Start, how_to_start
from .options import ExampleCommand, WaveName, choice_config, choice_options, existing_files, prepare, source_options
from .output import end_paused, report_errors, say, show_waves, summarize
from .plan import PlanOptions, make_plan, show_next_findings
from .progress import Progress, own_console

SHOWN_OF_DRY_RUN = 3
"""Waves that --dry-run describes one by one."""

SHOWN_REPOSITORIES = 20


@click.command(
    cls=ExampleCommand,
    example="remediate run scan.csv --dry-run\nremediate run scan.csv\nremediate run scan.csv --severity critical\n"
    "remediate run scan.csv --wave 2",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--wave", type=WaveName(), help="Run only this wave, such as wave-0001, even if it has been run before.")
@choice_options
@click.option("--dry-run", is_flag=True, help="Plan and show what would be started, but start nothing.")
@click.option("--ignore-gate", is_flag=True, help="Start waves even if the gate before them is closed.")
@click.option("--yes", is_flag=True, help="Do not ask before the first session of a live ledger.")
@source_options
@report_errors
def run(
    file: Path,
    wave_size: int | None,
    wave: str | None,
    chosen_services: tuple[str, ...],
    categories: tuple[str, ...],
    severities: tuple[str, ...],
    dry_run: bool,
    ignore_gate: bool,
    yes: bool,
    **source: str,
) -> None:
    """Plan FILE, then run its waves one after the other until one fails its gate."""
    settings, ledger = prepare()
    choice = choice_config(chosen_services, categories, severities)
    # Before anything is launched: a mistake costs no run.
    existing_files([file])
    if wave and not choice and wave_size is None and _is_planned(settings, ledger, file, source):
        with ledger.published() as connection:
            find_wave(connection, wave)
    usual_size = wave_size or settings.wave_size
    # Before anything is planned: whoever declines has changed nothing.
    start = Start.ALL if yes or dry_run else how_to_start(ledger, settings, usual_size)
    if start is not Start.ALL:
        wave = wave or wave_name(1)
        wave_size = 1 if start is Start.FINDING else wave_size
    make_plan(settings, ledger, PlanOptions(file, wave_size, choice, source))
    if wave:
        with ledger.published() as connection:
            find_wave(connection, wave)
    runner = _Runner(ledger, settings, wave, dry_run=dry_run, ignore_gate=ignore_gate)
    if wave and not ignore_gate and (closed := _closed_gate(ledger, wave)):
        end_paused(ledger, settings, closed)
    if dry_run:
        show_waves(ledger)
        show_next_findings(settings, ledger)
        _show_repositories(ledger)
    handled, started, ends_choice = runner.take_waves()
    if dry_run and handled > SHOWN_OF_DRY_RUN:
        more = counted(handled - SHOWN_OF_DRY_RUN, "more wave")
        click.echo(f"{more} would follow, each if the one before passes its gate.")
    if dry_run:
        say("`remediate plan FILE --show FINDING` prints what would be sent for one finding.", settings)
    if start is not Start.ALL:
        say(
            f"That was {start}. Look at the results; `remediate run FILE` continues with waves of {usual_size}, one "
            "after the other as long as their gates pass.",
            settings,
        )
    if not started and not ends_choice:
        click.echo("Every wave has been run; no session is started." if handled else "No finding needs work.")
    summarize(ledger, settings)


def _is_planned(settings: Settings, ledger: Ledger, file: Path, source: Mapping[str, str]) -> bool:
    """Whether the waves are already cut from this file as it is, so that planning again would cut the same ones."""
    if not ledger.published_path.exists():
        return False
    options = {name: source[name] or getattr(settings, f"findings_{name}") for name in OPTIONS}
    contents = {str(one): hash_of(one) for one in existing_files([file])}
    with ledger.published() as connection:
        last = last_request(connection)
        size = connection.scalar("SELECT wave_size FROM state")
        planned = planned_contents(connection).contents
    return (
        last is not None
        and last.paths == (absolute(file),)
        and last.options == {name: value for name, value in options.items() if value}
        and size == settings.wave_size
        and contents.items() <= planned.items()
    )


@dataclass(frozen=True)
class _Runner:
    """Runs, describes or skips one wave after the other, or only the wave `only`."""

    ledger: Ledger
    settings: Settings
    only: str | None
    dry_run: bool
    ignore_gate: bool

    def take_waves(self) -> tuple[int, bool, bool]:
        """Take the waves in order; exit if a person has to decide first.

        Return how many waves were handled, whether any of them was run, or would be in a dry run, and whether the work
        ends where the chosen findings do.
        """
        console = own_console()
        handled: set[str] = set()
        started = False
        # Read again for each wave: while one ran, somebody may have run another or planned again.
        while state := _next_wave(self.ledger, handled, self.only):
            if self._ends_the_choice(state):
                return len(handled), started, True
            handled.add(state.wave)
            # A wave that was named is run, even again; `run` has checked the gate before it.
            decision = Decision(run=True) if self.only else decide(state, ignore_gate=self.ignore_gate)
            if decision.stop:
                end_paused(self.ledger, self.settings, f"{decision.reason} No session is started.")
            if decision.run:
                self._keep_to_the_choice(state)
            if decision.run and not self.dry_run:
                self._name_a_pause(state)
            if decision.reason:
                say(decision.reason, self.settings)
            if decision.run and self.dry_run:
                if len(handled) <= SHOWN_OF_DRY_RUN:
                    click.echo(_describe_start(self.ledger, self.settings, state))
            elif decision.run:
                self._run_wave(state, console)
            started |= decision.run
        return len(handled), started, False

    def _keep_to_the_choice(self, state: WaveState) -> None:
        """Exit if the wave has to be run again before the chosen ones, and is not of them."""
        if self.only or state.chosen or state.verdict is not GateVerdict.NOT_JUDGED:
            return
        with self.ledger.published() as connection:
            choice = current_choice(connection)
        if choice:
            reason = (
                f"{state.wave} was not judged and comes first, but is not of the chosen findings ({choice.words}); "
            )
            how = f"`remediate run FILE --wave {state.wave}` runs it again. No session is started."
            end_paused(self.ledger, self.settings, reason + how)

    def _ends_the_choice(self, state: WaveState) -> bool:
        """Whether the chosen findings end before this wave; print so if they do."""
        if self.only or state.chosen or state.started:
            return False
        with self.ledger.published() as connection:
            choice = current_choice(connection)
        if not choice:
            return False
        say(
            f"The chosen findings ({choice.words}) end here: {state.wave} and later waves have others. "
            "`remediate plan FILE --all` and `remediate run FILE` go on with them.",
            self.settings,
        )
        return True

    def _run_wave(self, state: WaveState, console: Console) -> None:
        """Run one wave to its gate; exit if its verdict does not open the next one."""
        wave = state.wave
        # A wave that was not judged has a round that is collected, and needs another one.
        again = bool(self.only) or state.verdict is GateVerdict.NOT_JUDGED
        with Progress(self.ledger, console, mock=self.settings.mock_mode).shown():
            config = {"ignore_gate": self.ignore_gate, "again": again}
            finished = run_job("remediate_wave", wave=wave, config={"devin_sessions": config})
        after = _next_wave(self.ledger, set(), wave)
        # Dagster fails the run of a wave that misses its gate, too. Any other failure is an error, or a pause if a
        # hold is behind it.
        if after is None or not (finished.succeeded or finished.only_gate_failed):
            with self.ledger.published() as connection:
                holds = totals(connection).holds
            if holds:
                end_paused(self.ledger, self.settings, f"{finished.reason} `remediate run FILE` goes on with {wave}.")
            raise RunFailed(finished.reason)
        if after.verdict is GateVerdict.NOT_JUDGED and not after.opens:
            end_paused(
                self.ledger, self.settings, f"{wave} was stopped, and nothing of it counts. {self._how_to_go_on()}"
            )
        if not after.opens and not self.ignore_gate:
            reason = decide(after, ignore_gate=False).reason
            end_paused(self.ledger, self.settings, f"{reason} No further wave is started.")

    def _name_a_pause(self, state: WaveState) -> None:
        """Exit if a person's hold stands and nothing of the wave is live: there would be nothing to wait for."""
        with self.ledger.published() as connection:
            hold = next((hold for hold in standing_holds(connection) if hold.kind in FOR_A_PERSON), None)
            unanswered = totals(connection).unanswered
        if hold is None:
            return
        # Sessions at work go on under a hold, and are followed; a claim may turn out to have one.
        if state.at_work or unanswered:
            say(f"{hold.sentence}. The sessions at work are followed.", self.settings)
            return
        reason = f"{state.wave} is not started: {hold.sentence}. After that `remediate run FILE` goes on."
        end_paused(self.ledger, self.settings, reason)

    def _how_to_go_on(self) -> str:
        with self.ledger.published() as connection:
            is_paused = any(hold.kind in FOR_A_PERSON for hold in standing_holds(connection))
        return f"{'`remediate resume`, then ' if is_paused else ''}`remediate run FILE` goes on."


def _describe_start(ledger: Ledger, settings: Settings, state: WaveState) -> str:
    with ledger.published() as connection:
        kinds = to_be_started(connection, state.wave)
    sessions = sum(kinds.values())
    at_work = f"{state.wave} continues with {counted(state.at_work, 'session')} at work" if state.at_work else ""
    if not sessions:
        return f"{at_work or f'{state.wave} has nothing left to start'}."
    by_category = ", ".join(f"{category} {count}" for category, count in kinds.items())
    described = f"{counted(sessions, 'session')} ({by_category})"
    most = f"with their retries at most {sessions * _most_acus_per_finding(settings)} ACUs"
    return f"{at_work or state.wave}{';' if at_work else ''} would be started: {described}, {most}."


def _show_repositories(ledger: Ledger) -> None:
    with ledger.published() as connection:
        found = repositories_to_start(connection, chosen_only=bool(current_choice(connection)))
    if found:
        shown = [f"{url} {counted(findings, 'finding')}" for url, findings in found[:SHOWN_REPOSITORIES]]
        more = len(found) - len(shown)
        click.echo(f"Repositories: {', '.join(shown)}{f', and {more} more' if more else ''}.")


def _most_acus_per_finding(settings: Settings) -> int:
    """Return how many ACUs one finding may cost in a round, with all its retries."""
    return (1 + settings.max_retries) * settings.max_acu_per_session


def _closed_gate(ledger: Ledger, wave: str) -> str | None:
    """Return why no new round of the wave may start; None if one may, or if a round is still under way."""
    with ledger.published() as connection:
        planned = find_wave(connection, wave)
        last = last_round(connection, planned.wave_number)
        closed = None if last and last.collected_at is None else gate_before(connection, planned)
        first = next((one for one in wave_states(connection, last=planned.wave_number - 1) if not one.opens), None)
    if closed is None:
        return None
    # The wave before may itself wait for an earlier one.
    if first and first.verdict is GateVerdict.FAILED:
        command = f"`remediate run FILE --wave {first.wave}` runs {first.wave} again."
    else:
        command = "`remediate run FILE` runs the waves before it in their order."
    return f"{closed.sentence(overrule=IN_A_SHELL)} {command}"


def _next_wave(ledger: Ledger, handled: set[str], only: str | None) -> WaveState | None:
    with ledger.published() as connection:
        states = wave_states(connection)
    return next((s for s in states if s.wave not in handled and only in (None, s.wave)), None)
