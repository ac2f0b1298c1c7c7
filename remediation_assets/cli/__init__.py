"""`remediate`: the pipeline from a shell. Exit codes: 0 done, 1 error, 2 usage, 3 paused at a gate or hold."""

import click

from .control import pause, reopen, resume, stop
from .dashboard import dashboard
from .doctor import doctor
from .findings import columns, ingest
from .query import query
from .simulator import reset, simulator
from .waves import plan, run, status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="remediation-assets")
def main() -> None:
    """Clear a backlog of security findings with Devin, wave by wave."""


for command in (
    ingest,
    columns,
    plan,
    run,
    status,
    query,
    doctor,
    pause,
    resume,
    stop,
    reopen,
    dashboard,
    simulator,
    reset,
):
    main.add_command(command)
