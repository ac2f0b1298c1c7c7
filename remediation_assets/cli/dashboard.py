"""`remediate dashboard`: serve the pages over the published results."""

import click

from remediation_assets.connect import open_ledger
from remediation_assets.settings import load_settings

from .options import ExampleCommand
from .output import report_errors


@click.command(cls=ExampleCommand, example="remediate dashboard --port 3001")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; one that other machines can reach needs DASHBOARD_TOKEN.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0 picks a free port.")
@report_errors
def dashboard(host: str, port: int) -> None:
    """Serve the dashboard and the review queue until interrupted."""
    # Here and not above: no other command needs a web framework.
    from remediation_assets.dashboard.serve import serve

    settings = load_settings()
    serve(open_ledger(settings), settings, host, port, lambda address: click.echo(f"Dashboard on {address}"))
