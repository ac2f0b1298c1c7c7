"""What the commands share: how they start, what they say at the end, and how a mistake is told."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, ParamSpec

import click
from rich.console import Console

from remediation_assets.connect import open_ledger
from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.findings.intake.files import absolute
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.reports.waves import totals, waves_around_the_work
from remediation_assets.settings import CHECKOUT, Settings, load_settings

from .dagster_runs import (
    FinishedRun,
    RunFailed,
    prepare_dagster_home,
)
from .progress import wave_table

PAUSED = 3

Parameters = ParamSpec("Parameters")


class ExampleCommand(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        """Write the example below the options."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def told_to_people(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Tell what this software raises as `Error:` lines, with exit code 1."""

    @wraps(command)
    def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RemediationError as error:
            for line in str(error).splitlines():
                click.echo(f"Error: {plain(line)}", err=True)
            sys.exit(1)

    return told


def prepare() -> tuple[Settings, Ledger]:
    """Load the settings, make Dagster's home ready and open the ledger."""
    settings = load_settings()
    prepare_dagster_home(settings)
    return settings, open_ledger(settings)


def origin_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where findings come from; the command takes them as keyword arguments."""
    options = {
        "--repo-url": ("URL", "The repository, for files that name none."),
        "--service": ("NAME", "The service, for files that name none; the repository's name by default."),
        "--root": ("FOLDER", "Where the repository lay when it was scanned, for files that tell whole paths."),
        "--services": ("FILE", "A TOML file that tells service and repository by path."),
        "--columns": ("FILE", "A TOML file that maps a CSV's columns; `remediate columns` proposes one."),
    }
    for name, (metavar, words) in reversed(options.items()):
        command = click.option(name, metavar=metavar, default="", help=words)(command)
    return command


def origin_config(origin: Mapping[str, str]) -> dict[str, str]:
    """Give the options of `origin_options` as the configuration of `findings`."""
    of_files = {name: str(absolute(origin[name])) for name in ("services", "columns") if origin[name]}
    return {name: value for name, value in origin.items() if value} | of_files


@contextmanager
def waiting(for_what: str) -> Iterator[None]:
    """Show on a terminal that something long is under way; elsewhere nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(for_what):
        yield


def must_succeed(finished: FinishedRun) -> None:
    """Raise RunFailed, with the reason, for a run that did not succeed."""
    if not finished.succeeded:
        raise RunFailed(finished.reason)


def end_paused(ledger: Ledger, reason: str) -> NoReturn:
    """Say why work stops here and what there is so far, and end the program."""
    click.echo(plain(reason))
    summarize(ledger)
    sys.exit(PAUSED)


def show_waves(ledger: Ledger) -> None:
    """Print the table of waves around the work."""
    with ledger.published() as connection:
        console = Console(highlight=False)
        console.print(wave_table(waves_around_the_work(connection), framed=console.is_terminal))


def summarize(ledger: Ledger) -> None:
    """Print what all waves came to, and where to look further."""
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
    dev = "make dev" if (CHECKOUT / "Makefile").exists() else "dagster dev -m remediation_assets.definitions"
    click.echo(f"Runs, waves and gates in the Dagster UI: {dev}, then http://127.0.0.1:3000")
    click.echo("Sessions, and pull requests to review: remediate dashboard, then http://127.0.0.1:3001")
