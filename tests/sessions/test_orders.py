"""A person's orders: pause, resume, stop; and sessions that quota suspends and that are woken again."""

import httpx
import pytest

from remediation_assets.devin.simulator.faults import Faults
from remediation_assets.models import Outcome
from remediation_assets.sessions import stopping
from remediation_assets.sessions.events import Timeline
from tests.support.carrier import Carrier
from tests.support.samples import REPOSITORY

pytestmark = pytest.mark.anyio


def pause(carrier: Carrier) -> None:
    with carrier.ledger.transaction() as tx:
        stopping.pause(tx, "paused by a test", Timeline(carrier.clock()))


def resume(carrier: Carrier) -> int:
    with carrier.ledger.transaction() as tx:
        return stopping.resume(tx, Timeline(carrier.clock()))


def stop(carrier: Carrier, wave: str | None = None) -> int:
    with carrier.ledger.transaction() as tx:
        return stopping.stop(tx, wave, Timeline(carrier.clock()))


def left(carrier: Carrier) -> int:
    with carrier.ledger.transaction() as tx:
        return stopping.unfinished_endings(tx)


async def test_a_pause_lets_nothing_out_until_it_is_ended_and_what_is_at_work_goes_on(carrier: Carrier) -> None:
    carrier.set(max_parallel_sessions=1)
    carrier.plan(2)
    carrier.open()
    carrier.wire.succeed("F-1", repository=REPOSITORY)
    await carrier.step()
    pause(carrier)
    step = await carrier.step(after=5)
    assert carrier.attempts("outcome")["F-1", 1] == Outcome.SUCCESS
    assert [hold.sentence for hold in step.holds] == [
        "dispatching is on hold (person) until `remediate resume`: paused by a test"
    ]
    await carrier.step(after=100_000)
    assert len(carrier.wire.created()) == 1
    assert resume(carrier) == 1
    await carrier.step(after=5)
    assert len(carrier.wire.created()) == 2


async def test_resuming_lets_other_holds_be_tried_at_once(carrier: Carrier) -> None:
    carrier.plan(1)
    carrier.open()
    carrier.wire.fail_create(402)
    await carrier.step()
    resume(carrier)
    await carrier.step(after=1)
    assert len(carrier.wire.created()) == 2
    assert carrier.holds() == [("quota", False)]


async def test_a_stop_ends_what_is_live_and_pending_and_counts_for_no_gate(carrier: Carrier) -> None:
    carrier.set(max_parallel_sessions=3)
    carrier.plan(4)
    carrier.open()
    carrier.wire.succeed("F-1", repository=REPOSITORY)
    carrier.wire.fall_over("F-2")
    carrier.wire.work_on("F-3")
    await carrier.step()
    carrier.set(max_parallel_sessions=1)
    await carrier.step(after=5)
    assert stop(carrier) == 2
    step = await carrier.step(after=5)
    assert carrier.attempts("outcome") == {
        ("F-1", 1): "success",
        ("F-2", 1): "failed",
        ("F-3", 1): "cancelled",
        ("F-4", 1): "cancelled",
    }
    assert step.settled == ("wave-0001",)
    assert carrier.rows("SELECT findings, answerable, succeeded FROM gate_results") == [(4, 2, 1)]
    shown = {session.title: session.shows.status for session in carrier.sessions()}
    assert shown.pop("Remediate F-1 (attempt 1)") == "running"
    assert set(shown.values()) == {"exit"}
    assert left(carrier) == 0
    assert len(carrier.wire.created()) == 3


async def test_a_stop_of_one_wave_leaves_the_others(carrier: Carrier) -> None:
    carrier.plan(8)
    carrier.open()
    carrier.open("wave-0002", ignore_gate=True)
    await carrier.step()
    assert stop(carrier, "wave-0001") == 4
    await carrier.step(after=1)
    assert carrier.rows("SELECT wave_number, count(*) FROM attempts WHERE outcome = 'cancelled' GROUP BY ALL") == [
        (1, 4)
    ]


async def test_a_stop_finds_and_ends_a_session_that_nobody_knew_yet(carrier: Carrier) -> None:
    carrier.plan(2)
    carrier.open()
    carrier.wire.fail_create(httpx.ReadTimeout("lost"), "F-1", late=True)
    carrier.wire.fail_create(httpx.ReadTimeout("lost"), "F-2")
    carrier.wire.unlisted.add("F-1")
    carrier.wire.work_on("F-1")
    await carrier.step()
    stop(carrier)
    await carrier.step(after=1)
    assert left(carrier) == 2
    carrier.wire.unlisted.clear()
    await carrier.step(after=1)
    assert carrier.attempts("outcome") == {("F-1", 1): "cancelled", ("F-2", 1): None}
    await carrier.step(after=20)
    await carrier.step(after=20)
    assert carrier.attempts("outcome") == {("F-1", 1): "cancelled", ("F-2", 1): "cancelled"}
    assert [s.shows.status for s in carrier.sessions()] == ["exit"]
    assert (left(carrier), len(carrier.wire.created())) == (0, 2)


async def test_an_outcome_that_stands_is_not_changed_by_what_its_session_shows_later(carrier: Carrier) -> None:
    carrier.plan(1)
    carrier.open()
    carrier.wire.work_on("F-1")
    await carrier.step()
    stop(carrier)
    carrier.wire.succeed("F-1", repository=REPOSITORY)
    await carrier.step(after=5)
    assert carrier.attempts("outcome, pr_url") == {("F-1", 1): ("cancelled", None)}


