"""`remediate`: the pipeline from a shell.

Exit codes: 0 done, 1 error, 2 usage, 3 paused at a gate or hold, 130 interrupted.
"""

import click

from .control import pause, reopen, resume, stop
from .dashboard import dashboard
from .doctor import doctor
from .findings import columns, ingest
from .plan import plan
from .query import query
from .run import run
from .simulator import reset, simulator
from .waves import status, waves

_GROUPS = {
    "Read and plan": (ingest, columns, plan, waves),
    "Run": (doctor, run, status),
    "Look at the results": (query, dashboard),
    "Intervene": (pause, resume, stop, reopen),
    "Mock mode": (simulator, reset),
}
"""The commands in the order of the work."""


class _GroupedHelp(click.Group):
    """A group whose help lists its commands under headings, each with its whole summary."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        for heading, commands in _GROUPS.items():
            with formatter.section(heading):
                # No limit that a first sentence could reach: click would cut it and add three dots.
                formatter.write_dl([(one.name or "", one.get_short_help_str(limit=1000)) for one in commands])


@click.group(cls=_GroupedHelp, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="remediation-assets")
def main() -> None:
    """Clear a backlog of security findings with Devin, wave by wave."""


for group in _GROUPS.values():
    for command in group:
        main.add_command(command)
