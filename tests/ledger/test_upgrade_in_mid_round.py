"""A ledger of 0.1.0 with work under way goes on under this version: nothing is started twice, nothing is stuck."""

import pytest

from remediation_assets.ledger import schema
from remediation_assets.models import Outcome, Severity
from remediation_assets.planning.order import Choice
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.planning.waves import plan_waves
from remediation_assets.reports.batch_run import load_batch_run
from remediation_assets.reports.waves import decide, wave_states
from remediation_assets.sessions.steps import cancel
from remediation_assets.sessions.store.rounds import OpenOptions, open_round
from tests.support import samples
from tests.support.frozen_schema import downgrade
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

RELEASED = 4
"""The schema of 0.1.0."""


def plan(worker: Worker) -> None:
    """Plan twelve findings, of which F-10 and F-12 are of medium severity, in waves of four."""
    rows = [samples.row(n, severity="medium" if n in (10, 12) else "high") for n in range(1, 13)]
    samples.ingest_file(worker.ledger, samples.write(worker.ledger.data_dir.parent / "findings.csv", rows))
    samples.rank(worker.ledger, worker.settings)
    samples.plan(worker.ledger, worker.settings)


async def test_it_goes_on_after_a_stop_and_with_a_choice_made_afterwards(worker: Worker) -> None:
    worker.set(max_retries=0)
    plan(worker)
    # The first wave was stopped, the second one started all the same, and is in the middle.
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.stop(tx, None)
    await worker.follow()
    worker.collect()
    worker.open("wave-0002", ignore_gate=True)
    await worker.step()
    worker.let_go()
    downgrade(worker.ledger.path, RELEASED)

    assert worker.rows("SELECT schema_version FROM stamp") == [(schema.SCHEMA_VERSION,)]
    assert worker.rows("SELECT wave, verdict, opens, passed FROM gate_results") == [
        ("wave-0001", "not_judged", False, False)
    ]
    playbooks = read_playbooks()
    with worker.transaction() as tx:
        replanned = plan_waves(tx, wave_size=4, now=worker.clock(), choice=Choice(severities=(Severity.MEDIUM,)))
        assert replanned.frozen == 2
        for wave in replanned.waves:
            plan_sessions(tx, wave, playbooks, ledger_id=worker.ledger.ledger_id)
    found = worker.rows(
        "SELECT wave, string_agg(finding_id, ' ' ORDER BY position) FROM planned_findings GROUP BY wave ORDER BY wave"
    )
    assert found == [
        ("wave-0001", "F-1 F-2 F-3 F-4"),
        ("wave-0002", "F-5 F-6 F-7 F-8"),
        ("wave-0003", "F-10 F-12"),
        ("wave-0004", "F-9 F-11"),
    ]

    for number in range(5, 9):
        worker.wire.succeed(f"F-{number}", repository=samples.REPOSITORY)
    await worker.follow("wave-0002")
    worker.collect(2)
    first, second, *_ = worker.read(wave_states)
    assert decide(first, ignore_gate=False).run
    assert (second.verdict, second.opens, second.succeeded) == ("passed", True, 4)
    with worker.transaction() as tx:
        assert open_round(tx, "wave-0003", playbooks, OpenOptions("run")).is_new
    for number in (1, 2, 3, 4, 10, 12):
        worker.wire.succeed(f"F-{number}", 2 if number < 5 else 1, repository=samples.REPOSITORY)
    await worker.follow("wave-0003")
    await worker.settle(*[Outcome.SUCCESS] * 4)
    # Four that were stopped, four that went on, and then six.
    assert len(worker.wire.created()) == len(worker.sessions()) == 14
    assert worker.rows("SELECT count(*), count(DISTINCT session_id) FROM attempts") == [(14, 14)]
    state = worker.read(load_batch_run)
    assert (state.status, [wave.status for wave in state.waves]) == ("paused", ["passed"] * 3 + ["pending"])
