"""The account's own limit: learned from refusals, tried again, and parked sessions released for it."""

import httpx
import pytest

from remediation_assets.models import Outcome
from remediation_assets.simulator.world.faults import Faults
from remediation_assets.simulator.world.world import SimulatedSession
from tests.support.samples import REPOSITORY
from tests.support.worker import ORGANISATION, Worker

pytestmark = pytest.mark.anyio


def cap(worker: Worker) -> int | None:
    [(known,)] = worker.rows("SELECT session_cap FROM state")
    return None if known is None else int(known)


def parked(worker: Worker) -> list[SimulatedSession]:
    return [s for s in worker.sessions() if s.life.ended_at is None and not s.is_archived]


async def test_a_refusal_is_judged_once_for_a_chunk_and_cuts_the_limit_to_what_is_there(worker: Worker) -> None:
    worker.plan(4)
    for number in range(1, 5):
        worker.wire.work_on(f"F-{number}")
    worker.world.set_faults(Faults(["concurrency_cap=2"]))
    worker.open()
    step = await worker.step()
    assert (step.started, cap(worker)) == (2, 2)
    assert worker.holds() == [("concurrency", True)]
    assert [status for status in worker.outcomes().values() if status] == []
    assert len(worker.wire.created()) == 4
    await worker.step(after=59)
    assert len(worker.wire.created()) == 4


async def test_after_the_hold_one_attempt_tries_the_limit_and_each_acceptance_raises_it_by_one(
    worker: Worker,
) -> None:
    worker.set(wave_size=6)
    worker.plan(6)
    for number in range(1, 7):
        worker.wire.work_on(f"F-{number}")
    worker.world.set_faults(Faults(["concurrency_cap=2"]))
    worker.open()
    await worker.step()
    await worker.step(after=61)
    assert len(worker.wire.created()) == 5
    assert [hold for hold in worker.holds() if hold[1]] == [("concurrency", True)]
    worker.world.set_faults(Faults(["concurrency_cap=4"]))
    await worker.step(after=61)
    assert len(worker.wire.created()) == 5
    await worker.step(after=60)
    assert (cap(worker), len(worker.sessions())) == (4, 4)


async def test_parked_successes_are_archived_the_oldest_first_when_their_slot_is_needed(worker: Worker) -> None:
    worker.plan(4)
    worker.world.set_faults(Faults(["concurrency_cap=2"]))
    worker.open()
    for number in range(1, 5):
        worker.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await worker.step()
    assert len(parked(worker)) == 2
    step = await worker.step(after=5)
    assert step.started == 2
    assert len(parked(worker)) == 2
    assert [session.is_archived for session in worker.sessions()] == [True, True, False, False]
    await worker.step(after=5)
    assert set(worker.outcomes().values()) == {Outcome.SUCCESS}


@pytest.mark.parametrize(("release", "left"), [("when_needed", 2), ("never", 2), ("always", 0)])
async def test_without_need_parked_sessions_are_given_up_as_the_setting_says(
    worker: Worker, release: str, left: int
) -> None:
    worker.set(release_sessions=release)
    worker.plan(2)
    worker.open()
    for number in (1, 2):
        worker.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await worker.follow()
    await worker.step(after=5)
    assert len(parked(worker)) == left


async def test_a_parked_session_is_kept_where_it_never_may_be_given_up(worker: Worker) -> None:
    worker.set(release_sessions="never")
    worker.plan(2)
    worker.world.set_faults(Faults(["concurrency_cap=1"]))
    worker.open()
    worker.wire.succeed("F-1", repository=REPOSITORY)
    worker.wire.succeed("F-2", repository=REPOSITORY)
    for _ in range(5):
        await worker.step(after=5)
    assert len(worker.sessions()) == 1
    assert not worker.sessions()[0].is_archived


async def test_a_failed_session_frees_its_slot_before_its_finding_is_tried_again(worker: Worker) -> None:
    worker.plan(4)
    worker.wire.fall_over("F-1")
    worker.open()
    for number in (2, 3, 4):
        worker.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await worker.step()
    worker.wire.fail("DELETE", "/sessions/.*", 400)
    await worker.step(after=5)
    assert len(worker.wire.created()) == 4
    await worker.step(after=5)
    assert len(worker.wire.created()) == 5
    first = next(s for s in worker.sessions() if s.title == "Remediate F-1 (attempt 1)")
    shown = worker.world.session(ORGANISATION, first.session_id)
    assert shown is not None
    assert shown.shows.status == "exit"


async def test_several_refusals_in_a_row_for_one_cause_set_a_hold_for_a_person(worker: Worker) -> None:
    worker.set(wave_size=8)
    worker.plan(8)
    worker.open()
    worker.wire.fail_create(httpx.Response(400, json={"detail": "no such playbook"}), times=20)
    await worker.step()
    assert len(worker.wire.created()) == 4
    assert worker.holds() == [("refusals", True)]
    await worker.step(after=7200)
    assert len(worker.wire.created()) == 4
