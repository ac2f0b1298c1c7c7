"""What the commands share in their output and at their end: tables, summaries, errors, exit codes.

What they share at their beginning belongs to `options.py`, commands as they are typed to `shell.py`, the live view of a
run to `progress.py`.
"""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from typing import NoReturn, ParamSpec

import click
import duckdb
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from remediation_assets.connect import open_ledger
from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.order import UnknownChoice
from remediation_assets.planning.wave_plan import UnknownFinding, UnknownWave
from remediation_assets.planning.waves import NothingChosen
from remediation_assets.reports.plan import PlannedRow
from remediation_assets.reports.waves import Totals, totals, waves_around_the_work
from remediation_assets.settings import Settings, SettingsError, load_settings
from remediation_assets.wording import counted

from .dagster_runs import FinishedRun, Interrupted, RunFailed
from .progress import wave_table
from .shell import activation, completed, dagster_ui, file_of, remediate

USAGE = 2
"""Exit code of a command that was called with something that does not exist or cannot be meant."""

PAUSED = 3
"""Exit code of a run that stops at a gate or a hold: nothing is wrong, but a person is needed."""

NARROW = 120
"""Columns of a terminal below which a table of findings leaves out some of its own."""

INTERRUPTED = 130
"""Exit code after ^C, as shells have it: 128 and the number of the signal."""

Parameters = ParamSpec("Parameters")


class Misused(RemediationError):
    """A command was called with something that does not exist or cannot be meant; nothing was done."""


def report_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Print an expected error of a command as `Error:` lines on standard error, and exit with its code."""

    @wraps(command)
    def reporting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Interrupted as error:
            _end([str(error)], INTERRUPTED)
        except (KeyboardInterrupt, click.Abort):
            # ^C at a question too, which click raises as Abort.
            _end(["Interrupted."], INTERRUPTED)
        except SettingsError as error:
            # The only error that is several: one for each setting that is wrong, a line each.
            _end([f"Error: {line}" for line in str(error).splitlines()], 1)
        except RemediationError as error:
            is_usage = isinstance(error, Misused | UnknownWave | UnknownFinding)
            _end([f"Error: {error}"], USAGE if is_usage else 1)

    return reporting


def _end(lines: Sequence[str], code: int) -> NoReturn:
    # The settings or the ledger may be what is wrong.
    with suppress(RemediationError, duckdb.Error):
        settings = load_settings()
        file = _own_file() or file_of(open_ledger(settings))
        lines = [completed(line, settings, file) for line in lines]
    for line in lines:
        click.echo(plain(line), err=True)
    sys.exit(code)


def _own_file() -> str | None:
    """Return the FILE that the running command was called with, None if it has none."""
    context = click.get_current_context(silent=True)
    file = context.params.get("file") if context else None
    return str(file) if file is not None else None


@contextmanager
def waiting(for_what: str) -> Iterator[None]:
    """Show a spinner while the block runs, if standard error is a terminal."""
    # On standard error, so that the answer of --json stays alone on standard output.
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(for_what):
        yield


def must_succeed(finished: FinishedRun) -> None:
    """Raise an error with the reason if the run did not succeed: Misused if what was asked for does not exist."""
    if not finished.succeeded:
        is_usage = finished.error in (NothingChosen.__name__, UnknownChoice.__name__, UnknownWave.__name__)
        raise Misused(finished.reason) if is_usage else RunFailed(finished.reason)


def say(message: str, settings: Settings, file: str | None = None) -> None:
    """Print a message with our commands in it completed for this shell.

    The FILE in them is the one that the running command was called with; `file` is for commands that have none.
    """
    click.echo(plain(completed(message, settings, _own_file() or file)))


def end_paused(ledger: Ledger, settings: Settings, reason: str) -> NoReturn:
    """Print the summary so far, then on standard error why the work stops here, and exit with PAUSED.

    The reason is the last line: in CI, where both streams are one log, that is where people look.
    """
    summarize(ledger, settings)
    sys.stdout.flush()
    click.echo(plain(completed(reason, settings, _own_file() or file_of(ledger))), err=True)
    sys.exit(PAUSED)


def wide_console() -> Console:
    """Return a console for standard output; in a pipe it is wide enough for a row of any table to be one line."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 1000)


