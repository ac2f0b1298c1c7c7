"""How the pull requests of ended sessions fare."""

from datetime import timedelta

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.steps.refresh_pull_requests import refresh_pull_requests
from tests.support import samples
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


async def refresh(worker: Worker, minutes: float = 16) -> int:
    worker.clock.now += timedelta(minutes=minutes)
    return await refresh_pull_requests(worker.ledger, worker.devin, worker.policy, now=worker.clock)


def merge(worker: Worker, finding_id: str, state: str = "merged") -> None:
    pull = {"pr_url": f"{samples.REPOSITORY}/pull/1", "pr_state": state}
    worker.wire.show(finding_id, 1, pull_requests=[pull])


async def test_a_pull_request_that_was_merged_is_seen_and_changes_no_outcome(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, S, F)
    worker.collect()
    outcomes = worker.outcomes()
    assert await refresh(worker) == 0
    merge(worker, "F-1")
    assert await refresh(worker, minutes=5) == 0
    assert await refresh(worker) == 1
    merged = "SELECT finding_id FROM fixed_findings WHERE is_merged"
    assert worker.rows(merged) == [("F-1",)]
    merge(worker, "F-2", "closed")
    assert await refresh(worker) == 1
    assert worker.outcomes() == outcomes
    # Both have ended, so there is nothing to ask any more.
    asked = len(worker.wire.requests)
    assert await refresh(worker) == 0
    assert len(worker.wire.requests) == asked


async def test_a_session_that_is_gone_or_shows_none_any_more_loses_nothing(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, S, F)
    worker.collect()
    before = worker.rows("SELECT pull_requests FROM observations ORDER BY ALL")
    worker.wire.show("F-1", 1, pull_requests=[])
    worker.wire.fail("GET", "/sessions/", 404)
    assert await refresh(worker) == 0
    assert worker.rows("SELECT pull_requests FROM observations ORDER BY ALL") == before


async def test_a_session_that_cannot_be_read_keeps_no_other_from_its_turn(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, S, F)
    worker.collect()
    merge(worker, "F-1")
    merge(worker, "F-2")
    worker.wire.fail("GET", "/sessions/[^/]+", 500, times=4)
    assert await refresh(worker) == 1
    assert await refresh(worker) == 1


async def test_v1_tells_no_states_so_nothing_is_asked(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, S, F)
    worker.set(devin_api_version="v1")
    asked = len(worker.wire.requests)
    assert await refresh(worker) == 0
    assert len(worker.wire.requests) == asked
