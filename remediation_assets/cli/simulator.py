"""`remediate simulator` and `reset`: serve the simulated Devin, and delete a ledger that was made with it."""

import sys

import click

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.locks import held
from remediation_assets.reports.waves import totals
from remediation_assets.settings import load_settings
from remediation_assets.wording import counted

from .dagster_runs import forget_materializations
from .options import ExampleCommand, prepare
from .output import Misused, report_errors

SIMULATOR_LOCK = "simulator.lock"


class _FaultsInHelp(ExampleCommand):
    """A command whose help lists the faults below the options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from remediation_assets.simulator.world.faults import KINDS

        super().format_epilog(ctx, formatter)
        with formatter.section("Faults (NAME=AMOUNT or NAME=AMOUNT/SECONDS)"):
            seconds = {kind.name: f", /SECONDS {kind.seconds:g} by default" for kind in KINDS.values() if kind.seconds}
            formatter.write_dl([(k.name, f"{k.meaning} ({k.amount}{seconds.get(k.name, '')})") for k in KINDS.values()])


@click.command(cls=_FaultsInHelp, example="remediate simulator --fault lost_answer=0.1 --fault concurrency_cap=5")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 picks a free port.")
@click.option("--fault", "faults", multiple=True, help="A fault to inject; may be given several times.")
@click.option("--control", is_flag=True, help="Let GET and PUT /simulator/faults show and change the faults.")
@report_errors
def simulator(port: int, faults: tuple[str, ...], control: bool) -> None:
    """Serve the simulated Devin over HTTP, API versions v1 and v3, until interrupted.

    It serves the world of the data directory, with MOCK_SEED, MOCK_TIME_SCALE and MOCK_FAULTS as at its creation;
    --fault replaces its faults. Any key that begins with cog_ (v3) or apk_ (v1) is accepted.
    """
    # Here and not above: a live pipeline never loads the simulator's web framework.
    from remediation_assets.simulator.http.serve import serve
    from remediation_assets.simulator.world.entry import open_world
    from remediation_assets.simulator.world.faults import Faults

    settings = load_settings()
    Faults(faults)  # an unknown fault ends the command before it creates anything
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    def announce(address: str) -> None:
        click.echo(f"Simulated Devin on {address}; use it with DEVIN_API_BASE_URL={address} and MOCK_MODE=true.")

    lock = settings.data_dir / SIMULATOR_LOCK
    serve(lambda: open_world(settings, faults), port, lock, controlled=control, ready=announce)


@click.command(cls=ExampleCommand, example="remediate reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@report_errors
def reset(yes: bool) -> None:
    """Delete a mock ledger, its results, the simulator's world, the wave partitions and their history; ask before."""
    settings, ledger = prepare()
    if not settings.mock_mode:
        raise RemediationError("Only a mock ledger can be reset; a live one is the record of what was spent.")
    if ledger.path.exists():
        ledger.verify()
        if not yes:
            _confirm(ledger)
        with held(ledger.data_dir / "advance.lock", timeout=0):
            ledger.delete()
        # Not without a ledger: the Dagster home may be used with another data directory, whose history would be lost.
        forget_materializations()
    if settings.simulates_in_process:  # a world that is served elsewhere is not ours to delete
        with held(ledger.data_dir / SIMULATOR_LOCK, timeout=0):
            for leftover in ledger.data_dir.glob("simulator.sqlite*"):
                leftover.unlink()
    click.echo(f"{ledger.data_dir} holds no ledger now.")


def _confirm(ledger: Ledger) -> None:
    """Make sure that a person wants a ledger deleted; raise an error, Misused without a terminal, if not."""
    with ledger.transaction() as tx:
        figures = totals(tx)
    what = f"{ledger.path}, with {counted(figures.planned, 'planned finding')} and all results"
    if not sys.stdin.isatty():
        raise Misused(f"This deletes {what}; without a terminal to ask on, `remediate reset --yes` does so.")
    if not click.confirm(f"Delete {what}?"):
        raise RemediationError("Nothing was deleted.")
