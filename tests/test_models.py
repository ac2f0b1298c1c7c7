"""The shared types: their JSON, and the properties of their enums."""

import json
from datetime import UTC, datetime

import pytest

from remediation_assets.models import (
    BatchRun,
    Finding,
    FindingCategory,
    Outcome,
    RemediationSession,
    SessionStatus,
    Severity,
    Wave,
)

FINDING = Finding(
    finding_id="F-1",
    scanner="Semgrep",
    category=FindingCategory.SQL_INJECTION,
    severity=Severity.CRITICAL,
    title="A title",
    description="",
    service_name="shop",
    repo_url="https://git.example.com/acme/shop",
    file_path="src/app.py",
    line_number=7,
)
SESSION = RemediationSession(
    session_id="devin-1",
    finding=FINDING,
    playbook_id="playbook-1",
    status=SessionStatus.TIMEOUT,
    structured_output={"status": "testing", "files_modified": []},
    wave_number=2,
    attempt=3,
    created_at=datetime(2027, 1, 15, 12, tzinfo=UTC),
)
RUN = BatchRun(
    run_id="abc",
    started_at=datetime(2027, 1, 15, 12, tzinfo=UTC),
    waves=[Wave(wave_number=2, sessions=[SESSION, SESSION], status="failed", failure_count=2)],
    total_findings=2,
    events=[{"event_type": "run_started", "details": {"wave": 1}}],
)


@pytest.mark.parametrize("model", [FINDING, SESSION, RUN.waves[0], RUN], ids=lambda model: type(model).__name__)
def test_a_model_survives_the_round_trip_through_json(model: Finding | RemediationSession | Wave | BatchRun) -> None:
    text = json.dumps(model.model_dump(mode="json"))
    assert type(model).model_validate(json.loads(text)) == model


def test_enums_are_their_words_and_times_are_iso() -> None:
    dumped = RUN.model_dump(mode="json")
    session = dumped["waves"][0]["sessions"][0]
    assert (session["finding"]["category"], session["finding"]["severity"]) == ("sql_injection", "critical")
    assert session["status"] == "timeout"
    assert dumped["started_at"] == session["created_at"] == "2027-01-15T12:00:00Z"


def test_a_wave_counts_its_sessions() -> None:
    assert RUN.waves[0].total_count == 2
    assert Wave(wave_number=1, sessions=[]).total_count == 0


def test_severities_are_ranked_worst_first() -> None:
    assert [str(severity) for severity in Severity] == ["critical", "high", "medium", "low"]


@pytest.mark.parametrize(
    ("outcome", "status", "answerable"),
    [
        (Outcome.SUCCESS, SessionStatus.SUCCESS, True),
        (Outcome.FAILED, SessionStatus.FAILED, True),
        (Outcome.TIMEOUT, SessionStatus.TIMEOUT, True),
        (Outcome.REFUSED, SessionStatus.FAILED, True),
        (Outcome.CANCELLED, SessionStatus.FAILED, False),
        (Outcome.VANISHED, SessionStatus.FAILED, False),
    ],
)
def test_an_outcome_has_a_status_and_counts_or_not(outcome: Outcome, status: SessionStatus, answerable: bool) -> None:
    assert (outcome.status, outcome.answerable) == (status, answerable)


def test_the_table_above_is_all_there_is() -> None:
    assert len(Outcome) == 6


@pytest.mark.parametrize("change", [{"severity": "odd"}, {"category": "odd"}, {"line_number": "x"}, {"title": None}])
def test_a_finding_with_a_bad_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Finding.model_validate(FINDING.model_dump() | change)


def test_lists_of_two_runs_are_two_lists() -> None:
    first, second = (BatchRun(run_id=name, started_at=RUN.started_at, waves=[], total_findings=0) for name in "ab")
    first.events.append({"event_type": "run_started"})
    assert second.events == []
