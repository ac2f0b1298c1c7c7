"""The state file: the whole ledger as one `BatchRun` in JSON, for programs that cannot read DuckDB."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import BatchRun, Finding, Outcome, RemediationSession, Wave


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


def load_batch_run(reader: Reader) -> BatchRun:
    """Load an overview of the ledger: waves with the last attempt of each finding, totals, the timeline."""
    stamp = reader.one(_Stamp, "SELECT ledger_id, created_at FROM stamp")
    waves = _waves(reader)
    sessions = [session for wave in waves for session in wave.sessions]
    return BatchRun(
        run_id=stamp.ledger_id,
        started_at=stamp.created_at,
        waves=waves,
        # All that are planned, not only those with a session.
        total_findings=reader.scalar("SELECT count(*) FROM wave_findings"),
        completed=sum(session.completed_at is not None for session in sessions),
        successful=sum(wave.success_count for wave in waves),
        failed=sum(wave.failure_count for wave in waves),
        prs_created=sum(session.pr_url is not None for session in sessions),
        status=_overall([wave.status for wave in waves]),
        events=_events(reader),
    )


@dataclass(frozen=True)
class _Stamp:
    ledger_id: str
    created_at: datetime


@dataclass(frozen=True)
class _WaveStatus:
    wave_number: int
    status: str


def _waves(reader: Reader) -> list[Wave]:
    found = reader.rows(
        _WaveStatus,
        """
        SELECT w.wave_number,
            CASE WHEN r.round IS NULL THEN 'pending'
                WHEN r.settled_at IS NOT NULL THEN g.verdict
                -- A hold changes nothing for waves that have settled or were never started.
                WHEN EXISTS (FROM holds WHERE lifted_at IS NULL) THEN 'held'
                ELSE 'running' END AS status
        FROM waves w
        LEFT JOIN last_rounds r USING (wave_number)
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        ORDER BY w.wave_number
        """,
    )
    sessions = _sessions(reader)
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
        for wave in found
    ]


def _sessions(reader: Reader) -> dict[int, list[tuple[RemediationSession, Outcome | None]]]:
    """Return the sessions by wave number, each with its outcome as the gate counts it."""
    sessions: dict[int, list[tuple[RemediationSession, Outcome | None]]] = defaultdict(list)
    for row in reader.records(
        f"""
        SELECT {", ".join(f"p.{name}" for name in FINDING_COLUMNS)}, p.priority_score, a.wave_number, a.attempt,
            a.status, a.counted_outcome, a.session_id, a.session_url, a.pr_url, a.created_at, a.completed_at,
            a.error_message, coalesce(v.playbook_id, '') AS playbook_id,
            -- Output that does not fit the schema may have any shape; readers of this file rely on one.
            CASE WHEN o.output_valid THEN o.structured_output END AS structured_output
        FROM last_reviewed_attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        LEFT JOIN playbook_versions v ON v.playbook = a.playbook AND v.playbook_version = a.playbook_version
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        ORDER BY a.wave_number, p.position
        """
    ):
        output = row["structured_output"]
        session = RemediationSession(
            **{name: row[name] for name in ("session_id", "playbook_id", "status", "pr_url", "wave_number", "attempt")},
            **{name: row[name] for name in ("created_at", "completed_at", "error_message")},
            finding=Finding.model_validate({name: row[name] for name in (*FINDING_COLUMNS, "priority_score")}),
            devin_url=row["session_url"],
            structured_output=_flat(json.loads(output)) if output else None,
        )
        # As the gate counts it: `status` stays what the agent achieved, whatever a review said.
        counted = row["counted_outcome"]
        sessions[session.wave_number].append((session, Outcome(counted) if counted else None))
    return sessions


def _flat(output: dict[str, Any]) -> dict[str, Any]:
    """Return the plain values and flat lists of a session's report; the schema asks for nothing nested deeper."""
    return {
        name: value
        for name, value in output.items()
        if not isinstance(value, dict | list)
        or (isinstance(value, list) and not any(isinstance(item, dict | list) for item in value))
    }


def _overall(statuses: list[str]) -> str:
    """Return the status of the whole run: the most pressing status of its waves."""
    return next((status for status in ("held", "running", "failed", "pending") if status in statuses), "passed")


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
