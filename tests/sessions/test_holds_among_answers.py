"""What answers that come together, and polls that are refused, do to holds."""

import httpx
import pytest

from remediation_assets.devin.errors import NotAuthorised
from tests.support.carrier import Carrier

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("status", "kind"), [(402, "quota"), (403, "permission")])
async def test_a_refusal_is_not_forgotten_for_an_answer_beside_it(carrier: Carrier, status: int, kind: str) -> None:
    carrier.set(wave_size=8)
    carrier.plan(8)
    carrier.wire.fail_create(status, "F-1")
    carrier.open()
    await carrier.step()
    assert carrier.holds() == [(kind, True)]
    # The chunk of four was on its way; nothing of the next one went out.
    assert len(carrier.wire.created()) == 4


async def test_a_wait_that_the_api_asks_for_has_a_bound(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.wire.fail_create(httpx.Response(429, json={}, headers={"retry-after": "99999999999999"}), "F-1")
    carrier.open()
    await carrier.step()
    [(seconds,)] = carrier.rows("SELECT epoch(ends_at) - epoch(set_at) FROM holds")
    assert seconds == 1200
    assert len(carrier.sessions()) == 3


async def test_credentials_that_work_again_are_noticed_by_a_request_that_costs_nothing(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.open()
    await carrier.step()
    carrier.wire.fail("GET", "/sessions", 401)
    with pytest.raises(NotAuthorised):
        await carrier.step(after=5)
    assert carrier.holds() == [("credentials", True)]
    await carrier.step(after=60)
    assert carrier.holds() == [("credentials", False)]
    assert len(carrier.wire.created()) == 4


async def test_a_session_that_cannot_be_read_keeps_no_other_from_being_followed(carrier: Carrier) -> None:
    carrier.plan(2)
    carrier.open()
    await carrier.step()
    carrier.wire.unlisted = {"F-1"}
    carrier.wire.fail("GET", "/sessions/devin-[0-9a-f]+", 500, times=100)
    await carrier.step(after=5)
    assert carrier.attempts("outcome")["F-2", 1] == "success"
    assert carrier.attempts("outcome")["F-1", 1] is None
