"""Whether a verdict opens the next wave: one answer for everybody who asks."""

import pytest

from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.reports.waves import wave_states
from remediation_assets.sessions.steps import cancel
from remediation_assets.sessions.store.gate_results import GateResult, last_verdict
from remediation_assets.sessions.store.rounds import gate_before
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


async def test_a_wave_that_was_not_judged_opens_the_next_once_nothing_of_it_is_left(worker: Worker) -> None:
    worker.plan(8)
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.stop(tx, None)
    await worker.follow()
    worker.collect()
    assert answers(worker) == (False, False, False)
    assert verdict(worker).advice == (
        "Nothing of it counts, as after a stop; run wave-0001 again (job remediate_wave)."
    )
    with worker.transaction() as tx:
        # A later scan no longer reports any of its findings.
        tx.execute(
            "DELETE FROM kept_findings WHERE finding_key IN (SELECT finding_key FROM wave_plan WHERE wave_number = 1)"
        )
    assert answers(worker) == (True, True, True)
    assert verdict(worker).advice == (
        "Nothing of it counts and nothing of it is left to run, so the next wave may start."
    )


def verdict(worker: Worker) -> GateResult:
    found: GateResult = worker.read(lambda tx: last_verdict(tx, "wave-0001"))
    return found


def answers(worker: Worker) -> tuple[bool, bool | None, bool]:
    """Return the answers of the verdict, of the list of waves, and of whoever would open the next round."""
    [state] = worker.read(lambda tx: wave_states(tx, last=1))
    closed = worker.read(lambda tx: gate_before(tx, find_wave(tx, "wave-0002")))
    return verdict(worker).opens, state.opens, closed is None
