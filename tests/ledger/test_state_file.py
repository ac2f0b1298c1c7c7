"""The state file: the whole ledger as one BatchRun, current whenever results are published."""

import json
import logging
import os
from pathlib import Path

import pytest

from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.models import BatchRun, Outcome
from remediation_assets.reports.batch_run import StateFile
from remediation_assets.settings import Settings
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "state.json"


@pytest.fixture
def ledger(tmp_path: Path, stamp: Stamp, path: Path) -> Ledger:
    return Ledger(tmp_path / "data", stamp, lock_timeout=10.0, publish_interval=3600.0, export=StateFile(path))


def read(path: Path) -> BatchRun:
    return BatchRun.model_validate(json.loads(path.read_text()))


async def test_it_holds_waves_sessions_totals_and_the_timeline(worker: Worker, path: Path) -> None:
    worker.plan(6)
    worker.let_go()
    worker.ledger.publish(force=True)
    planned = read(path)
    assert (planned.status, [wave.status for wave in planned.waves]) == ("pending", ["pending", "pending"])
    assert (planned.total_findings, planned.completed, planned.pending_not_listed) == (6, 0, 0)
    assert planned.findings_by_severity == {"critical": 0, "high": 6, "medium": 0, "low": 0}
    assert [[session.finding.finding_id for session in wave.sessions] for wave in planned.waves] == [
        ["F-1", "F-2", "F-3", "F-4"],
        ["F-5", "F-6"],
    ]
    pending = planned.waves[0].sessions[0]
    assert (pending.status, pending.wave_number, pending.attempt, pending.created_at) == ("pending", 1, 1, None)

    for attempt in (2, 3):
        worker.wire.fall_over("F-4", attempt)
    await worker.settle(S, S, S, F)
    worker.ledger.publish(force=True)
    done = read(path)
    assert done.run_id == worker.ledger.ledger_id
    # A wave is left that nobody has started.
    assert (done.status, [wave.status for wave in done.waves]) == ("paused", ["passed", "pending"])
    assert (done.completed, done.successful, done.failed, done.prs_created) == (4, 3, 1, 3)
    first = done.waves[0]
    assert (first.total_count, first.success_count, first.failure_count) == (4, 3, 1)
    last = {session.finding.finding_id: session for session in first.sessions}
    assert list(last) == ["F-1", "F-2", "F-3", "F-4"]
    assert (last["F-1"].status, last["F-1"].attempt) == ("success", 1)
    assert (last["F-4"].status, last["F-4"].attempt) == ("failed", 3)
    assert last["F-1"].playbook_id
    assert (last["F-1"].devin_url or "").startswith("https://app.devin.ai/sessions/")
    times = [event["timestamp"] for event in done.events]
    assert times == sorted(times)
    assert (done.events[0]["event_type"], done.events[-1]["event_type"]) == ("wave_started", "wave_completed")
    started = next(event for event in done.events if event["event_type"] == "session_started")
    assert started["details"] == {"finding_id": "F-1", "service": "shop", "wave": 1, "attempt": 1}
    assert started["timestamp"].endswith("Z")


async def test_a_wave_on_hold_and_one_at_work_say_so(worker: Worker, path: Path) -> None:
    worker.plan(4)
    worker.let_go()
    worker.open()
    worker.wire.fail("POST", "/sessions", 402, times=4)
    await worker.step()
    worker.ledger.publish(force=True)
    assert read(path).waves[0].status == "held"
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE holds SET lifted_at = now()")
    worker.ledger.publish(force=True)
    # Claims were made, and returned for lack of quota.
    assert (read(path).waves[0].status, read(path).status) == ("running", "paused")


async def test_a_wave_whose_gate_failed_says_so(worker: Worker, path: Path) -> None:
    worker.plan(4)
    worker.let_go()
    await worker.settle(S, F, F, F)
    worker.ledger.publish(force=True)
    assert (read(path).waves[0].status, read(path).status) == ("failed", "paused")


async def test_it_heals_itself_where_a_process_died_before_it_was_written(worker: Worker, path: Path) -> None:
    worker.plan(4)
    worker.let_go()
    worker.ledger.publish(force=True)
    path.unlink()
    assert worker.ledger.publish(force=True)
    assert read(path).total_findings == 4
    os.utime(path)
    path.with_name(".state.json.building").write_text("half of")
    assert worker.ledger.publish(force=True)
    assert not worker.ledger.publish(force=True)


async def test_a_path_that_cannot_be_written_fails_nothing_and_is_told(
    worker: Worker, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker.plan(4)
    worker.let_go()
    path.parent.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert worker.ledger.publish(force=True)
    assert f"STATE_FILE_PATH={path} cannot be written" in caplog.text
    assert worker.ledger.published_path.exists()


def test_a_relative_path_begins_at_the_data_directory(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, remediation_data_dir=str(tmp_path), state_file_path="state.json")
    assert settings.state_path == tmp_path / "state.json"
    assert settings.model_copy(update={"state_file_path": "/srv/state.json"}).state_path == Path("/srv/state.json")
    assert settings.model_copy(update={"state_file_path": ""}).state_path is None


async def test_what_a_session_reports_can_be_nested_as_deep_as_it_likes(worker: Worker, path: Path) -> None:
    worker.plan(4)
    worker.let_go()
    await worker.settle(S, S, S, S)
    deep = "[" * 300 + "]" * 300
    with worker.ledger.transaction() as tx:
        report = f'{{"status": "completed", "files_modified": ["a.py"], "more": {deep}, "object": {{}}}}'
        tx.execute("UPDATE observations SET structured_output = ?, output_valid = true", [report])
    assert worker.ledger.publish(force=True)
    session = read(path).waves[0].sessions[0]
    assert session.structured_output == {"status": "completed", "files_modified": ["a.py"]}


async def test_whatever_stands_in_the_ledger_publishing_goes_on(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.plan(4)
    worker.let_go()
    await worker.settle(S, S, S, S)
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE wave_plan SET severity = 'unheard of'")
    assert worker.ledger.publish(force=True)
    assert "could not be written this time" in caplog.text
