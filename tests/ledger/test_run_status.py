"""The status of the whole run, its start and its end, and what the state file lists of the plan."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.models import BatchRun, Outcome, RunStatus
from remediation_assets.reports import batch_run
from remediation_assets.reports.batch_run import load_batch_run
from remediation_assets.sessions.rules.run_status import Progress, run_status
from remediation_assets.sessions.steps import cancel
from remediation_assets.settings import Settings
from tests.support import synthetic_ledger
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


@pytest.mark.parametrize(
    ("progress", "status"),
    [
        (Progress(False, 0, 0, 0), RunStatus.PENDING),
        (Progress(False, 0, 1, 4), RunStatus.PENDING),
        (Progress(True, 1, 0, 4), RunStatus.RUNNING),
        (Progress(True, 1, 1, 0), RunStatus.RUNNING),
        (Progress(True, 0, 1, 0), RunStatus.PAUSED),
        (Progress(True, 0, 0, 1), RunStatus.PAUSED),
        (Progress(True, 0, 0, 0), RunStatus.COMPLETED),
    ],
)
def test_the_first_word_that_is_true_counts(progress: Progress, status: RunStatus) -> None:
    assert run_status(progress) is status


def state(worker: Worker) -> BatchRun:
    return worker.read(load_batch_run)  # type: ignore[no-any-return]


def events(worker: Worker) -> list[str]:
    rows = worker.rows("SELECT event_type FROM session_events WHERE event_type LIKE 'run_%' ORDER BY event_id")
    return [event for (event,) in rows]


async def test_a_run_starts_with_its_first_claim_and_completes_when_no_wave_is_left(worker: Worker) -> None:
    worker.plan(8)
    planned_at = state(worker).started_at
    worker.open()
    assert (state(worker).status, events(worker)) == ("pending", [])
    await worker.settle(S, S, S, S)
    worker.collect()
    assert (state(worker).status, events(worker)) == ("paused", ["run_started"])
    worker.open("wave-0002")
    await worker.step()
    assert state(worker).status == "running"
    await worker.settle(S, S, S, S, wave="wave-0002")
    done = state(worker)
    assert (done.status, events(worker)) == ("completed", ["run_started", "run_completed"])
    assert done.events[-1]["event_type"] == "run_completed"
    assert done.started_at > planned_at


async def test_a_failed_gate_pauses_the_run_and_the_next_round_goes_on_with_it(worker: Worker) -> None:
    worker.set(max_retries=0)
    worker.plan(4)
    await worker.settle(S, F, F, F)
    worker.collect()
    assert (state(worker).status, events(worker)) == ("paused", ["run_started"])
    worker.open()
    for finding in ("F-2", "F-3", "F-4"):
        worker.wire.succeed(finding, 2, repository="https://git.example.com/acme/shop")
    await worker.follow()
    assert (state(worker).status, events(worker)) == ("completed", ["run_started", "run_completed"])


async def test_what_was_stopped_is_not_judged_and_left_to_run(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.stop(tx, None)
    await worker.step(after=5)
    stopped = state(worker)
    assert (stopped.status, stopped.waves[0].status, stopped.waves[0].failure_count) == ("paused", "not_judged", 0)
    assert {(one.status, one.outcome) for one in stopped.waves[0].sessions} == {("failed", "cancelled")}


async def test_a_run_that_ends_under_a_hold_completes_when_the_hold_is_lifted(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.pause(tx, "a look first")
    for number in range(1, 5):
        worker.wire.succeed(f"F-{number}", repository="https://git.example.com/acme/shop")
    await worker.follow()
    assert (state(worker).status, events(worker)) == ("paused", ["run_started"])
    with worker.transaction() as tx:
        cancel.resume(tx)
    assert (state(worker).status, events(worker)) == ("completed", ["run_started", "run_completed"])


async def test_a_claim_that_was_refused_for_lack_of_quota_has_started_the_run(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fail("POST", "/sessions", 402, times=4)
    await worker.step()
    assert (state(worker).status, state(worker).waves[0].status) == ("paused", "held")


async def test_what_a_scan_has_closed_is_neither_listed_nor_counted(worker: Worker) -> None:
    worker.plan(8)
    await worker.settle(S, S, S, S)
    with worker.transaction() as tx:
        tx.execute("DELETE FROM kept_findings WHERE finding_key IN (SELECT finding_key FROM planned_findings LIMIT 6)")
        kept = tx.scalar("SELECT count(*) FROM planned_findings")
    shown = state(worker)
    assert (shown.total_findings, shown.pending_not_listed) == (kept, 0)
    assert sum(shown.findings_by_severity.values()) == sum(len(wave.sessions) for wave in shown.waves) == kept


async def test_a_session_is_as_old_as_it_is_and_not_as_its_round(worker: Worker) -> None:
    worker.set(max_parallel_sessions=1)
    worker.plan(2)
    worker.open()
    worker.wire.work_on("F-1")
    await worker.step()
    opened = worker.clock()
    first, second = state(worker).waves[0].sessions
    assert (first.created_at, second.created_at, second.status) == (opened, None, "pending")
    worker.wire.succeed("F-1", repository="https://git.example.com/acme/shop")
    await worker.step(after=100)
    second = state(worker).waves[0].sessions[1]
    assert second.created_at == opened + timedelta(seconds=100)


def test_of_a_long_plan_the_next_waves_are_listed_and_the_rest_is_counted(
    ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=120, sessions=32)
    monkeypatch.setattr(batch_run, "LISTED_AHEAD", 18)
    with ledger.published() as reader:
        shown = load_batch_run(reader)
    # 32 of the waves that have started, and of the next ones, of ten each, as many whole ones as fit.
    assert sum(len(wave.sessions) for wave in shown.waves) == 32 + 10
    assert (shown.total_findings, shown.pending_not_listed) == (120, 120 - 42)
    assert [wave.wave_number for wave in shown.waves] == [1, 2, 3, 4, 5]


def test_of_a_single_huge_wave_the_first_findings_are_listed(
    ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamp: Stamp
) -> None:
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=120, sessions=4, wave_size=100)
    monkeypatch.setattr(batch_run, "LISTED_AHEAD", 18)
    with ledger.published() as reader:
        shown = load_batch_run(reader)
    assert [len(wave.sessions) for wave in shown.waves] == [4, 18]
    assert (shown.pending_not_listed, shown.data_source) == (98, stamp.mode)
