"""How the pull requests of ended sessions fare."""

from datetime import timedelta

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.pull_requests import refresh_pull_requests
from tests.support import samples
from tests.support.carrier import Carrier

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


async def refresh(carrier: Carrier, minutes: float = 16) -> int:
    carrier.clock.now += timedelta(minutes=minutes)
    return await refresh_pull_requests(carrier.ledger, carrier.devin, carrier.settings, now=lambda: carrier.clock.now)


def merge(carrier: Carrier, finding_id: str, state: str = "merged") -> None:
    pull = {"pr_url": f"{samples.REPOSITORY}/pull/1", "pr_state": state}
    carrier.wire.show(finding_id, 1, pull_requests=[pull])


async def test_a_pull_request_that_was_merged_is_seen_and_changes_no_outcome(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, S, F)
    carrier.collect()
    outcomes = carrier.attempts("outcome")
    assert await refresh(carrier) == 0
    merge(carrier, "F-1")
    assert await refresh(carrier, minutes=5) == 0
    assert await refresh(carrier) == 1
    merged = "SELECT finding_id FROM fixed_findings WHERE is_merged"
    assert carrier.rows(merged) == [("F-1",)]
    merge(carrier, "F-2", "closed")
    assert await refresh(carrier) == 1
    assert carrier.attempts("outcome") == outcomes
    # Both have ended, so there is nothing to ask any more.
    asked = len(carrier.wire.requests)
    assert await refresh(carrier) == 0
    assert len(carrier.wire.requests) == asked


async def test_a_session_that_is_gone_or_shows_none_any_more_loses_nothing(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, S, F)
    carrier.collect()
    before = carrier.rows("SELECT pull_requests FROM observations ORDER BY ALL")
    carrier.wire.show("F-1", 1, pull_requests=[])
    carrier.wire.fail("GET", "/sessions/", 404)
    assert await refresh(carrier) == 0
    assert carrier.rows("SELECT pull_requests FROM observations ORDER BY ALL") == before


async def test_a_session_that_cannot_be_read_keeps_no_other_from_its_turn(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, S, F)
    carrier.collect()
    merge(carrier, "F-1")
    merge(carrier, "F-2")
    carrier.wire.fail("GET", "/sessions/[^/]+", 500, times=4)
    assert await refresh(carrier) == 1
    assert await refresh(carrier) == 1


async def test_v1_tells_no_states_so_nothing_is_asked(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, S, F)
    carrier.set(devin_api_version="v1")
    asked = len(carrier.wire.requests)
    assert await refresh(carrier) == 0
    assert len(carrier.wire.requests) == asked
