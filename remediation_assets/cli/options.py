"""What the commands share at their beginning: help with examples, common options, and the loading of the settings.

What commands print, and how they end, belongs to `output.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import click

from remediation_assets.connect import open_ledger
from remediation_assets.findings.intake.files import absolute
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings, load_settings

from .dagster_runs import prepare_dagster_home


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


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the source of the findings to a command, which takes them as keyword arguments."""
    options = {
        "--repo-url": ("URL", "The repository, for files that name none."),
        "--service": ("NAME", "The service, for files that name none; the repository's name by default."),
        "--root": ("FOLDER", "The repository's folder when it was scanned, for files with absolute paths."),
        "--services": ("FILE", "A TOML file that assigns services and repositories to paths."),
        "--columns": ("FILE", "A TOML file that maps the columns of a CSV; `remediate columns` proposes one."),
    }
    # Reversed, because the decorator that is applied last comes first in the help.
    for name, (metavar, text) in reversed(options.items()):
        command = click.option(name, metavar=metavar, default="", help=text)(command)
    return command


def source_config(source: Mapping[str, str]) -> dict[str, str]:
    """Return the values of `source_options` as configuration of the asset `findings`, with absolute paths.

    An option that was not given is missing from the configuration, so that its setting applies.
    """
    files = {name: str(absolute(source[name])) for name in ("services", "columns") if source[name]}
    return {name: value for name, value in source.items() if value} | files


def prepare() -> tuple[Settings, Ledger]:
    """Load the settings, prepare Dagster's home and return the settings with their ledger."""
    settings = load_settings()
    prepare_dagster_home(settings)
    return settings, open_ledger(settings)
