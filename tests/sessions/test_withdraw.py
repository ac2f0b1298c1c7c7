"""What a later scan no longer has is not dispatched; what it has again of what was fixed is shown."""

import json
from pathlib import Path

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.store.rounds import GateClosed
from tests.support import samples
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


def scan(worker: Worker, tmp_path: Path, *numbers: int) -> None:
    """Read a later export that has these findings."""
    source = samples.write(tmp_path / "later.csv", [samples.row(number) for number in numbers])
    worker.let_go()
    samples.ingest_file(worker.ledger, source)
    samples.rank(worker.ledger, worker.settings)


async def test_a_pending_finding_that_is_gone_is_not_dispatched(worker: Worker, tmp_path: Path) -> None:
    worker.set(max_parallel_sessions=2)
    worker.plan(4)
    worker.open()
    await worker.step()
    scan(worker, tmp_path, 1, 4)
    await worker.follow()
    assert worker.attempts("outcome, error_message, session_id IS NULL")["F-3", 1] == (
        "cancelled",
        "the last scan does not have it any more",
        True,
    )
    titles = {session.title for session in worker.sessions()}
    # F-2 was at work already, and goes on.
    assert titles >= {f"Remediate F-{number} (attempt 1)" for number in (1, 2, 4)}
    assert "Remediate F-3 (attempt 1)" not in titles
    [(answerable,)] = worker.rows("SELECT answerable FROM gate_results")
    assert answerable == 3


async def test_what_was_read_and_not_merged_yet_withdraws_nothing(worker: Worker, tmp_path: Path) -> None:
    worker.plan(4)
    worker.open()
    worker.let_go()
    samples.ingest_file(worker.ledger, samples.write(tmp_path / "later.csv", samples.rows(1)))
    assert (await worker.step()).started == 4


async def test_a_later_round_leaves_out_what_is_gone(worker: Worker, tmp_path: Path) -> None:
    worker.plan(4)
    await worker.settle(S, F, F, F)
    worker.collect()
    scan(worker, tmp_path, 1, 2, 3)
    assert worker.open().attempts == 2


async def test_a_finding_that_comes_back_is_taken_by_the_next_round(worker: Worker, tmp_path: Path) -> None:
    worker.plan(4)
    await worker.settle(S, F, F, F)
    worker.collect()
    scan(worker, tmp_path, 1)
    assert worker.open().attempts == 0
    scan(worker, tmp_path, 1, 2)
    assert worker.open().attempts == 1


async def test_what_was_fixed_and_is_seen_later_is_shown_by_its_pull_request(worker: Worker, tmp_path: Path) -> None:
    worker.plan(4)
    for attempt in (2, 3):
        worker.wire.fall_over("F-4", attempt)
    await worker.settle(S, S, S, F)
    presence = "SELECT finding_id, presence FROM fixed_findings ORDER BY ALL"
    assert worker.rows(presence) == [(f"F-{number}", "not seen since") for number in (1, 2, 3)]
    scan(worker, tmp_path, 1, 2)
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE attempts SET completed_at = completed_at - INTERVAL 1 DAY")
        tx.execute("UPDATE scans SET ingested_at = ingested_at + INTERVAL 1 HOUR WHERE scan_id = 2")
        [(key, url)] = tx.execute(
            "SELECT finding_key, a.pr_url FROM attempts a JOIN wave_plan USING (finding_key) WHERE finding_id = 'F-2'"
        ).fetchall()
        merged = json.dumps([{"url": url, "state": "Merged"}])
        tx.execute("UPDATE observations SET pull_requests = ? WHERE finding_key = ?", [merged, key])
        tx.execute("UPDATE scans SET ingested_at = ingested_at - INTERVAL 2 DAY WHERE scan_id = 1")
    assert worker.rows(presence) == [("F-1", "still_present"), ("F-2", "reappeared"), ("F-3", "not seen since")]


async def test_a_finding_that_is_gone_is_not_tried_again(worker: Worker, tmp_path: Path) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fall_over("F-4")
    for number in (1, 2, 3):
        worker.wire.succeed(f"F-{number}", repository=samples.REPOSITORY)
    await worker.step()
    scan(worker, tmp_path, 1, 2, 3)
    await worker.follow()
    # What it came to stands: it failed, and counts.
    assert list(worker.outcomes()) == [(f"F-{number}", 1) for number in (1, 2, 3, 4)]
    assert worker.outcomes()["F-4", 1] == "failed"
    assert worker.rows("SELECT succeeded, answerable FROM gate_results") == [(3, 4)]


@pytest.mark.parametrize("changes", [{"severity": "blocker"}, {"severity": "blocker", "finding_id": ""}])
async def test_a_finding_whose_row_may_have_been_set_aside_is_not_gone(
    worker: Worker, tmp_path: Path, changes: dict[str, str]
) -> None:
    worker.plan(4)
    worker.open()
    worker.let_go()
    later = [samples.row(1), samples.row(2), samples.row(3), samples.row(4, **changes)]
    samples.ingest_file(worker.ledger, samples.write(tmp_path / "later.csv", later))
    samples.rank(worker.ledger, worker.settings)
    assert (await worker.step()).started == 4


async def test_a_wave_of_which_everything_is_gone_stands_in_nobodys_way(worker: Worker, tmp_path: Path) -> None:
    worker.plan(6)
    worker.open()
    scan(worker, tmp_path, 5, 6)
    step = await worker.step()
    assert (step.started, step.settled) == (0, ("wave-0001",))
    assert worker.rows("SELECT passed, answerable FROM gate_results") == [(False, 0)]
    worker.collect()
    assert worker.open("wave-0002").attempts == 2


async def test_a_failed_wave_of_which_nothing_is_left_says_that_running_it_again_does_not_help(
    worker: Worker, tmp_path: Path
) -> None:
    worker.plan(6)
    await worker.settle(S, F, F, F)
    worker.collect()
    scan(worker, tmp_path, 1, 5, 6)
    with pytest.raises(GateClosed, match="nothing of it is left to run, so overrule the gate"):
        worker.open("wave-0002")
    assert worker.open("wave-0002", ignore_gate=True).attempts == 2
