"""Auditing: making sure that no attempt has two sessions, after a creation that had no plain answer.

A lost answer may belong to a session that the API makes later still. So the round of such a creation
settles only after one whole list of its wave, begun long enough after its last creation.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from duckdb import DuckDBPyConnection

from remediation_assets.devin.types import DevinSession
from remediation_assets.settings import Settings

from .attempts import Attempt
from .events import Timeline


def mark_unsure(tx: DuckDBPyConnection, attempt: Attempt, now: datetime) -> None:
    """Note that a creation of the attempt's round had no plain answer."""
    tx.execute(
        "UPDATE rounds SET unsure = true, last_post_at = greatest(last_post_at, ?) WHERE wave_number = ? AND round = ?",
        [now, attempt.wave_number, attempt.round],
    )


def note_posts(tx: DuckDBPyConnection, attempts: Sequence[Attempt], now: datetime) -> None:
    """Note that creations are about to be sent, so that an earlier audit says nothing any more."""
    for wave_number, number in {(attempt.wave_number, attempt.round) for attempt in attempts}:
        tx.execute(
            "UPDATE rounds SET last_post_at = ?, audited_at = NULL WHERE wave_number = ? AND round = ?",
            [now, wave_number, number],
        )


def due_audits(tx: DuckDBPyConnection, settings: Settings, begun: datetime) -> list[tuple[int, int]]:
    """Give the rounds, as wave and number, that a poll begun now audits."""
    return tx.execute(
        """
        SELECT wave_number, round FROM rounds
        WHERE settled_at IS NULL AND unsure AND audited_at IS NULL AND last_post_at <= ?
        """,
        [begun - timedelta(seconds=settings.settle_seconds)],
    ).fetchall()


def audited(tx: DuckDBPyConnection, audits: Sequence[tuple[int, int]], begun: datetime) -> None:
    """Note that whole lists, begun then, have shown every session of these rounds."""
    for wave_number, number in audits:
        tx.execute(
            """
            UPDATE rounds SET audited_at = ?
            WHERE wave_number = ? AND round = ? AND last_post_at < ?
            """,
            [begun, wave_number, number, begun],
        )


def record_extras(tx: DuckDBPyConnection, extras: Sequence[tuple[Attempt, DevinSession]], timeline: Timeline) -> None:
    """Record second sessions of attempts, which are then ended, and tell of each once."""
    for attempt, session in extras:
        if tx.execute("SELECT 1 FROM extra_sessions WHERE session_id = ?", [session.session_id]).fetchone():
            continue
        tx.execute(
            "INSERT INTO extra_sessions VALUES (?, ?, ?, ?, ?, NULL, NULL)",
            [session.session_id, attempt.wave_number, attempt.finding_key, attempt.attempt, timeline.now],
        )
        message = f"{attempt.label} has a second session, {session.session_id}, which is ended"
        timeline.add(tx, "session_extra", message, attempt=attempt)
