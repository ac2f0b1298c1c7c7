"""What the commands share in their output and at their end: tables, summaries, errors, exit codes.

What they share at their beginning belongs to `options.py`, the live view of a run to `progress.py`.
"""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec

import click
from rich.console import Console

from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.reports.waves import totals, waves_around_the_work
from remediation_assets.settings import CHECKOUT

from .dagster_runs import FinishedRun, RunFailed
from .progress import wave_table

PAUSED = 3
"""Exit code of a run that stops at a gate or a hold: nothing is wrong, but a person is needed."""

Parameters = ParamSpec("Parameters")


def report_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Print an expected error of a command as `Error:` lines on standard error and exit with 1."""

    @wraps(command)
    def reporting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RemediationError as error:
            # A line each, for `plain` removes line breaks with everything else that could control the terminal.
            for line in str(error).splitlines():
                click.echo(f"Error: {plain(line)}", err=True)
            sys.exit(1)

    return reporting


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
    """Raise RunFailed, with the reason, if the run did not succeed."""
    if not finished.succeeded:
        raise RunFailed(finished.reason)


def end_paused(ledger: Ledger, reason: str) -> NoReturn:
    """Print why the work stops here, print the summary so far, and exit with PAUSED."""
    click.echo(plain(reason))
    summarize(ledger)
    sys.exit(PAUSED)


def show_waves(ledger: Ledger) -> None:
    """Print the table of the waves at work, with the last waves done and the next ones."""
    with ledger.published() as connection:
        console = Console(highlight=False)
        console.print(wave_table(waves_around_the_work(connection), framed=console.is_terminal))


def summarize(ledger: Ledger) -> None:
    """Print the totals over all waves, and where the details are."""
    with ledger.published() as connection:
        figures = totals(connection)
    done = figures.succeeded + figures.failed
    rate = f" ({figures.succeeded / done:.0%} of {done})" if done else ""
    # None before the first session, and always with API v1, which does not report it.
    acus = "" if figures.acus is None else f", {figures.acus:.1f} ACUs"
    click.echo(
        f"{figures.succeeded} findings fixed{rate}, {figures.pull_requests} pull requests, "
        f"{figures.planned - done} of {figures.planned} planned findings to go{acus}."
    )
    click.echo(f"Results: duckdb -readonly {shlex.quote(str(ledger.published_path))}")
    dev = "make dev" if (CHECKOUT / "Makefile").exists() else "dagster dev -m remediation_assets.definitions"
    click.echo(f"Runs, waves and gates in the Dagster UI: {dev}, then http://127.0.0.1:3000")
    click.echo("Sessions, and pull requests to review: remediate dashboard, then http://127.0.0.1:3001")
