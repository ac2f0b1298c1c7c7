"""Running a wave again: what goes on, and what opens another round, only if it is wanted."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.sessions.store.rounds import OpenOptions, open_round
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


async def test_a_collected_round_stays_the_last_where_no_other_is_wanted(worker: Worker) -> None:
    worker.set(min_success_rate=0.0, max_retries=0)
    worker.plan(2)
    await worker.settle(Outcome.SUCCESS, Outcome.FAILED)
    worker.collect()
    with worker.transaction() as tx:
        opening = open_round(tx, "wave-0001", read_playbooks(), OpenOptions("run", again=False))
    assert (opening.round, opening.is_new, opening.attempts) == (1, False, 0)
    assert worker.open().round == 2


async def test_a_round_that_overruled_the_gate_goes_on_without_overruling_again(worker: Worker) -> None:
    worker.plan(8)
    assert worker.open("wave-0002", ignore_gate=True).is_new
    goes_on = worker.open("wave-0002")
    assert (goes_on.round, goes_on.is_new) == (1, False)


async def test_what_scanners_and_devin_say_is_one_printable_line_of_the_log(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    await worker.step()
    worker.wire.show(
        "F-1",
        status="error",
        structured_output={
            "finding_id": "F-1",
            "status": "failed",
            "progress_pct": 1,
            "current_step": "",
            "files_modified": [],
            "tests_added": 0,
            "confidence": "low",
            "error_message": "\x1b[31mred\nwave-0001 round 1 settled, gate passed " + "x" * 5000,
        },
    )
    step = await worker.step(after=5)
    [told] = [message for message in step.messages if message.startswith("F-1 attempt 1 failed:")]
    assert told.isprintable()
    assert len(told) <= 500
