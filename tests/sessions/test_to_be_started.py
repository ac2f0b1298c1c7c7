"""How many sessions running a wave would start now."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.reports.waves import to_be_started
from remediation_assets.sessions.store.reviews import reopen
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


def started(worker: Worker) -> int:
    return sum(worker.read(lambda tx: to_be_started(tx, "wave-0001")).values())


async def test_only_findings_that_get_a_new_session_are_counted(worker: Worker) -> None:
    worker.set(max_parallel_sessions=3)
    worker.plan(4)
    assert started(worker) == 4
    worker.open()
    await worker.step()
    # Three are at work, the fourth waits for a slot.
    assert started(worker) == 1


async def test_of_a_wave_that_was_run_what_has_not_succeeded_and_what_was_reopened_are_counted(
    worker: Worker,
) -> None:
    worker.plan(4)
    await worker.settle(S, F, F, F)
    worker.collect()
    assert started(worker) == 3
    key = worker.key("F-1")
    with worker.ledger.transaction() as tx:
        reopen(tx, key, "Ada", "Not this way")
    assert started(worker) == 4
