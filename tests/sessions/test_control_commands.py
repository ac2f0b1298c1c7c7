"""A person's orders: pause, resume, stop; and sessions that quota suspends and that are woken again."""

from typing import Any

import httpx
import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.steps import cancel
from remediation_assets.simulator.world.faults import Faults
from tests.support.samples import REPOSITORY
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


def pause(worker: Worker) -> None:
    with worker.transaction() as tx:
        cancel.pause(tx, "paused by a test")


def resume(worker: Worker) -> int:
    with worker.transaction() as tx:
        return cancel.resume(tx)


def stop(worker: Worker, wave: str | None = None) -> int:
    with worker.transaction() as tx:
        return cancel.stop(tx, wave)


def left(worker: Worker) -> int:
    with worker.ledger.transaction() as tx:
        return cancel.count_unterminated(tx)


async def test_a_pause_lets_nothing_out_until_it_is_ended_and_what_is_at_work_goes_on(worker: Worker) -> None:
    worker.set(max_parallel_sessions=1)
    worker.plan(2)
    worker.open()
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step()
    pause(worker)
    step = await worker.step(after=5)
    assert worker.outcomes()["F-1", 1] == Outcome.SUCCESS
    assert [hold.sentence for hold in step.holds] == [
        "dispatching is on hold (person) until `remediate resume`: paused by a test"
    ]
    await worker.step(after=100_000)
    assert len(worker.wire.created()) == 1
    assert resume(worker) == 1
    await worker.step(after=5)
    assert len(worker.wire.created()) == 2


