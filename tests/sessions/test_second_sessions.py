"""Second sessions of one attempt: found by its tag, ended until that is confirmed, and told."""

import httpx
import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.model import attempt_tag, ledger_tag, wave_tag
from remediation_assets.simulator.world.world import SimulatedSession
from tests.support.samples import REPOSITORY
from tests.support.worker import ORGANISATION, Worker

pytestmark = pytest.mark.anyio

LOST = httpx.ReadTimeout("the answer is lost")


def create_again(worker: Worker, number: int = 1) -> SimulatedSession:
    """Make Devin create another session for an attempt, as a create request does that comes through late."""
    ledger_id = worker.ledger.ledger_id
    key = worker.key("F-1")
    tags = [ledger_tag(ledger_id), wave_tag(ledger_id, "wave-0001"), "finding-F-1", attempt_tag(key, number)]
    return worker.world.create_session(ORGANISATION, "Fix it", tags=tags, title=f"Remediate F-1 (attempt {number})")


def status_of(worker: Worker, session: SimulatedSession) -> str:
    shown = worker.world.session(ORGANISATION, session.session_id)
    assert shown is not None
    return shown.shows.status


async def test_a_second_session_is_ended_and_the_first_goes_on(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.work_on("F-1")
    await worker.step()
    own = worker.session_ids()["F-1", 1]
    extra = create_again(worker)
    await worker.step(after=5)
    assert status_of(worker, extra) == "exit"
    assert worker.attempts("session_id, outcome") == {("F-1", 1): (own, None)}
    assert worker.rows("SELECT session_id, ended_at IS NOT NULL FROM extra_sessions") == [(extra.session_id, True)]
    messages = [m for (m,) in worker.rows("SELECT message FROM session_events WHERE event_type = 'session_extra'")]
    assert messages == [f"F-1 attempt 1 has a second session, {extra.session_id}, which is ended"]
    await worker.step(after=5)
    assert len(worker.rows("SELECT 1 FROM extra_sessions")) == 1


async def test_a_second_session_that_cannot_be_ended_is_tried_again_and_told_once(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.work_on("F-1")
    await worker.step()
    extra = create_again(worker)
    worker.wire.fail("DELETE", "/sessions/.*", 400, times=2)
    await worker.step(after=5)
    await worker.step(after=5)
    assert status_of(worker, extra) != "exit"
    await worker.step(after=5)
    assert status_of(worker, extra) == "exit"
    kinds = [kind for (kind,) in worker.rows("SELECT event_type FROM session_events ORDER BY event_id")]
    assert kinds.count("session_end_failed") == 1
    assert kinds[-1] == "session_ended"


async def test_a_session_that_comes_after_its_attempt_was_returned_is_adopted(worker: Worker) -> None:
    worker.plan(2)
    worker.set(max_parallel_sessions=2)
    worker.open()
    worker.wire.work_on("F-2")
    worker.wire.fail_create(LOST, "F-1")
    await worker.step()
    worker.set(max_parallel_sessions=1)
    await worker.step(after=10)
    await worker.step(after=10)
    assert worker.attempts("claimed_at")["F-1", 1] is None
    late = create_again(worker)
    await worker.step(after=5)
    assert worker.session_ids()["F-1", 1] == late.session_id
    assert worker.attempts("claimed_at")["F-1", 1] is not None


async def test_a_session_that_comes_after_its_attempt_was_sent_again_is_ended(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.work_on("F-1")
    worker.wire.fail_create(LOST)
    await worker.step()
    await worker.step(after=10)
    await worker.step(after=10)
    own = worker.session_ids()["F-1", 1]
    assert own is not None
    late = create_again(worker)
    await worker.step(after=5)
    assert (status_of(worker, late), worker.session_ids()["F-1", 1]) == ("exit", own)


async def test_a_round_with_an_unanswered_creation_settles_only_after_a_whole_list_begun_late_enough(
    worker: Worker,
) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(LOST, "F-1", late=True)
    for finding_id in ("F-1", "F-2"):
        worker.wire.succeed(finding_id, repository=REPOSITORY)
    await worker.step()
    step = await worker.step(after=5)
    assert set(worker.outcomes().values()) == {Outcome.SUCCESS}
    assert step.settled == ()
    worker.wire.fail("GET", "/sessions", 500, times=4)
    with pytest.raises(Exception, match="answer 500"):
        await worker.step(after=20)
    extra = create_again(worker)
    step = await worker.step(after=1)
    assert step.settled == ("wave-0001",)
    assert status_of(worker, extra) == "exit"
    assert len(worker.rows("SELECT 1 FROM extra_sessions WHERE ended_at IS NOT NULL")) == 1


async def test_a_round_whose_creations_were_all_answered_waits_for_no_list(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step()
    assert (await worker.step(after=1)).settled == ("wave-0001",)


async def test_many_sessions_are_ended_a_few_at_a_time_and_those_that_fail_come_last(worker: Worker) -> None:
    worker.set(wave_size=50, max_parallel_sessions=50, min_success_rate=0.0, max_retries=0)
    worker.plan(50)
    worker.open()
    for number in range(1, 51):
        worker.wire.fall_over(f"F-{number}")
    await worker.step()
    worker.wire.fail("DELETE", "/sessions/.*", 400, times=3)
    await worker.step(after=5)
    ended = "SELECT count(*) FROM attempts WHERE terminated_at IS NOT NULL"
    assert worker.rows(ended) == [(37,)]
    await worker.step(after=5)
    assert worker.rows(ended) == [(50,)]
