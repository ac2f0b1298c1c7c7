"""What the commands share at their beginning: help with examples, common options, and the loading of the settings.

What commands print, and how they end, belongs to `output.py`.
"""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from remediation_assets.connect import open_ledger
from remediation_assets.escape import plain
from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.intake.files import absolute, findings_files
from remediation_assets.findings.intake.scan import last_options
from remediation_assets.findings.source_context import OPTIONS
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import FindingCategory, Severity
from remediation_assets.planning.waves import wave_of_name
from remediation_assets.settings import Settings, load_settings

from .dagster_runs import prepare_dagster_home
from .output import Misused


class ExampleCommand(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        """Write the example below the options."""
        with formatter.section("Example"):
            # Not write_text: it would wrap a command in its middle.
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class WaveName(click.ParamType):  # type: ignore[type-arg]  # click's own is generic in its stubs only
    """A wave, by its name or its number."""

    name = "wave"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the wave's name; fail with a usage error if the value names none."""
        wave = wave_of_name(value)
        if wave is None:
            self.fail(f"{value!r} names no wave; give its number, or its name such as wave-0001.", param, ctx)
        return wave


_SOURCE_OPTIONS = {
    "repo_url": ("--repo-url", "URL", "The repository, for files that name none."),
    "service": ("--service-name", "NAME", "The service, for files that name none; the repository's name by default."),
    "root": ("--root", "FOLDER", "The repository's folder when it was scanned, for files with absolute paths."),
    "services": ("--services", "FILE", "A TOML file that assigns services and repositories to paths."),
    "columns": ("--columns", "FILE", "A TOML file that maps the columns of a CSV; `remediate columns` proposes one."),
}


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the source of the findings to a command, which takes them as keyword arguments."""
    # Reversed, because the decorator that is applied last comes first in the help.
    for name, (option, metavar, text) in reversed(_SOURCE_OPTIONS.items()):
        command = click.option(option, name, metavar=metavar, default="", help=text)(command)
    return command


def choice_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose which findings come first, each of which may be given several times."""
    categories = click.Choice([str(category) for category in FindingCategory])
    severities = click.Choice([str(severity) for severity in Severity])
    for option in (
        click.option("--severity", "severities", multiple=True, type=severities, help="... of this severity."),
        click.option("--category", "categories", multiple=True, type=categories, help="... of this category."),
        click.option(
            "--service",
            "chosen_services",
            metavar="NAME",
            multiple=True,
            help="Plan the findings of this service first, in waves of their own, and run no others.",
        ),
    ):
        command = option(command)
    return command


def choice_config(
    services: Sequence[str], categories: Sequence[str], severities: Sequence[str], *, everything: bool = False
) -> dict[str, Any]:
    """Return a choice as configuration of the asset `waves`, empty if nothing was given: then the last choice stands.

    Raise Misused if a choice and the end of one are given together.
    """
    given = {"services": services, "categories": categories, "severities": severities}
    chosen = {name: list(values) for name, values in given.items() if values}
    if chosen and everything:
        raise Misused("--all ends a choice, so it does not go with --service, --category or --severity.")
    return {"all": True} if everything else chosen


def source_config(source: Mapping[str, str]) -> dict[str, str]:
    """Return the values of `source_options` as configuration of the asset `findings`, with absolute paths.

    An option that was not given is missing from the configuration, so that its setting applies. Raise Misused if a file
    that is named does not exist.
    """
    files = {name: str(absolute(source[name])) for name in ("services", "columns") if source[name]}
    for name, path in files.items():
        if not Path(path).is_file():
            raise Misused(f"--{name} {source[name]} does not exist; give the path of a TOML file.")
    return {name: value for name, value in source.items() if value} | files


def existing_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant by paths of files and folders; raise Misused, before anything is launched."""
    try:
        for path in paths:
            if not absolute(path).exists():
                raise Misused(f"{path} does not exist; give the path of a findings file, or of a folder of them.")
            if not os.access(absolute(path), os.R_OK):
                raise Misused(f"{path} cannot be read; give a file that you may read.")
        return findings_files([absolute(path) for path in paths])
    except OSError as error:
        # A name that is too long for any file system, for one.
        raise Misused(f"{error.filename} cannot be read ({error.strerror}); give a file that you may read.") from None
    except FindingsFileError as error:
        raise Misused(str(error)) from None


def with_last_options(
    ledger: Ledger, settings: Settings, files: Sequence[Path], source: Mapping[str, str]
) -> dict[str, str]:
    """Return the options to read files with: those given, and those that were given the last time.

    Options of the last time are printed. Raise Misused, which names them, without a terminal, because a script must not
    depend on what somebody typed before it ran; and if the files were last read with different ones. An option that is
    given empty, as `--root ''`, is not taken over.
    """
    if not ledger.path.exists():
        return dict(source)
    context = click.get_current_context()
    given = {
        name
        for name in OPTIONS
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE or getattr(settings, f"findings_{name}")
    }
    with ledger.transaction() as tx:
        each = last_options(tx, files)
    lasts = [{name: value for name, value in last.items() if name not in given} for last in each]
    if not any(lasts):
        return dict(source)
    if any(last != lasts[0] for last in lasts):
        raise Misused(
            "These files were last read with different options; give the options again, or read the files one by one."
        )
    taken = lasts[0]
    words = " ".join(f"{_SOURCE_OPTIONS[name][0]} {shlex.quote(value)}" for name, value in taken.items())
    if not sys.stdin.isatty():
        raise Misused(
            f"This was read with {words} the last time; without a terminal nothing is taken over, so give the options "
            f"again: `remediate {shlex.join(sys.argv[1:])} {words}`."
        )
    # On standard error: the answer of --json stays alone on standard output.
    click.echo(plain(f"Read with {words}, as the last time."), err=True)
    return dict(source) | taken


def prepare() -> tuple[Settings, Ledger]:
    """Load the settings, prepare Dagster's home and return the settings with their ledger."""
    settings = load_settings()
    prepare_dagster_home(settings)
    return settings, open_ledger(settings)
