"""What answers that come together, and polls that are refused, do to holds."""

import httpx
import pytest

from remediation_assets.devin.errors import NotAuthorised
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("status", "kind"), [(402, "quota"), (403, "permission")])
async def test_a_refusal_is_not_forgotten_for_an_answer_beside_it(worker: Worker, status: int, kind: str) -> None:
    worker.set(wave_size=8)
    worker.plan(8)
    worker.wire.fail_create(status, "F-1")
    worker.open()
    await worker.step()
    assert worker.holds() == [(kind, True)]
    # The chunk of four was on its way; nothing of the next one went out.
    assert len(worker.wire.created()) == 4


async def test_a_wait_that_the_api_asks_for_has_a_bound(worker: Worker) -> None:
    worker.plan(4)
    worker.wire.fail_create(httpx.Response(429, json={}, headers={"retry-after": "99999999999999"}), "F-1")
    worker.open()
    await worker.step()
    [(seconds,)] = worker.rows("SELECT epoch(ends_at) - epoch(set_at) FROM holds")
    assert seconds == 1200
    assert len(worker.sessions()) == 3


async def test_credentials_that_work_again_are_noticed_by_a_request_that_costs_nothing(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    await worker.step()
    worker.wire.fail("GET", "/sessions", 401)
    with pytest.raises(NotAuthorised):
        await worker.step(after=5)
    assert worker.holds() == [("credentials", True)]
    await worker.step(after=60)
    assert worker.holds() == [("credentials", False)]
    assert len(worker.wire.created()) == 4


async def test_a_session_that_cannot_be_read_keeps_no_other_from_being_followed(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    await worker.step()
    worker.wire.unlisted = {"F-1"}
    worker.wire.fail("GET", "/sessions/devin-[0-9a-f]+", 500, times=100)
    await worker.step(after=5)
    assert worker.outcomes()["F-2", 1] == "success"
    assert worker.outcomes()["F-1", 1] is None
