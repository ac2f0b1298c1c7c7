"""The account's own limit: learned from refusals, tried anew, and parked sessions given up for it."""

import httpx
import pytest

from remediation_assets.devin.simulator.faults import Faults
from remediation_assets.devin.simulator.world import SimulatedSession
from remediation_assets.models import Outcome
from tests.support.carrier import ORGANISATION, Carrier
from tests.support.samples import REPOSITORY

pytestmark = pytest.mark.anyio


def cap(carrier: Carrier) -> int | None:
    [(known,)] = carrier.rows("SELECT session_cap FROM state")
    return None if known is None else int(known)


def parked(carrier: Carrier) -> list[SimulatedSession]:
    return [s for s in carrier.sessions() if s.life.ended_at is None and not s.is_archived]


async def test_a_refusal_is_judged_once_for_a_chunk_and_cuts_the_limit_to_what_is_there(carrier: Carrier) -> None:
    carrier.plan(4)
    for number in range(1, 5):
        carrier.wire.work_on(f"F-{number}")
    carrier.world.set_faults(Faults(["concurrency_cap=2"]))
    carrier.open()
    step = await carrier.step()
    assert (step.started, cap(carrier)) == (2, 2)
    assert carrier.holds() == [("concurrency", True)]
    assert [status for status in carrier.attempts("outcome").values() if status] == []
    assert len(carrier.wire.created()) == 4
    await carrier.step(after=59)
    assert len(carrier.wire.created()) == 4


async def test_after_the_hold_one_attempt_tries_the_limit_and_each_acceptance_raises_it_by_one(
    carrier: Carrier,
) -> None:
    carrier.set(wave_size=6)
    carrier.plan(6)
    for number in range(1, 7):
        carrier.wire.work_on(f"F-{number}")
    carrier.world.set_faults(Faults(["concurrency_cap=2"]))
    carrier.open()
    await carrier.step()
    await carrier.step(after=61)
    assert len(carrier.wire.created()) == 5
    assert [hold for hold in carrier.holds() if hold[1]] == [("concurrency", True)]
    carrier.world.set_faults(Faults(["concurrency_cap=4"]))
    await carrier.step(after=61)
    assert len(carrier.wire.created()) == 5
    await carrier.step(after=60)
    assert (cap(carrier), len(carrier.sessions())) == (4, 4)


async def test_parked_successes_are_archived_the_oldest_first_when_their_slot_is_needed(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.world.set_faults(Faults(["concurrency_cap=2"]))
    carrier.open()
    for number in range(1, 5):
        carrier.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await carrier.step()
    assert len(parked(carrier)) == 2
    step = await carrier.step(after=5)
    assert step.started == 2
    assert len(parked(carrier)) == 2
    assert [session.is_archived for session in carrier.sessions()] == [True, True, False, False]
    await carrier.step(after=5)
    assert set(carrier.attempts("outcome").values()) == {Outcome.SUCCESS}


@pytest.mark.parametrize(("release", "left"), [("when_needed", 2), ("never", 2), ("always", 0)])
async def test_without_need_parked_sessions_are_given_up_as_the_setting_says(
    carrier: Carrier, release: str, left: int
) -> None:
    carrier.set(release_sessions=release)
    carrier.plan(2)
    carrier.open()
    for number in (1, 2):
        carrier.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await carrier.follow()
    await carrier.step(after=5)
    assert len(parked(carrier)) == left


async def test_a_parked_session_is_kept_where_it_never_may_be_given_up(carrier: Carrier) -> None:
    carrier.set(release_sessions="never")
    carrier.plan(2)
    carrier.world.set_faults(Faults(["concurrency_cap=1"]))
    carrier.open()
    carrier.wire.succeed("F-1", repository=REPOSITORY)
    carrier.wire.succeed("F-2", repository=REPOSITORY)
    for _ in range(5):
        await carrier.step(after=5)
    assert len(carrier.sessions()) == 1
    assert not carrier.sessions()[0].is_archived


async def test_a_failed_session_frees_its_slot_before_its_finding_is_tried_again(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.wire.fall_over("F-1")
    carrier.open()
    for number in (2, 3, 4):
        carrier.wire.succeed(f"F-{number}", repository=REPOSITORY)
    await carrier.step()
    carrier.wire.fail("DELETE", "/sessions/.*", 400)
    await carrier.step(after=5)
    assert len(carrier.wire.created()) == 4
    await carrier.step(after=5)
    assert len(carrier.wire.created()) == 5
    first = next(s for s in carrier.sessions() if s.title == "Remediate F-1 (attempt 1)")
    shown = carrier.world.session(ORGANISATION, first.session_id)
    assert shown is not None
    assert shown.shows.status == "exit"


async def test_several_refusals_in_a_row_for_one_cause_set_a_hold_for_a_person(carrier: Carrier) -> None:
    carrier.set(wave_size=8)
    carrier.plan(8)
    carrier.open()
    carrier.wire.fail_create(httpx.Response(400, json={"detail": "no such playbook"}), times=20)
    await carrier.step()
    assert len(carrier.wire.created()) == 4
    assert carrier.holds() == [("refusals", True)]
    await carrier.step(after=7200)
    assert len(carrier.wire.created()) == 4