def show_waves(ledger: Ledger) -> None:
    """Print the table of the waves at work, with the last waves done and the next ones."""
    with ledger.published() as connection:
        console = wide_console()
        console.print(wave_table(waves_around_the_work(connection), framed=console.is_terminal))


def show_planned(rows: Sequence[PlannedRow], *, with_status: bool = False) -> None:
    """Print findings of waves as a table, in the order of the plan."""
    console = wide_console()
    table = Table(box=HEAVY_HEAD if console.is_terminal else None)
    columns: dict[str, Callable[[PlannedRow], str]] = {
        "wave": lambda row: row.wave,
        "finding": lambda row: row.finding_id,
        "score": lambda row: f"{row.priority_score:g}",
        "severity": lambda row: row.severity,
        "category": lambda row: row.category.replace("_", " "),
        "service": lambda row: row.service_name,
        "playbook": lambda row: row.playbook or "",
        "status": lambda row: row.status,
        "pull request": lambda row: row.pr_url or "",
    }
    if not with_status:
        del columns["status"], columns["pull request"]
    # On a narrow terminal what others say too gives way: the category names the playbook, pages have the links.
    if console.width < NARROW:
        columns = {name: value for name, value in columns.items() if name not in ("playbook", "pull request")}
    for name in columns:
        # An id or an address that is cut into lines can neither be read nor copied.
        table.add_column(name, no_wrap=name in ("wave", "finding", "score", "severity", "status"), overflow="fold")
    for row in rows:
        # As text: what scanners wrote is not read as markup.
        table.add_row(*(Text(plain(value(row))) for value in columns.values()))
    console.print(table)


def summarize(ledger: Ledger, settings: Settings) -> None:
    """Print the totals over all waves, and where the details are."""
    with ledger.published() as connection:
        figures = totals(connection)
    click.echo(describe(figures))
    query = "SELECT wave, finding_id, status, pr_url FROM session_results"
    click.echo(f"Results: {remediate(f'query {shlex.quote(query)}', settings)}")
    # The shell is a program of its own, which need not be there.
    if shutil.which("duckdb"):
        click.echo(f"or: duckdb -readonly {shlex.quote(str(ledger.published_path))}")
    else:
        click.echo(f"or in any DuckDB shell (https://duckdb.org/install), read-only: {ledger.published_path}")
    click.echo(f"Sessions, and pull requests to review: {remediate('dashboard', settings)}, then http://127.0.0.1:3001")
    click.echo(f"Runs, waves and gates in the Dagster UI: {dagster_ui(settings)}, then http://127.0.0.1:3000")
    if how := activation():
        click.echo(f"To type `remediate` alone: {how}")


def describe(figures: Totals) -> str:
    """Return the totals of findings as a sentence; the parts add up to all that are planned."""
    done = figures.succeeded + figures.failed
    rate = f" ({figures.succeeded / done:.0%} of {done} with a result)" if done else ""
    parts = [f"{counted(figures.succeeded, 'finding')} fixed{rate}"]
    others = {
        "failed": figures.failed,
        "at work": figures.at_work,
        "stopped": figures.stopped,
        "not started": figures.not_started,
    }
    parts += [f"{number:,} {word}" for word, number in others.items() if number]
    parts.append(counted(figures.pull_requests, "pull request"))
    # None before the first session, and always with API v1, which does not report it.
    if figures.acus is not None:
        parts.append(f"{figures.acus:.1f} ACUs")
    return f"{', '.join(parts)}; {counted(figures.planned, 'finding is', 'findings are')} planned."
