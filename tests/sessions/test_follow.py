"""Whole waves on the simulator, followed to their end on a simulated clock."""

import httpx
import pytest

from remediation_assets.planning.wave_plan import UnknownWave
from remediation_assets.sessions.model import attempt_tag
from remediation_assets.sessions.reconcile import HeldUp, NoRound
from remediation_assets.simulator.world.schedule import schedule_for
from tests.support import samples
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


def foreseen(seed: int, key: str, retries: int) -> list[str]:
    """Return the outcomes that a finding's attempts must have, from the seed alone."""
    outcomes: list[str] = []
    for attempt in range(1, retries + 2):
        stuck = schedule_for(seed, attempt_tag(key, attempt)).gets_stuck
        outcomes.append("failed" if stuck else "success")
        if not stuck:
            break
    return outcomes


async def test_a_wave_runs_to_the_end_that_its_seed_decides(worker: Worker) -> None:
    worker.set(wave_size=12)
    worker.plan(12)
    worker.open()
    await worker.follow()
    ended: dict[str, list[str]] = {}
    for key, outcome in worker.rows("SELECT finding_key, outcome FROM attempts ORDER BY finding_key, attempt"):
        ended.setdefault(key, []).append(outcome)
    assert ended == {key: foreseen(worker.world.seed, key, 2) for key in ended}
    assert any(len(outcomes) > 1 for outcomes in ended.values())  # else this seed shows nothing
    [(findings, succeeded, passed)] = worker.rows("SELECT findings, succeeded, passed FROM gate_results")
    assert (findings, succeeded, passed) == (12, sum("success" in of_one for of_one in ended.values()), True)


async def test_each_claimed_attempt_has_one_session_and_each_session_one_attempt(worker: Worker) -> None:
    worker.set(wave_size=6, max_parallel_sessions=3)
    worker.plan(6)
    worker.wire.fall_over("F-1")
    worker.wire.fail_create(httpx.ReadTimeout("lost"), "F-2", late=True)
    worker.wire.fail_create(httpx.ReadTimeout("lost"), "F-3")
    worker.wire.fail_create(429, "F-4")
    worker.wire.fail_create(500, "F-5", late=True)
    worker.open()
    await worker.follow()
    recorded = [session_id for (session_id,) in worker.rows("SELECT session_id FROM attempts")]
    assert sorted(recorded) == sorted(session.session_id for session in worker.sessions())


async def test_every_failed_session_is_ended_and_every_successful_one_stays(worker: Worker) -> None:
    worker.plan(4)
    worker.wire.fall_over("F-1")
    worker.open()
    await worker.follow()
    shown = {session.session_id: session.shows.status for session in worker.sessions()}
    outcomes = worker.rows("SELECT session_id, outcome FROM attempts")
    assert {shown[session_id] for session_id, outcome in outcomes if outcome == "failed"} == {"exit"}
    assert {shown[session_id] for session_id, outcome in outcomes if outcome == "success"} <= {"running", "suspended"}


async def test_a_wave_below_the_gate_is_not_retried(worker: Worker) -> None:
    worker.plan(4)
    for number in (1, 2):
        worker.wire.fall_over(f"F-{number}")
    worker.open()
    log = await worker.follow()
    assert len(worker.sessions()) == 4
    assert "wave-0001 round 1 settled, gate failed: 2 of 4 succeeded, 50%, needed 70%" in log


async def test_a_finding_that_fails_for_ever_is_tried_three_times(worker: Worker) -> None:
    worker.plan(4)
    for attempt in (1, 2, 3):
        worker.wire.fall_over("F-1", attempt)
    worker.open()
    await worker.follow()
    assert [attempt for finding_id, attempt in worker.outcomes() if finding_id == "F-1"] == [1, 2, 3]
    assert worker.rows("SELECT succeeded, answerable, passed FROM gate_results") == [(3, 4, True)]


async def test_a_settled_wave_is_published(worker: Worker) -> None:
    worker.plan(2)
    worker.let_go()
    worker.open()
    await worker.follow()
    with worker.ledger.published() as published:
        assert published.execute("SELECT count(*) FROM gate_results").fetchone() == (1,)
        statuses = published.execute("SELECT DISTINCT status FROM session_results").fetchall()
    assert statuses == [("success",)]


