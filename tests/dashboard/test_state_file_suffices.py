"""A dashboard that knows nothing but the state file shows what ours shows from the ledger.

From the file alone, every number, row and badge of the specification's pages (tasks 7.3 to 7.6) is computed again and
compared with what our pages read, in each state that a ledger goes through.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import Outcome
from remediation_assets.reports import details, pages
from remediation_assets.reports.batch_run import StateFile
from remediation_assets.sessions.steps import cancel
from remediation_assets.sessions.store.reviews import Decision, Review, reopen, review
from tests.documents import state_schema
from tests.support.samples import REPOSITORY
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def ledger(tmp_path: Path, stamp: Stamp, path: Path) -> Ledger:
    return Ledger(tmp_path / "data", stamp, lock_timeout=10.0, publish_interval=3600.0, export=StateFile(path))


class FromTheFile:
    """The pages of the specification, from the state file alone."""

    def __init__(self, path: Path) -> None:
        self.state = json.loads(path.read_text())
        jsonschema.Draft202012Validator(json.loads(state_schema.PATH.read_text())).validate(self.state)
        self.sessions = [session for wave in self.state["waves"] for session in wave["sessions"]]

    @staticmethod
    def badge(session: dict[str, Any]) -> str:
        if session["review_status"] in ("rejected", "reopened"):
            return str(session["review_status"])
        return {"cancelled": "stopped", "vanished": "vanished"}.get(session["outcome"], str(session["status"]))

    def _count(self, *badges: str) -> int:
        return sum(self.badge(session) in badges for session in self.sessions)

    def cards(self) -> dict[str, Any]:
        fixed = self._count("success")
        failed = self._count("failed", "timeout", "rejected", "reopened")
        return {
            "findings": self.state["total_findings"],
            "severities": self.state["findings_by_severity"],
            "working": sum(bool(s["session_id"]) and s["outcome"] is None for s in self.sessions),
            "fixed": fixed,
            "failed": failed,
            "rate": fixed / (fixed + failed) if fixed + failed else None,
        }

    def findings(self) -> dict[str, tuple[str, str, str, str, str, str | None]]:
        return {
            s["finding"]["finding_id"]: (
                *(s["finding"][name] for name in ("title", "service_name", "category", "severity")),
                self.badge(s),
                s["session_id"],
            )
            for s in self.sessions
        }

    def started_sessions(self) -> dict[str, tuple[str, str, str | None]]:
        return {
            s["session_id"]: (s["finding"]["finding_id"], self.badge(s), s["pr_url"])
            for s in self.sessions
            if s["session_id"]
        }

    def reviews(self) -> list[tuple[str, str, str, str | None]]:
        return sorted(
            (s["finding"]["finding_id"], s["finding"]["severity"], s["pr_url"], s["review_status"])
            for s in self.sessions
            if s["pr_url"] and s["outcome"] == "success" and s["review_status"] is None
        )

    def trace(self, finding_id: str, attempt: int) -> list[tuple[str, str]]:
        return [
            (event["event_type"], event["message"])
            for event in self.state["events"]
            if (event["details"].get("finding_id"), event["details"].get("attempt")) == (finding_id, attempt)
        ]


def compare(worker: Worker, path: Path) -> FromTheFile:
    """Compare everything in the file with the pages."""
    worker.let_go()
    worker.ledger.publish(force=True)
    file = FromTheFile(path)
    with worker.ledger.published() as reader:
        cards = pages.overview(reader)
        assert file.cards() == {name: cards[name] for name in file.cards()}
        assert file.findings() == {
            row["finding_id"]: tuple(
                row[name] for name in ("title", "service_name", "category", "severity", "status", "session_id")
            )
            for row in pages.findings(reader, {}, page=1).rows
        }
        rows = pages.sessions(reader, {}, page=1, sort="finding").rows
        # In the order of attempts, so that the last one of each finding is left: what the file shows.
        last = {row["finding_id"]: row["session_id"] for row in rows}
        assert set(file.started_sessions()) == {session_id for session_id in last.values() if session_id}
        ours = {row["session_id"]: row for row in rows}
        for session_id, (finding_id, badge, pr_url) in file.started_sessions().items():
            row = ours[session_id]
            assert (row["finding_id"], row["status"], row["pr_url"]) == (finding_id, badge, pr_url)
        assert file.reviews() == sorted(
            (row["finding_id"], row["severity"], row["pr_url"], None)
            for row in pages.reviews(reader, page=1)["waiting"].rows
        )
        assert len(file.reviews()) == pages.frame(reader, 20, worker.clock())["pending_reviews"]
        for session in file.sessions:
            if session["session_id"]:
                _compare_detail(reader, file, session)
    return file


def _compare_detail(reader: Reader, file: FromTheFile, session: dict[str, Any]) -> None:
    page = details.session(reader, session["session_id"])
    assert page is not None
    assert [session["created_at"], session["completed_at"]] == [
        at.isoformat().replace("+00:00", "Z") if at else None for at in (page["dispatched_at"], page["completed_at"])
    ]
    if session["completed_at"]:
        begun, ended = (datetime.fromisoformat(session[name]) for name in ("created_at", "completed_at"))
        assert page["minutes"] == pytest.approx((ended - begun).total_seconds() / 60, abs=1 / 60)
    for name, value in (session["structured_output"] or {}).items():
        shown = page["report"].get("files" if name == "files_modified" else name)
        assert shown == value or name in ("finding_id", "pr_url") or value is None
    assert file.trace(page["finding_id"], page["attempt"]) == [
        (event["event_type"], event["message"]) for event in page["events"]
    ]


async def test_in_every_state_the_file_suffices(worker: Worker, path: Path) -> None:
    worker.set(max_retries=0)
    worker.ledger.verify()
    empty = compare(worker, path)
    assert (empty.sessions, empty.state["status"], empty.state["total_findings"]) == ([], "pending", 0)

    worker.plan(8)
    planned = compare(worker, path)
    assert [planned.badge(session) for session in planned.sessions] == ["pending"] * 8

    # In mid-run: one done, one at work with a report, one waiting for a person, one without a slot.
    worker.set(max_parallel_sessions=3)
    worker.open()
    await worker.step()
    worker.wire.succeed("F-1", repository=REPOSITORY)
    worker.wire.work_on("F-2")
    worker.wire.ask("F-3")
    worker.set(max_parallel_sessions=2)
    await worker.step(after=5)
    middle = compare(worker, path)
    assert middle.state["status"] == "running"
    assert [middle.badge(session) for session in middle.sessions[:4]] == ["success", "working", "blocked", "pending"]

    # Stopped at a gate that failed: retries are off.
    worker.set(max_parallel_sessions=4)
    for finding in ("F-2", "F-3", "F-4"):
        worker.wire.fall_over(finding)
    await worker.follow()
    worker.collect()
    stopped = compare(worker, path)
    assert (stopped.state["status"], stopped.state["waves"][0]["status"]) == ("paused", "failed")
    assert stopped.cards()["rate"] == 0.25

    with worker.transaction() as tx:
        review(tx, worker_key(tx, "F-1"), 1, Review(Decision.REJECTED, "Ada", "It drops the check for admins."))
    rejected = compare(worker, path)
    first = rejected.sessions[0]
    assert (first["review_status"], first["reviewed_by"], first["review_reason"]) == (
        "rejected",
        "Ada",
        "It drops the check for admins.",
    )
    assert first["status"] == "success"
    assert rejected.cards()["rate"] == 0

    # Done: reopened and fixed at the second try; before that somebody stopped it.
    with worker.transaction() as tx:
        reopen(tx, worker_key(tx, "F-1"), "Ada", "Again.")
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.stop(tx, None)
    await worker.follow()
    cancelled = compare(worker, path)
    assert {cancelled.badge(session) for session in cancelled.sessions[:4]} == {"stopped"}
    worker.collect()
    worker.open()
    for finding in ("F-1", "F-2", "F-3", "F-4"):
        worker.wire.succeed(finding, 3, repository=REPOSITORY)
    await worker.follow()
    worker.collect()
    worker.open("wave-0002")
    for finding in ("F-5", "F-6", "F-7", "F-8"):
        worker.wire.succeed(finding, repository=REPOSITORY)
    await worker.follow("wave-0002")
    done = compare(worker, path)
    assert done.state["status"] == "completed"
    assert [done.badge(session) for session in done.sessions] == ["success"] * 8
    assert [event["event_type"] for event in done.state["events"] if event["event_type"].startswith("run_")] == [
        "run_started",
        "run_completed",
    ]


def worker_key(tx: Reader, finding_id: str) -> str:
    key: str = tx.scalar("SELECT finding_key FROM wave_plan WHERE finding_id = ?", [finding_id])
    return key


def test_the_schema_in_docs_is_that_of_the_models() -> None:
    assert state_schema.PATH.read_text() == state_schema.schema(), "run `make settings`"
