"""The sample run to its end on a clock of its own, so that it comes out the same on any machine at any time."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from remediation_assets.connect import open_ledger
from remediation_assets.devin.client import DevinClient
from remediation_assets.findings.intake.scan import scan_files
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.rank import normalize, prioritize
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.planning.waves import plan_waves
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.reconcile import Pace, follow
from remediation_assets.sessions.store.reviews import Decision, Review, review
from remediation_assets.sessions.store.rounds import OpenOptions, mark_collected, open_round
from remediation_assets.settings import CHECKOUT, Settings
from remediation_assets.simulator.http.transport import SimulatorTransport
from remediation_assets.simulator.world.world import World
from tests.support.clock import Clock

SEED = 7
"""With this one two waves of the sample pass, with retries, and the third fails its gate."""


def sample_run(folder: Path) -> Ledger:
    """Return the published ledger of a run that ends at the gate of the wave that fails, with two reviews."""
    settings = Settings(_env_file=None, remediation_data_dir=str(folder), wave_size=5, poll_interval_seconds=20)
    ledger, clock = open_ledger(settings), Clock()
    request = ScanRequest((CHECKOUT / "sample_data" / "findings.csv",))
    scan_files(ledger, request, Rules(allow_reserved_hosts=True), max_rejected_share=0.5, now=clock())
    with ledger.transaction() as tx:
        normalize(tx)
        prioritize(tx, settings.service_weights)
        waves = plan_waves(tx, wave_size=settings.wave_size, now=clock()).waves
    world = World(folder / "simulator.sqlite", SEED, 1.0, clock.seconds)
    try:
        asyncio.run(_run(ledger, settings, world, clock, waves))
    finally:
        world.close()
    _review(ledger, clock)
    ledger.publish(force=True)
    return ledger


async def _run(ledger: Ledger, settings: Settings, world: World, clock: Clock, waves: tuple[str, ...]) -> None:
    transport = SimulatorTransport(world)
    async with DevinClient(api_key=SecretStr("cog_x"), origin="http://simulator", transport=transport) as devin:
        for number, wave in enumerate(waves, start=1):
            with ledger.transaction(Journal(clock)) as tx:
                plan_sessions(tx, wave, read_playbooks(), ledger_id=ledger.ledger_id)
                open_round(tx, wave, read_playbooks(), OpenOptions("run"))
            await follow(ledger, devin, Policy.of(settings), wave, log=lambda _: None, pace=Pace(clock, clock.sleep))
            with ledger.transaction(Journal(clock)) as tx:
                mark_collected(tx, number)
                passed = tx.scalar("SELECT passed FROM gate_results WHERE wave = ?", [wave])
            if not passed:
                return


def _review(ledger: Ledger, clock: Clock) -> None:
    with ledger.transaction(Journal(clock)) as tx:
        keys = tx.execute(
            "SELECT finding_key, attempt FROM session_results WHERE outcome = 'success' ORDER BY wave, position LIMIT 2"
        ).fetchall()
        for (key, attempt), said in zip(
            keys,
            [Review(Decision.APPROVED, "Ada"), Review(Decision.REJECTED, "Ada", "It drops the check for admins.")],
            strict=True,
        ):
            review(tx, key, attempt, said)