async def test_quota_that_ends_in_the_middle_spends_nothing_and_its_return_wakes_each_session_once(
    carrier: Carrier,
) -> None:
    carrier.set(max_parallel_sessions=10, wave_size=6, blocked_confirm_seconds=2.0)
    carrier.plan(6)
    carrier.world.set_faults(Faults(["quota_suspends=3"]))
    carrier.open()
    await carrier.step()
    await carrier.step(after=0.01)
    assert [kind for kind, stands in carrier.holds() if stands] == ["quota"]
    made = len(carrier.wire.created())
    said = len(messages(carrier))
    for _ in range(20):
        await carrier.step(after=5)
    assert len(carrier.wire.created()) == made
    assert 1 <= len(messages(carrier)) - said <= 3, "one word for each interval between two probes"
    assert {outcome for outcome in carrier.attempts("outcome").values() if outcome == "failed"} == set()
    assert carrier.rows("SELECT count(*) FROM gate_results") == [(0,)]
    carrier.world.set_faults(Faults())
    await carrier.follow()
    assert [s for s in carrier.sessions() if s.life.halted_at] == []
    assert carrier.rows("SELECT count(*) FROM gate_results") == [(1,)]
    assert [hold for hold in carrier.holds() if hold[1]] == []


def messages(carrier: Carrier) -> list[bytes]:
    return [body for method, path, body in carrier.wire.requests if method == "POST" and path.endswith("/messages")]


async def test_quota_that_is_gone_lets_one_probe_out_at_a_time_and_touches_no_gate(carrier: Carrier) -> None:
    carrier.set(max_parallel_sessions=30, wave_size=20)
    carrier.plan(20)
    carrier.world.set_faults(Faults(["quota=3"]))
    carrier.open()
    await carrier.step()
    assert len(carrier.sessions()) == 3
    sent = len(carrier.wire.created())
    assert sent <= 4, "one chunk at the most meets the end of quota"
    for _ in range(30):
        await carrier.step(after=10)
    assert len(carrier.wire.created()) - sent == 5, "five minutes are five intervals"
    assert list(carrier.attempts("status").values()).count("pending") == 17
    assert carrier.rows("SELECT count(*) FROM gate_results") == [(0,)]
    assert carrier.rows("SELECT settled_at FROM rounds") == [(None,)]
    carrier.world.set_faults(Faults())
    await carrier.follow()
    first = carrier.rows("SELECT count(*) FROM attempts WHERE attempt = 1 AND outcome IS NOT NULL")
    assert (first, len(carrier.sessions())) == ([(20,)], carrier.rows("SELECT count(*) FROM attempts")[0][0])
    assert carrier.rows("SELECT findings, answerable FROM gate_results") == [(20, 20)]


async def test_a_wave_that_was_stopped_can_be_run_again(carrier: Carrier) -> None:
    carrier.set(max_parallel_sessions=1)
    carrier.plan(2)
    carrier.open()
    await carrier.step()
    stop(carrier)
    await carrier.step(after=1)
    carrier.collect()
    carrier.open()
    for number in (1, 2):
        carrier.wire.succeed(f"F-{number}", 2, repository=REPOSITORY)
    await carrier.follow()
    assert carrier.attempts("outcome") == {
        ("F-1", 1): "cancelled",
        ("F-1", 2): "success",
        ("F-2", 1): "cancelled",
        ("F-2", 2): "success",
    }


async def test_a_limit_that_is_met_again_ends_the_step_and_doubles_the_wait(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.open()
    carrier.wire.fail_create(429, times=100)
    await carrier.step()
    sent = [len(carrier.wire.created())]
    for seconds in (60, 60, 60, 120, 240):
        await carrier.step(after=seconds)
        sent.append(len(carrier.wire.created()))
    assert sent == [4, 5, 5, 6, 6, 7]


async def test_a_suspended_session_that_never_wakes_does_not_keep_the_others_asleep(carrier: Carrier) -> None:
    carrier.set(wave_size=3, max_parallel_sessions=2, blocked_confirm_seconds=2.0)
    carrier.plan(3)
    carrier.open()
    halted = {"status": "suspended", "status_detail": "out_of_quota", "pull_requests": [], "structured_output": None}
    carrier.wire.show("F-1", **halted)
    carrier.wire.show("F-2", **halted)
    await carrier.step()
    for _ in range(40):
        await carrier.step(after=5)
    spoken_to = {path for method, path, _ in carrier.wire.requests if method == "POST" and path.endswith("/messages")}
    assert len(spoken_to) == 2
    carrier.wire.succeed("F-2", repository=REPOSITORY)
    carrier.wire.succeed("F-3", repository=REPOSITORY)
    for _ in range(60):
        await carrier.step(after=5)
    assert carrier.attempts("outcome") == {("F-1", 1): None, ("F-2", 1): "success", ("F-3", 1): "success"}


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_hold_that_a_poll_has_set_ends_with_a_poll_that_works(carrier: Carrier, status: int) -> None:
    carrier.plan(1)
    carrier.open()
    carrier.wire.work_on("F-1")
    await carrier.step()
    carrier.wire.fail("GET", "/sessions", status)
    with pytest.raises(Exception, match=f"answer {status}"):
        await carrier.step(after=5)
    assert [stands for _, stands in carrier.holds()] == [True]
    await carrier.step(after=61)
    await carrier.step(after=5)
    assert [stands for _, stands in carrier.holds()] == [False]
