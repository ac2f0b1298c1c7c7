"""The state file: the whole ledger as one `BatchRun` in JSON, for programs that read no DuckDB."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.models import BatchRun, Finding, Outcome, RemediationSession, Wave

from .schema import FINDING_COLUMNS


def is_stale(ledger: Path, state_file: Path) -> bool:
    """Say whether the ledger has changed since the state file was written."""
    try:
        return ledger.stat().st_mtime_ns != state_file.stat().st_mtime_ns
    except FileNotFoundError:
        return ledger.exists()


def write(ledger: Path, state_file: Path, batch_run: BatchRun) -> None:
    """Replace the state file in one rename; it gets the ledger's modification time."""
    stat = ledger.stat()
    state_file.parent.mkdir(parents=True, exist_ok=True)
    building = state_file.with_name(f".{state_file.name}.building")
    with building.open("w", encoding="utf-8") as file:
        file.write(batch_run.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    os.utime(building, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    building.replace(state_file)


def load_batch_run(connection: DuckDBPyConnection) -> BatchRun:
    """Read everything at a glance: waves with the last attempt of each finding, totals, the timeline."""
    [(ledger_id, created_at)] = connection.execute("SELECT ledger_id, created_at FROM stamp").fetchall()
    waves = _waves(connection)
    sessions = [session for wave in waves for session in wave.sessions]
    [(planned,)] = connection.execute("SELECT count(*) FROM wave_findings").fetchall()
    successful, failed = sum(wave.success_count for wave in waves), sum(wave.failure_count for wave in waves)
    return BatchRun(
        run_id=ledger_id,
        started_at=created_at,
        waves=waves,
        total_findings=planned,
        completed=sum(session.completed_at is not None for session in sessions),
        successful=successful,
        failed=failed,
        prs_created=sum(session.pr_url is not None for session in sessions),
        status=_overall([wave.status for wave in waves]),
        events=_events(connection),
    )


def _waves(connection: DuckDBPyConnection) -> list[Wave]:
    rows = connection.execute(
        """
        SELECT w.wave_number,
            CASE WHEN r.round IS NULL THEN 'pending'
                WHEN r.settled_at IS NOT NULL THEN CASE WHEN g.passed THEN 'passed' ELSE 'failed' END
                WHEN EXISTS (FROM holds WHERE lifted_at IS NULL) THEN 'held'
                ELSE 'running' END
        FROM waves w
        LEFT JOIN (
            FROM rounds QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1) r
            USING (wave_number)
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        ORDER BY w.wave_number
        """
    ).fetchall()
    sessions = _sessions(connection)
    return [
        Wave(
            wave_number=number,
            status=status,
            sessions=[session for session, _ in sessions[number]],
            success_count=sum(outcome is Outcome.SUCCESS for _, outcome in sessions[number]),
            failure_count=sum(
                outcome is not None and outcome is not Outcome.SUCCESS and outcome.answerable
                for _, outcome in sessions[number]
            ),
        )
        for number, status in rows
    ]


def _sessions(connection: DuckDBPyConnection) -> dict[int, list[tuple[RemediationSession, Outcome | None]]]:
    cursor = connection.execute(
        f"""
        SELECT {", ".join(f"p.{name}" for name in FINDING_COLUMNS)}, p.priority_score, a.wave_number, a.attempt,
            a.status, CASE WHEN r.verdict != 'approved' THEN 'failed' ELSE a.outcome END AS outcome,
            a.session_id, a.session_url, a.pr_url, a.created_at, a.completed_at, a.error_message,
            coalesce(v.playbook_id, '') AS playbook_id,
            CASE WHEN o.output_valid THEN o.structured_output END AS structured_output
        FROM last_attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        LEFT JOIN playbook_versions v ON v.playbook = a.playbook AND v.playbook_version = a.playbook_version
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        LEFT JOIN last_reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt AND a.outcome = 'success'
        ORDER BY a.wave_number, p.position
        """
    )
    names = [column[0] for column in cursor.description or ()]
    sessions: dict[int, list[tuple[RemediationSession, Outcome | None]]] = defaultdict(list)
    for values in cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        output = row["structured_output"]
        session = RemediationSession(
            **{name: row[name] for name in ("session_id", "playbook_id", "status", "pr_url", "wave_number", "attempt")},
            **{name: row[name] for name in ("created_at", "completed_at", "error_message")},
            finding=Finding.model_validate({name: row[name] for name in (*FINDING_COLUMNS, "priority_score")}),
            devin_url=row["session_url"],
            structured_output=_flat(json.loads(output)) if output else None,
        )
        sessions[session.wave_number].append((session, Outcome(row["outcome"]) if row["outcome"] else None))
    return sessions


def _flat(output: dict[str, Any]) -> dict[str, Any]:
    """Keep the plain values and lists of a session's report; what it nests deeper is nothing we asked for."""
    return {
        name: value
        for name, value in output.items()
        if not isinstance(value, dict | list)
        or (isinstance(value, list) and not any(isinstance(item, dict | list) for item in value))
    }


def _overall(statuses: list[str]) -> str:
    """Give the word for the whole: the most pressing of its waves'."""
    return next((word for word in ("held", "running", "failed", "pending") if word in statuses), "passed")


def _events(connection: DuckDBPyConnection) -> list[dict[str, Any]]:
    rows = connection.execute(
        """
        SELECT e."timestamp", e.event_type, e.message, e.details, e.wave_number, e.attempt, p.finding_id, p.service_name
        FROM session_events e
        LEFT JOIN wave_plan p ON p.finding_key = e.finding_key AND p.wave_number = e.wave_number
        ORDER BY e.event_id
        """
    ).fetchall()
    events = []
    for at, event_type, message, details, wave, attempt, finding_id, service in rows:
        about = {"finding_id": finding_id, "service": service, "wave": wave, "attempt": attempt}
        events.append(
            {
                "timestamp": at.isoformat().replace("+00:00", "Z"),
                "event_type": event_type,
                "message": message,
                "details": {name: value for name, value in about.items() if value is not None}
                | (json.loads(details) if details else {}),
            }
        )
    return events