async def test_following_a_settled_wave_asks_devin_nothing(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    await worker.follow()
    worker.wire.requests.clear()
    assert await worker.follow() == []
    assert worker.wire.requests == []


async def test_a_hold_with_a_known_end_is_waited_through(worker: Worker) -> None:
    worker.set(poll_interval_seconds=600.0)
    worker.plan(2)
    wait = httpx.Response(429, json={"detail": "slow down"}, headers={"retry-after": "1500"})
    worker.wire.fail_create(wait, times=2)
    worker.open()
    await worker.follow()
    assert worker.holds() == [("rate_limit", False)]
    assert worker.rows("SELECT passed FROM gate_results") == [(True,)]


async def test_a_hold_without_a_known_end_ends_the_waiting_and_loses_nothing(worker: Worker) -> None:
    worker.set(poll_interval_seconds=60.0)
    worker.plan(1)
    worker.wire.fail_create(402, times=5)
    worker.open()
    with pytest.raises(HeldUp, match=r"wave-0001 still waits: dispatching is on hold \(quota\)"):
        await worker.follow()
    assert worker.rows("FROM gate_results") == []
    await worker.follow()
    assert worker.outcomes() == {("F-1", 1): "success"}


async def test_an_api_out_of_reach_ends_the_waiting_and_loses_nothing(worker: Worker) -> None:
    worker.set(poll_interval_seconds=60.0)
    worker.plan(1)
    worker.open()
    await worker.step()
    worker.wire.fail("GET", "/sessions", 503, times=4 * 4)
    with pytest.raises(HeldUp, match="wave-0001 still waits: Devin cannot be polled"):
        await worker.follow()
    await worker.follow()
    assert worker.outcomes() == {("F-1", 1): "success"}


async def test_a_wave_without_a_round_cannot_be_followed(worker: Worker) -> None:
    worker.plan(1)
    with pytest.raises(NoRound, match="wave-0001 has never been dispatched"):
        await worker.follow()
    with pytest.raises(UnknownWave, match="there is only wave-0001"):
        await worker.follow("wave-0002")


async def test_who_comes_back_after_a_day_catches_up_in_one_step(worker: Worker) -> None:
    worker.set(max_parallel_sessions=4, session_timeout_minutes=10)
    worker.plan(4)
    worker.open()
    for number in (1, 2, 3):
        worker.wire.succeed(f"F-{number}", repository=samples.REPOSITORY)
    worker.wire.work_on("F-4")
    assert (await worker.step()).started == 4
    step = await worker.step(after=24 * 3600)
    # What finished in the meantime is a success, not a timeout; and nobody watched, so nothing has run out of time.
    outcomes = list(worker.outcomes().values())
    assert outcomes == ["success", "success", "success", None]
    assert step.settled == ()
    for number in (1, 2, 3, 4):
        worker.wire.succeed(f"F-{number}", repository=samples.REPOSITORY)
    assert (await worker.step(after=24 * 3600)).settled == ("wave-0001",)


async def test_a_wave_of_fifty_is_topped_up_within_one_poll_and_never_beyond_its_slots(worker: Worker) -> None:
    worker.set(wave_size=50, max_parallel_sessions=10)
    worker.plan(50)
    worker.open()
    live = "SELECT count(*) FROM attempts WHERE claimed_at IS NOT NULL AND outcome IS NULL"
    waiting = "SELECT count(*) FROM attempts WHERE claimed_at IS NULL AND outcome IS NULL"
    polls = 0
    while worker.rows("SELECT count(*) FROM rounds WHERE settled_at IS NULL") == [(1,)]:
        await worker.step(after=1.0)
        [(at_work,)], [(pending,)] = worker.rows(live), worker.rows(waiting)
        # Every poll ends with all slots in use, as long as there is something that may use them.
        assert at_work == 10 or (at_work < 10 and pending == 0)
        polls += 1
        assert polls < 500
    [(attempts,)] = worker.rows("SELECT count(*) FROM attempts")
    assert len(worker.sessions()) == attempts >= 50
