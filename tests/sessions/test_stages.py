"""The stages of a session: noted once each, forward, as polls saw them."""

from contextlib import suppress
from typing import Any

import pytest

from remediation_assets.devin.errors import DevinError
from remediation_assets.sessions.rules.stages import further_stage
from tests.support.samples import REPOSITORY
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("known", "reported", "further"),
    [
        (None, "analyzing", "analyzing"),
        (None, "creating_pr", "creating_pr"),
        ("analyzing", "analyzing", None),
        ("fixing", "analyzing", None),
        ("fixing", "testing", "testing"),
        ("creating_pr", "completed", None),
        (None, "failed", None),
        (None, "levitating", None),
        ("testing", None, None),
    ],
)
def test_only_known_stages_count_and_only_forward(known: str | None, reported: str | None, further: str | None) -> None:
    assert further_stage(known, {"status": reported}) == further


@pytest.mark.parametrize("output", [None, [], "testing", {}, {"status": ["testing"]}])
def test_a_report_of_any_shape_has_no_stage(output: Any) -> None:
    assert further_stage(None, output) is None


def report(stage: str) -> dict[str, Any]:
    return {
        "finding_id": "F-1",
        "status": stage,
        "progress_pct": 10,
        "current_step": "",
        "files_modified": [],
        "tests_added": 0,
        "confidence": "high",
    }


async def see(worker: Worker, *stages: str) -> None:
    """Poll every ten seconds; each poll sees the next stage."""
    for stage in stages:
        worker.wire.show("F-1", status="running", status_detail="working", structured_output=report(stage))
        await worker.step(after=10)


def progress(worker: Worker) -> list[str]:
    rows = worker.rows("SELECT details FROM session_events WHERE event_type = 'session_progress' ORDER BY event_id")
    return [details for (details,) in rows]


def stages(worker: Worker) -> list[tuple[str, float]]:
    """Return each stage with the seconds that the session was in it at least."""
    return worker.rows("SELECT stage, round(minutes_at_least * 60) FROM session_stages ORDER BY first_seen_at, stage")


async def test_each_stage_is_an_event_and_lasts_at_least_from_its_first_sight_to_its_last(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    await worker.step()
    await see(worker, "analyzing", "analyzing", "analyzing", "fixing", "creating_pr")
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=10)
    # Nobody saw it testing.
    assert progress(worker) == [f'{{"stage": "{stage}"}}' for stage in ("analyzing", "fixing", "creating_pr")]
    assert stages(worker) == [("analyzing", 20), ("fixing", 0), ("creating_pr", 0)]
    assert worker.outcomes() == {("F-1", 1): "success"}


async def test_going_back_is_no_event_and_its_time_is_not_the_later_stages(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    await worker.step()
    await see(worker, "testing", "testing", "fixing", "fixing", "testing", "testing")
    assert progress(worker) == ['{"stage": "testing"}']
    assert stages(worker) == [("testing", 10)]


async def test_a_session_that_is_still_in_a_stage_was_in_it_until_the_last_poll(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    await worker.step()
    await see(worker, "fixing", "fixing", "fixing")
    assert stages(worker) == [("fixing", 20)]
    worker.wire.fall_over("F-1")
    await worker.step(after=10)
    await worker.step(after=1000)
    assert stages(worker) == [("fixing", 20)]


async def test_a_session_that_vanishes_was_in_its_stage_until_the_last_poll_that_saw_it(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    await worker.step()
    await see(worker, "fixing", "fixing")
    worker.wire.gone.add("F-1")
    for _ in range(3):
        await worker.step(after=30)
    assert worker.outcomes() == {("F-1", 1): "vanished"}
    assert stages(worker) == [("fixing", 10)]


async def test_polls_that_fail_make_no_stage_longer(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    await worker.step()
    await see(worker, "fixing", "fixing")
    worker.wire.fail("GET", "/sessions", 500, times=40)
    with pytest.raises(DevinError):
        await worker.step(after=300)
    worker.wire.fall_over("F-1")
    while not worker.outcomes()["F-1", 1]:
        with suppress(DevinError):
            await worker.step(after=10)
    assert stages(worker) == [("fixing", 10)]
