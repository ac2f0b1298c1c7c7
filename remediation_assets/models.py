"""The types that every package shares: findings, sessions, waves, batch runs, events.

Only fields and enums belong here; the rules about them are in the packages that apply them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from pydantic.config import JsonDict


class Severity(StrEnum):
    """How severe a finding is. The order of the members, worst first, is the ranking."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class FindingCategory(StrEnum):
    """The kind of weakness. Each category has a playbook of its own."""

    DEPENDENCY_VULNERABILITY = "dependency_vulnerability"
    SQL_INJECTION = "sql_injection"
    HARDCODED_SECRET = "hardcoded_secret"  # noqa: S105  # the name of a category, not a secret
    PII_LOGGING = "pii_logging"
    MISSING_ENCRYPTION = "missing_encryption"
    ACCESS_LOGGING = "access_logging"
    XSS = "xss"
    PATH_TRAVERSAL = "path_traversal"
    OTHER = "other"


class Finding(BaseModel):
    """One finding of a scanner. The columns of every findings table are derived from its fields."""

    finding_id: str
    scanner: str
    category: FindingCategory
    severity: Severity
    title: str
    description: str
    service_name: str
    repo_url: str
    file_path: str
    line_number: int | None = None
    cwe_id: str | None = None
    dependency_name: str | None = None
    current_version: str | None = None
    fixed_version: str | None = None
    language: str | None = None
    rule_id: str | None = None
    fingerprint: str | None = None
    priority_score: float = 0.0


class SessionStatus(StrEnum):
    """The state of an attempt as people see it."""

    PENDING = "pending"
    DISPATCHED = "dispatched"
    WORKING = "working"
    BLOCKED = "blocked"
    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"


class Outcome(StrEnum):
    """How an attempt ended; it never changes once written."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    VANISHED = "vanished"

    @property
    def answerable(self) -> bool:
        """Whether the agent is responsible for this outcome; only then does the outcome count for a gate."""
        return self not in (Outcome.CANCELLED, Outcome.VANISHED)

    @property
    def status(self) -> SessionStatus:
        """Return the status that people see for this outcome."""
        if self is Outcome.SUCCESS:
            return SessionStatus.SUCCESS
        if self is Outcome.TIMEOUT:
            return SessionStatus.TIMEOUT
        return SessionStatus.FAILED


class GateVerdict(StrEnum):
    """What the gate says about a settled round. A round of which no outcome counts is not judged; it never failed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"

    @property
    def words(self) -> str:
        """Return the verdict as people read it."""
        return self.replace("_", " ")


class RunStatus(StrEnum):
    """How far the work on all waves is, as the state file says it."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"


class EventType(StrEnum):
    """What a row of `session_events` records.

    People query the values, so they never change; a member whose name differs from its value was renamed later.
    """

    RUN_STARTED = "run_started"
    RUN_COMPLETED = "run_completed"
    WAVE_STARTED = "wave_started"
    WAVE_COMPLETED = "wave_completed"
    WAVE_GATED = "wave_gated"
    WAVE_NOT_JUDGED = "wave_not_judged"
    WAVE_STOPPED = "wave_stopped"
    SESSION_STARTED = "session_started"
    SESSION_WORKING = "session_working"
    SESSION_PROGRESS = "session_progress"
    SESSION_BLOCKED = "session_blocked"
    SESSION_COMPLETED = "session_completed"
    SESSION_FAILED = "session_failed"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_RETRIED = "session_retried"
    SESSION_RETURNED = "session_returned"
    CREATE_UNCONFIRMED = "session_unknown"
    DUPLICATE_SESSION = "session_extra"
    SESSION_SUSPENDED = "session_halted"
    SESSION_RESUMED = "session_resumed"
    RESUME_FAILED = "session_wake_failed"
    SESSION_TERMINATED = "session_ended"
    TERMINATE_FAILED = "session_end_failed"
    SESSIONS_RELEASED = "sessions_released"
    HOLD_SET = "hold_set"
    HOLD_LIFTED = "hold_lifted"
    REVIEW_APPROVED = "review_approved"
    REVIEW_REJECTED = "review_rejected"
    REVIEW_REOPENED = "review_reopened"


class RemediationSession(BaseModel):
    """The last attempt at one finding, as the JSON of a batch run shows it; pending until its wave is run.

    `status` is one of the words of `SessionStatus`. `outcome` says more, because attempts that were stopped or whose
    session vanished have the status failed, and count as failures nowhere. The fields `review_...` and `reviewed_...`
    are a person's decision.
    """

    session_id: str | None = None
    finding: Finding
    playbook_id: str
    status: SessionStatus = SessionStatus.PENDING
    devin_url: str | None = None
    pr_url: str | None = None
    structured_output: dict[str, Any] | None = None
    wave_number: int = 0
    attempt: int = 1
    created_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    outcome: Outcome | None = None
    review_status: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    review_reason: str | None = None


class Wave(BaseModel):
    """A numbered batch of findings with its sessions and counts.

    `status` is pending, running, held, or the verdict of its last round: passed, failed, not_judged.
    """

    wave_number: int
    sessions: list[RemediationSession]
    status: str = "pending"
    success_count: int = 0
    failure_count: int = 0

    @property
    def total_count(self) -> int:
        """Return the number of the wave's sessions."""
        return len(self.sessions)


_EVENT_SCHEMA: JsonDict = {
    "type": "object",
    "required": ["timestamp", "event_type", "message", "details"],
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "event_type": {"enum": [str(event_type) for event_type in EventType]},
        "message": {"type": "string"},
        "details": {
            "type": "object",
            "description": "The finding_id, service, wave and attempt, where the event concerns one; for "
            "session_progress the stage that the session was seen in.",
        },
    },
}
"""What each event of a state file looks like; readers accept any object, for a later version may add to it."""


class BatchRun(BaseModel):
    """All waves with their sessions, the totals and the events; the content of the state file.

    `pending_not_listed` counts the findings of later waves, which are not in `waves`. `data_source` is live, or
    mock for results of the simulator.
    """

    run_id: str
    started_at: datetime
    waves: list[Wave]
    total_findings: int
    completed: int = 0
    successful: int = 0
    failed: int = 0
    prs_created: int = 0
    status: RunStatus = RunStatus.PENDING
    events: list[dict[str, Any]] = Field([], json_schema_extra={"items": _EVENT_SCHEMA})
    pending_not_listed: int = 0
    findings_by_severity: dict[Severity, int] = {}
    data_source: str = "mock"
