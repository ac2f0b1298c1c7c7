"""The state file: the whole ledger as one `BatchRun` in JSON, for programs that cannot read DuckDB."""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import BatchRun, Outcome, RemediationSession, Severity, Wave
from remediation_assets.planning.wave_plan import finding_of, rows_to_plan
from remediation_assets.sessions.store.runs import current_status, last_run_started


class StateFile:
    """The state file at a path; the ledger writes it through `Ledger`'s parameter `export`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Return the setting of the file's path, with its value, for warnings."""
        return f"STATE_FILE_PATH={self._path}"

    def is_stale(self, ledger: Path) -> bool:
        """Whether the ledger has changed since the state file was written."""
        try:
            # No clock decides it: the file gets the ledger's time when it is written.
            return ledger.stat().st_mtime_ns != self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return ledger.exists()

    def render(self, reader: Reader) -> bytes:
        """Return the whole ledger as one JSON document."""
        return load_batch_run(reader).model_dump_json().encode()

    def write(self, ledger: Path, content: bytes) -> None:
        """Replace the state file in one rename; it gets the ledger's modification time."""
        stat = ledger.stat()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, because a rename works only within one file system.
        building = self._path.with_name(f".{self._path.name}.building")
        with building.open("wb") as file:
            file.write(content)
            file.flush()
            # Before the rename: a crash of the machine must not leave an empty file under the final name.
            os.fsync(file.fileno())
        os.utime(building, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        building.replace(self._path)


LISTED_AHEAD = 1000
"""Findings of waves that have not started that are listed, at most; the others are counted."""


def load_batch_run(reader: Reader) -> BatchRun:
    """Load an overview of the ledger: sessions by wave, totals, the timeline.

    A finding's session is its last attempt; those of the next waves are pending.
    """
    stamp = reader.one(_Stamp, "SELECT ledger_id, created_at, mode FROM stamp")
    waves = _waves(reader)
    sessions = [session for wave in waves for session in wave.sessions]
    planned = reader.scalar(
        """
        -- A finding that was closed since the last planning leaves its wave with the next one, if that has not started.
        SELECT count(*) FROM wave_findings f
        WHERE EXISTS (FROM waves w WHERE w.wave_number = f.wave_number AND w.frozen_at IS NOT NULL)
            OR EXISTS (FROM kept_findings k WHERE k.finding_key = f.finding_key)
        """
    )
    return BatchRun(
        run_id=stamp.ledger_id,
        # Before its first claim nothing has started but the ledger.
        started_at=last_run_started(reader) or stamp.created_at,
        waves=waves,
        total_findings=planned,
        pending_not_listed=planned - len(sessions),
        findings_by_severity=_by_severity(reader),
        completed=sum(session.completed_at is not None for session in sessions),
        successful=sum(wave.success_count for wave in waves),
        failed=sum(wave.failure_count for wave in waves),
        prs_created=sum(session.pr_url is not None for session in sessions),
        status=current_status(reader),
        events=_events(reader),
        data_source=stamp.mode,
    )


@dataclass(frozen=True)
class _Stamp:
    ledger_id: str
    created_at: datetime
    mode: str


@dataclass(frozen=True)
class _WaveStatus:
    wave_number: int
    status: str
    has_started: bool
    findings: int


def _by_severity(reader: Reader) -> dict[Severity, int]:
    """Count all planned findings by severity."""
    counts = reader.execute("SELECT severity, count(*) FROM planned_findings GROUP BY ALL").fetchall()
    return {severity: dict(counts).get(severity, 0) for severity in Severity}


def _waves(reader: Reader) -> list[Wave]:
    found = reader.rows(
        _WaveStatus,
        """
        SELECT w.wave_number,
            CASE WHEN r.round IS NULL THEN 'pending'
                WHEN r.settled_at IS NOT NULL THEN g.verdict
                -- A hold changes nothing for waves that have settled or were never started.
                WHEN EXISTS (FROM holds WHERE lifted_at IS NULL) THEN 'held'
                ELSE 'running' END AS status,
            r.round IS NOT NULL AS has_started, coalesce(n.findings, 0) AS findings
        FROM waves w
        LEFT JOIN last_rounds r USING (wave_number)
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        LEFT JOIN (SELECT wave_number, count(*) AS findings FROM wave_findings GROUP BY ALL) n USING (wave_number)
        ORDER BY w.wave_number
        """,
    )
    sessions = _sessions(reader)
    listed = _listed_ahead(found)
    listed_numbers = set(listed)
    for session in _pending(reader, listed):
        sessions[session.wave_number].append((session, None))
    # A plan may have tens of thousands of waves, and a reader would look at none of the later ones.
    shown = [wave for wave in found if wave.has_started or wave.wave_number in listed_numbers]
    return [
        Wave(
            wave_number=wave.wave_number,
            status=wave.status,
            sessions=[session for session, _ in sessions[wave.wave_number]],
            success_count=sum(outcome is Outcome.SUCCESS for _, outcome in sessions[wave.wave_number]),
            failure_count=sum(
                outcome is not None and outcome is not Outcome.SUCCESS and outcome.answerable
                for _, outcome in sessions[wave.wave_number]
            ),
        )
        for wave in shown
    ]


def _listed_ahead(waves: Sequence[_WaveStatus]) -> list[int]:
    """Return the numbers of the next waves whose findings are listed: as many whole waves as fit, at least one."""
    listed: list[int] = []
    findings = 0
    for wave in waves:
        if not wave.has_started:
            findings += wave.findings
            if listed and findings > LISTED_AHEAD:
                break
            listed.append(wave.wave_number)
    return listed


def _pending(reader: Reader, wave_numbers: Sequence[int]) -> list[RemediationSession]:
    """Return a pending session for each finding of waves that have not started; of a huge wave the first ones."""
    return [
        RemediationSession(
            finding=finding_of(row),
            # No playbook has an id at Devin before it is uploaded, which the first session of its category does.
            playbook_id=row["playbook_id"] or "",
            wave_number=row["wave_number"],
            attempt=row["next_attempt"],
        )
        for row in rows_to_plan(reader, wave_numbers)[:LISTED_AHEAD]
    ]


def _sessions(reader: Reader) -> dict[int, list[tuple[RemediationSession, Outcome | None]]]:
    """Return the sessions of started waves by wave number, each with its outcome as the gate counts it."""
    sessions: dict[int, list[tuple[RemediationSession, Outcome | None]]] = defaultdict(list)
    for row in reader.records(
        f"""
        SELECT {", ".join(f"p.{name}" for name in FINDING_COLUMNS)}, p.priority_score, p.wave_number,
            -- A finding that was closed before its wave was run has no attempt.
            coalesce(a.attempt, 1) AS attempt, coalesce(a.status, 'pending') AS status, a.outcome, a.counted_outcome,
            a.session_id, a.session_url AS devin_url, a.pr_url, a.dispatched_at AS created_at, a.completed_at,
            a.error_message, coalesce(v.playbook_id, '') AS playbook_id,
            r.verdict AS review_status, r.reviewer AS reviewed_by, r.reviewed_at, r.reason AS review_reason,
            -- Output that does not fit the schema may have any shape; readers of this file rely on one.
            CASE WHEN o.output_valid THEN o.structured_output END AS structured_output
        FROM wave_plan p
        SEMI JOIN rounds USING (wave_number)
        LEFT JOIN last_reviewed_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number
        LEFT JOIN last_reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt
        LEFT JOIN playbook_versions v ON v.playbook = p.playbook
            AND v.playbook_version = coalesce(a.playbook_version, p.playbook_version)
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        ORDER BY p.wave_number, p.position
        """
    ):
        finding = finding_of(row)
        output, counted = row["structured_output"], row["counted_outcome"]
        session = RemediationSession(
            **{name: row[name] for name in _SESSION_FIELDS},
            finding=finding,
            structured_output=_flat(json.loads(output)) if output else None,
        )
        # As the gate counts it: `status` stays what the agent achieved, whatever a review said.
        sessions[session.wave_number].append((session, Outcome(counted) if counted else None))
    return sessions


_SESSION_FIELDS = sorted(RemediationSession.model_fields.keys() - {"finding", "structured_output"})
"""Fields of a session that its query returns under their own names."""


def _flat(output: dict[str, Any]) -> dict[str, Any]:
    """Return the plain values and flat lists of a session's report; the schema asks for nothing nested deeper."""
    return {
        name: value
        for name, value in output.items()
        if not isinstance(value, dict | list)
        or (isinstance(value, list) and not any(isinstance(item, dict | list) for item in value))
    }


def _events(reader: Reader) -> list[dict[str, Any]]:
    found = reader.records(
        """
        SELECT e."timestamp", e.event_type, e.message, e.details, p.finding_id, p.service_name AS service,
            e.wave_number AS wave, e.attempt
        FROM session_events e
        LEFT JOIN wave_plan p ON p.finding_key = e.finding_key AND p.wave_number = e.wave_number
        ORDER BY e.event_id
        """
    )
    return [
        {
            # The same notation as Pydantic's for the other times of the document.
            "timestamp": event["timestamp"].isoformat().replace("+00:00", "Z"),
            "event_type": event["event_type"],
            "message": event["message"],
            "details": {
                name: event[name] for name in ("finding_id", "service", "wave", "attempt") if event[name] is not None
            }
            | (json.loads(event["details"]) if event["details"] else {}),
        }
        for event in found
    ]
