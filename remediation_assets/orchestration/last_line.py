"""Why a run failed, as the last line on standard error of the command that executed it. CI shows that line.

Dagster's own last line is `Error: Run ... resulted in failure.`; the reason stands far above it, in the middle of the
log and its stack traces.
"""

import atexit
import sys
from contextlib import suppress

import click

from remediation_assets.escape import plain

COMMANDS = {("job", "execute"), ("asset", "materialize")}
"""The commands of `dagster` that execute a run in their own process."""


def print_last(reason: str) -> None:
    """Print the reason when this process ends, if the process is a command of `dagster` that executes a run.

    Daemons, code servers, and `remediate`, which prints the reason itself, print nothing.
    """
    context = click.get_current_context(silent=True)
    if context and tuple(context.command_path.split()[-2:]) in COMMANDS:
        # Dagster prints its last line after everything that the run and its click context do.
        atexit.register(_print, plain(reason))


def _print(line: str) -> None:
    # A closed pipe must not turn the end of the process into a traceback.
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
