"""Creations without a plain answer: adopted where they worked, sent again where they did not, never twice."""

import asyncio

import httpx
import pytest

from remediation_assets.devin.errors import DevinError
from remediation_assets.sessions.model import attempt_tag, ledger_tag
from tests.support.worker import ORGANISATION, Worker

pytestmark = pytest.mark.anyio

LOST = httpx.ReadTimeout("the answer is lost")


async def test_a_session_whose_answer_was_lost_is_adopted_by_its_tag(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fail_create(LOST, "F-1", late=True)
    worker.wire.fail_create(500, "F-2", late=True)
    worker.wire.fail_create(httpx.Response(200, content=b'{"session_id": '), "F-3", late=True)
    step = await worker.step()
    assert step.started == 1
    await worker.step(after=5)
    titles = {session.session_id: session.title for session in worker.sessions()}
    assert len(titles) == len(worker.wire.created()) == 4
    for (finding_id, _), session_id in worker.session_ids().items():
        assert titles[session_id] == f"Remediate {finding_id} (attempt 1)"


async def test_an_attempt_that_was_never_created_is_sent_again_with_the_same_bytes(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(LOST)
    await worker.step()
    await worker.step(after=10)
    await worker.step(after=9)
    assert len(worker.wire.created()) == 1
    await worker.step(after=1)
    first, second = worker.wire.created()
    assert first == second
    [session] = worker.sessions()
    assert worker.attempts("session_id, lookups_not_found") == {("F-1", 1): (session.session_id, 0)}


async def test_one_look_up_in_vain_does_not_return_an_attempt_however_late(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(LOST)
    await worker.step()
    await worker.step(after=3600)
    assert len(worker.wire.created()) == 1
    await worker.step(after=1)
    assert len(worker.wire.created()) == 2


async def test_a_look_up_that_fails_proves_nothing(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(LOST)
    await worker.step()
    worker.wire.fail("GET", "/sessions", 500, times=12)
    for _ in range(3):
        with pytest.raises(DevinError, match="answer 500"):
            await worker.step(after=20)
    assert worker.attempts("lookups_not_found") == {("F-1", 1): 0}
    await worker.step(after=20)
    assert len(worker.wire.created()) == 1


async def test_a_session_that_its_list_shows_late_is_adopted(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(LOST, late=True)
    worker.wire.unlisted.add("F-1")
    await worker.step()
    await worker.step(after=9)
    await worker.step(after=9)
    worker.wire.unlisted.clear()
    await worker.step(after=9)
    [session] = worker.sessions()
    assert worker.session_ids() == {("F-1", 1): session.session_id}


async def test_a_session_of_another_ledger_is_not_adopted(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    [(key,)] = worker.rows("SELECT finding_key FROM attempts")
    tags = [attempt_tag(key, 1), ledger_tag("another")]
    worker.world.create_session(ORGANISATION, "Fix it", tags=tags)
    worker.wire.fail_create(LOST)
    await worker.step()
    await worker.step(after=5)
    assert worker.attempts("session_id, lookups_not_found") == {("F-1", 1): (None, 1)}


async def test_an_unanswered_attempt_keeps_its_slot(worker: Worker) -> None:
    worker.set(max_parallel_sessions=1)
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(LOST)
    await worker.step()
    await worker.step(after=5)
    assert len(worker.wire.created()) == 1


async def test_a_round_does_not_settle_while_a_creation_is_unanswered(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(LOST, "F-1", late=True)
    worker.wire.unlisted.add("F-1")
    worker.wire.succeed("F-2", repository="https://git.example.com/acme/shop")
    await worker.step()
    step = await worker.step(after=5)
    assert worker.outcomes() == {("F-1", 1): None, ("F-2", 1): "success"}
    assert step.settled == ()


async def test_a_step_that_is_cancelled_loses_no_session(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(asyncio.CancelledError(), "F-1", late=True)
    with pytest.raises(asyncio.CancelledError):
        await worker.step()
    await worker.step(after=5)
    assert {session.session_id for session in worker.sessions()} == set(worker.session_ids().values())
    assert len(worker.wire.created()) == 2