async def test_resuming_lets_other_holds_be_tried_at_once(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(402)
    await worker.step()
    resume(worker)
    await worker.step(after=1)
    assert len(worker.wire.created()) == 2
    assert worker.holds() == [("quota", False)]


async def test_a_stop_ends_what_is_live_and_pending_and_counts_for_no_gate(worker: Worker) -> None:
    worker.set(max_parallel_sessions=3)
    worker.plan(4)
    worker.open()
    worker.wire.succeed("F-1", repository=REPOSITORY)
    worker.wire.fall_over("F-2")
    worker.wire.work_on("F-3")
    await worker.step()
    worker.set(max_parallel_sessions=1)
    await worker.step(after=5)
    assert stop(worker) == 2
    step = await worker.step(after=5)
    assert worker.outcomes() == {
        ("F-1", 1): "success",
        ("F-2", 1): "failed",
        ("F-3", 1): "cancelled",
        ("F-4", 1): "cancelled",
    }
    assert step.settled == ("wave-0001",)
    assert worker.rows("SELECT findings, answerable, succeeded FROM gate_results") == [(4, 2, 1)]
    shown = {session.title: session.shows.status for session in worker.sessions()}
    assert shown.pop("Remediate F-1 (attempt 1)") == "running"
    assert set(shown.values()) == {"exit"}
    assert left(worker) == 0
    assert len(worker.wire.created()) == 3


async def test_a_stop_of_one_wave_leaves_the_others(worker: Worker) -> None:
    worker.plan(8)
    worker.open()
    worker.open("wave-0002", ignore_gate=True)
    await worker.step()
    assert stop(worker, "wave-0001") == 4
    await worker.step(after=1)
    assert worker.rows("SELECT wave_number, count(*) FROM attempts WHERE outcome = 'cancelled' GROUP BY ALL") == [
        (1, 4)
    ]


async def test_a_stop_finds_and_ends_a_session_that_nobody_knew_yet(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(httpx.ReadTimeout("lost"), "F-1", late=True)
    worker.wire.fail_create(httpx.ReadTimeout("lost"), "F-2")
    worker.wire.unlisted.add("F-1")
    worker.wire.work_on("F-1")
    await worker.step()
    stop(worker)
    await worker.step(after=1)
    assert left(worker) == 2
    worker.wire.unlisted.clear()
    await worker.step(after=1)
    assert worker.outcomes() == {("F-1", 1): "cancelled", ("F-2", 1): None}
    await worker.step(after=20)
    await worker.step(after=20)
    assert worker.outcomes() == {("F-1", 1): "cancelled", ("F-2", 1): "cancelled"}
    assert [s.shows.status for s in worker.sessions()] == ["exit"]
    assert (left(worker), len(worker.wire.created())) == (0, 2)


async def test_an_outcome_that_stands_is_not_changed_by_what_its_session_shows_later(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.work_on("F-1")
    await worker.step()
    stop(worker)
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=5)
    assert worker.attempts("outcome, pr_url") == {("F-1", 1): ("cancelled", None)}


async def test_quota_that_ends_in_the_middle_spends_nothing_and_its_return_wakes_each_session_once(
    worker: Worker,
) -> None:
    worker.set(max_parallel_sessions=10, wave_size=6, blocked_confirm_seconds=2.0)
    worker.plan(6)
    worker.world.set_faults(Faults(["quota_suspends=3"]))
    worker.open()
    await worker.step()
    await worker.step(after=0.01)
    assert [kind for kind, stands in worker.holds() if stands] == ["quota"]
    made = len(worker.wire.created())
    said = len(messages(worker))
    for _ in range(20):
        await worker.step(after=5)
    assert len(worker.wire.created()) == made
    assert 1 <= len(messages(worker)) - said <= 3, "one word for each interval between two probes"
    assert {outcome for outcome in worker.outcomes().values() if outcome == "failed"} == set()
    assert worker.rows("SELECT count(*) FROM gate_results") == [(0,)]
    worker.world.set_faults(Faults())
    await worker.follow()
    assert [s for s in worker.sessions() if s.life.halted_at] == []
    assert worker.rows("SELECT count(*) FROM gate_results") == [(1,)]
    assert [hold for hold in worker.holds() if hold[1]] == []


def messages(worker: Worker) -> list[bytes]:
    return [body for method, path, body in worker.wire.requests if method == "POST" and path.endswith("/messages")]


async def test_quota_that_is_gone_lets_one_probe_out_at_a_time_and_touches_no_gate(worker: Worker) -> None:
    worker.set(max_parallel_sessions=30, wave_size=20)
    worker.plan(20)
    worker.world.set_faults(Faults(["quota=3"]))
    worker.open()
    await worker.step()
    assert len(worker.sessions()) == 3
    sent = len(worker.wire.created())
    assert sent <= 4, "one chunk at the most meets the end of quota"
    for _ in range(30):
        await worker.step(after=10)
    assert len(worker.wire.created()) - sent == 5, "five minutes are five intervals"
    assert list(worker.attempts("status").values()).count("pending") == 17
    assert worker.rows("SELECT count(*) FROM gate_results") == [(0,)]
    assert worker.rows("SELECT settled_at FROM rounds") == [(None,)]
    worker.world.set_faults(Faults())
    await worker.follow()
    first = worker.rows("SELECT count(*) FROM attempts WHERE attempt = 1 AND outcome IS NOT NULL")
    assert (first, len(worker.sessions())) == ([(20,)], worker.rows("SELECT count(*) FROM attempts")[0][0])
    assert worker.rows("SELECT findings, answerable FROM gate_results") == [(20, 20)]


async def test_a_wave_that_was_stopped_can_be_run_again(worker: Worker) -> None:
    worker.set(max_parallel_sessions=1)
    worker.plan(2)
    worker.open()
    await worker.step()
    stop(worker)
    await worker.step(after=1)
    worker.collect()
    worker.open()
    for number in (1, 2):
        worker.wire.succeed(f"F-{number}", 2, repository=REPOSITORY)
    await worker.follow()
    assert worker.outcomes() == {
        ("F-1", 1): "cancelled",
        ("F-1", 2): "success",
        ("F-2", 1): "cancelled",
        ("F-2", 2): "success",
    }


async def test_a_limit_that_is_met_again_ends_the_step_and_doubles_the_wait(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fail_create(429, times=100)
    await worker.step()
    sent = [len(worker.wire.created())]
    for seconds in (60, 60, 60, 120, 240):
        await worker.step(after=seconds)
        sent.append(len(worker.wire.created()))
    assert sent == [4, 5, 5, 6, 6, 7]


async def test_a_suspended_session_that_never_wakes_does_not_keep_the_others_asleep(worker: Worker) -> None:
    worker.set(wave_size=3, max_parallel_sessions=2, blocked_confirm_seconds=2.0)
    worker.plan(3)
    worker.open()
    halted: dict[str, Any] = {
        "status": "suspended",
        "status_detail": "out_of_quota",
        "pull_requests": [],
        "structured_output": None,
    }
    worker.wire.show("F-1", **halted)
    worker.wire.show("F-2", **halted)
    await worker.step()
    for _ in range(40):
        await worker.step(after=5)
    spoken_to = {path for method, path, _ in worker.wire.requests if method == "POST" and path.endswith("/messages")}
    assert len(spoken_to) == 2
    worker.wire.succeed("F-2", repository=REPOSITORY)
    worker.wire.succeed("F-3", repository=REPOSITORY)
    for _ in range(60):
        await worker.step(after=5)
    assert worker.outcomes() == {("F-1", 1): None, ("F-2", 1): "success", ("F-3", 1): "success"}


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_hold_that_a_poll_has_set_ends_with_a_poll_that_works(worker: Worker, status: int) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.work_on("F-1")
    await worker.step()
    worker.wire.fail("GET", "/sessions", status)
    with pytest.raises(Exception, match=f"answer {status}"):
        await worker.step(after=5)
    assert [stands for _, stands in worker.holds()] == [True]
    await worker.step(after=61)
    await worker.step(after=5)
    assert [stands for _, stands in worker.holds()] == [False]
