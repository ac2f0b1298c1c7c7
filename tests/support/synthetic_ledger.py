"""A ledger of any size with something of everything: findings, sessions in every state, gates, holds, reviews."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Transaction
from remediation_assets.planning.waves import plan_waves
from remediation_assets.sessions.store.reviews import Decision
from remediation_assets.settings import Settings
from tests.support import samples
from tests.support.ledgers import filled_once

BEGUN = datetime(2026, 11, 2, 8, tzinfo=UTC)

# The outcome and the status of the sessions in turn, repeated.
STATES = (
    ("success", "success"),
    ("success", "success"),
    ("success", "success"),
    ("failed", "failed"),
    (None, "working"),
    ("timeout", "timeout"),
    ("success", "success"),
    (None, "blocked"),
)


def fill(
    ledger: Ledger,
    settings: Settings,
    folder: Path,
    *,
    findings: int,
    sessions: int,
    wave_size: int = 10,
    text: Callable[[str], str] | None = None,
) -> None:
    """Read, rank and plan findings, add sessions for the first of them, and publish.

    `text` changes what scanners, Devin and people wrote. Without it, the ledger is filled once for all tests.
    """

    def fill_it() -> None:
        _fill(ledger, settings, folder, findings, sessions, wave_size, text or (lambda name: name))

    if text:
        fill_it()
    else:
        weights = tuple(sorted(settings.service_weights.items()))
        filled_once(ledger, ("synthetic", findings, sessions, wave_size, weights), fill_it)
    ledger.publish(force=True)


def _fill(
    ledger: Ledger,
    settings: Settings,
    folder: Path,
    findings: int,
    sessions: int,
    wave_size: int,
    text: Callable[[str], str],
) -> None:
    severities, categories = ("critical", "high", "medium", "low"), ("xss", "sql_injection", "other")
    rows = [
        samples.row(
            number,
            title=text(f"Finding {number}"),
            description=text(f"A weakness, the {number}th of them."),
            severity=severities[number % 4],
            category=categories[number % 3],
            service_name=text(f"service-{number % 7}"),
            rule_id=text("rule"),
        )
        for number in range(1, findings + 1)
    ]
    samples.ingest_file(ledger, samples.write(folder / "findings.csv", rows))
    samples.rank(ledger, settings)
    with ledger.transaction() as tx:
        plan_waves(tx, wave_size=wave_size, now=BEGUN)
        _run(tx, sessions, text)


def _run(tx: Transaction, sessions: int, text: Callable[[str], str]) -> None:
    columns = [name for name, *_ in tx.execute("DESCRIBE wave_plan").fetchall()]
    made = {"playbook": "'general'", "playbook_version": "'v1'", "prompt": "'...'", "plan_number": "1"}
    values = ", ".join(made.get(name, f"w.{name}" if name in ("wave_number", "position") else name) for name in columns)
    tx.execute(
        f"""
        INSERT INTO wave_plan
        SELECT {values}
        FROM wave_findings w JOIN waves USING (wave_number) JOIN prioritized_findings USING (finding_key)
        ORDER BY w.wave_number, w.position LIMIT {sessions}
        """
    )
    planned = tx.execute("SELECT finding_key, wave_number FROM wave_plan ORDER BY wave_number, position").fetchall()
    attempts, observations, events = [], [], []
    for number, (key, wave) in enumerate(planned):
        outcome, status = STATES[number % len(STATES)]
        at = BEGUN + timedelta(minutes=number)
        ended = at + timedelta(minutes=30) if outcome else None
        url = f"https://github.com/acme/shop/pull/{number}" if outcome == "success" else None
        attempts.append(
            [key, 1, wave, 1, False, status, outcome, "general", "v1", at, at, at, f"devin-{number:06}",
             f"https://app.devin.ai/sessions/{number}", text("went wrong") if outcome == "failed" else None, ended, url]
        )  # fmt: skip
        report = {
            "status": "completed" if outcome == "success" else "testing",
            "progress_pct": 100 if outcome == "success" else 60,
            "current_step": text("Running the tests"),
            "fix_approach": text("Bind the value as a parameter"),
            "files_modified": [text("src/db.py"), "tests/test_db.py"],
            "tests_passed": True,
            "tests_added": 2,
            "confidence": "high",
        }
        pulls = json.dumps([{"url": url, "state": "open"}] if url else [])
        observations.append([key, 1, at, pulls, json.dumps(report), True, "{}"])
        events.append([number + 1, at, "session_started", text(f"F-{number} attempt 1 started"), wave, key, 1])
    tx.executemany(
        """
        INSERT INTO attempts (
            finding_key, attempt, wave_number, round, is_retry, status, outcome, playbook, playbook_version,
            created_at, claimed_at, dispatched_at, session_id, session_url, error_message, completed_at, pr_url)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        attempts,
    )
    tx.executemany(
        """
        INSERT INTO observations (
            finding_key, attempt, observed_at, pull_requests, structured_output, output_valid, raw)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        observations,
    )
    tx.executemany(
        """
        INSERT INTO session_events (event_id, "timestamp", event_type, message, wave_number, finding_key, attempt)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        events,
    )
    first, second = (key for key, _ in planned[:2])
    for number, (key, verdict) in enumerate([(first, Decision.APPROVED), (second, Decision.REJECTED)], start=1):
        tx.execute(
            """
            INSERT INTO reviews (review_id, finding_key, attempt, wave_number, pr_url, verdict, reviewer, reason,
                reviewed_at)
            VALUES (?, ?, 1, 1, NULL, ?, ?, ?, ?)
            """,
            [number, key, verdict, text("Ada"), text("Because"), BEGUN + timedelta(hours=2)],
        )
    for wave in sorted({wave for _, wave in planned}):
        tx.execute(
            """
            INSERT INTO rounds (wave_number, round, opened_at, plan_number, ignored_gate)
            VALUES (?, 1, ?, 1, false)
            """,
            [wave, BEGUN],
        )
    tx.execute(
        "UPDATE rounds SET settled_at = $1, collected_at = $1 WHERE wave_number = 1", [BEGUN + timedelta(hours=1)]
    )
    tx.execute(
        """
        INSERT INTO gate_results
        VALUES ('wave-0001', 1, 1, ?, 10, 6, 10, 0.6, 0.7, 0.3, 0.8, false, false, 'failed', false)
        """,
        [BEGUN + timedelta(hours=1)],
    )
    tx.execute("INSERT INTO holds VALUES (1, 'quota', $1, $2, NULL, $2, NULL)", [text("No ACUs are left."), BEGUN])
    tx.execute("UPDATE state SET last_poll_at = ?", [BEGUN + timedelta(days=9)])
    tx.execute("UPDATE waves SET frozen_at = ? WHERE wave_number <= ?", [BEGUN, max(wave for _, wave in planned)])
