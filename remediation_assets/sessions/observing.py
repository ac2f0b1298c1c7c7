"""Observation: look at the live sessions, judge them, write what changed.

Runs only under the fence of `advance`. Requests happen outside the ledger's transactions.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.planning.output_schema import is_valid_output
from remediation_assets.settings import Settings

from .attempts import Attempt, load_attempts, return_to_pending, update_attempt
from .dispatching import record_session
from .events import Timeline
from .holds import HoldKind, lift_ended, set_hold, standing_holds
from .looking import Sightings, look
from .outcomes import NEEDS_A_PERSON, Judgement, judge

_LOOKUPS_BEFORE_RETURN = 2


async def observe(
    ledger: Ledger, devin: DevinClient, settings: Settings, timeline: Timeline, *, now: Callable[[], datetime]
) -> None:
    """Poll once and write what changed; raises a DevinError, writing nothing, where the poll fails."""
    begun = timeline.now = now()
    with ledger.transaction() as tx:
        # We hold the fence, so a claim without an answer is an orphan: its claimant is gone.
        tx.execute(
            """
            UPDATE attempts SET unknown_since = ?
            WHERE claimed_at IS NOT NULL AND outcome IS NULL AND session_id IS NULL AND unknown_since IS NULL
            """,
            [begun],
        )
        live = load_attempts(tx, "a.claimed_at IS NOT NULL AND a.outcome IS NULL")
        was_on_hold = bool(standing_holds(tx))
        lift_ended(tx, timeline)
    sightings = await look(devin, live, ledger.ledger_id)
    last_words = await _last_words(devin, live, sightings, settings, begun)
    timeline.now = now()
    with ledger.transaction() as tx:
        for attempt in live:
            session = sightings.by_tag.get(attempt.tag)
            if session is not None:
                if attempt.session_id is None:
                    record_session(tx, attempt, session, timeline)
                _write_sighting(tx, attempt, session, settings, begun, last_words.get(attempt.tag), timeline)
        _settle_unknown(tx, sightings.sought_in_vain, settings, begun, timeline)
        _note_gone(tx, sightings.gone, settings, begun, timeline)
        _advance_watch(tx, settings, begun, was_on_hold)
        _time_out(tx, settings, timeline)


async def _last_words(
    devin: DevinClient, live: list[Attempt], sightings: Sightings, settings: Settings, begun: datetime
) -> Mapping[str, str]:
    """Fetch Devin's last message where an attempt is about to be judged as needing a person."""
    words = {}
    for attempt in live:
        session = sightings.by_tag.get(attempt.tag)
        if session is None:
            continue
        judgement = _judge(attempt, session, settings, begun)
        if judgement.outcome is Outcome.FAILED and (judgement.reason or "").startswith(NEEDS_A_PERSON):
            try:
                async for message in devin.list_messages(session.session_id):
                    if message.source == "devin":
                        words[attempt.tag] = message.text
            except DevinError:
                continue  # the outcome stands without them
    return words


def _judge(attempt: Attempt, session: DevinSession, settings: Settings, begun: datetime) -> Judgement:
    return judge(
        session,
        repo_url=attempt.repo_url,
        blocked_since=attempt.blocked_since,
        polled_at=begun,
        confirm_seconds=settings.blocked_confirm_seconds,
    )


def _write_sighting(
    tx: DuckDBPyConnection,
    attempt: Attempt,
    session: DevinSession,
    settings: Settings,
    begun: datetime,
    last_words: str | None,
    timeline: Timeline,
) -> None:
    judgement = _judge(attempt, session, settings, begun)
    if judgement.account_reason:
        set_hold(tx, HoldKind.QUOTA, judgement.account_reason, timeline, seconds=settings.hold_probe_minutes * 60)
    blocked_since = (attempt.blocked_since or begun) if judgement.status is SessionStatus.BLOCKED else None
    reason = f"{NEEDS_A_PERSON}: {last_words[:2000]}" if last_words else judgement.reason
    pull_requests = json.dumps([pr.model_dump() for pr in session.pull_requests])
    output = json.dumps(session.structured_output) if session.structured_output is not None else None
    changes: dict[str, Any] = {
        "status": judgement.status,
        "outcome": judgement.outcome,
        "api_status": session.status,
        "api_detail": session.status_detail,
        "blocked_since": blocked_since,
        "missing_since": None,
        "pr_url": judgement.pr_url,
        "pull_requests": pull_requests,
        "structured_output": output,
        "acus_consumed": session.acus_consumed,
        "error_message": reason,
    }
    if all(getattr(attempt, name) == value for name, value in changes.items()):
        return
    changes |= {
        "output_valid": is_valid_output(session.structured_output) if output else None,
        "observed_at": timeline.now,
        "raw": json.dumps(session.raw),
    }
    if judgement.outcome:
        changes["completed_at"] = timeline.now
        if judgement.outcome is not Outcome.SUCCESS:
            # Intent and outcome are written before the session is ended; the next attempt waits for that.
            changes["end_wanted_at"] = timeline.now
    update_attempt(tx, attempt, changes)
    _tell(tx, attempt, judgement, reason, timeline)


def _tell(
    tx: DuckDBPyConnection, attempt: Attempt, judgement: Judgement, reason: str | None, timeline: Timeline
) -> None:
    if judgement.outcome is Outcome.SUCCESS:
        message = f"{attempt.label} succeeded: {judgement.pr_url}"
        timeline.add(tx, "session_completed", message, attempt=attempt, details={"pr_url": judgement.pr_url})
    elif judgement.outcome:
        timeline.add(tx, "session_failed", f"{attempt.label} failed: {reason}", attempt=attempt)
    elif judgement.status is not attempt.status and judgement.status is not SessionStatus.DISPATCHED:
        timeline.add(tx, f"session_{judgement.status}", f"{attempt.label} is {judgement.status}", attempt=attempt)


def _settle_unknown(
    tx: DuckDBPyConnection, attempts: list[Attempt], settings: Settings, begun: datetime, timeline: Timeline
) -> None:
    """Return attempts whose creation left no trace: two look-ups in vain, the last begun late enough."""
    for attempt in attempts:
        since = attempt.unknown_since or begun
        lookups = attempt.fruitless_lookups + 1
        if lookups < _LOOKUPS_BEFORE_RETURN or begun - since < timedelta(seconds=settings.settle_seconds):
            update_attempt(tx, attempt, {"fruitless_lookups": lookups})
            continue
        return_to_pending(tx, attempt)
        timeline.add(tx, "session_returned", f"{attempt.label} was not created; it will be sent again", attempt=attempt)


def _note_gone(
    tx: DuckDBPyConnection, attempts: list[Attempt], settings: Settings, begun: datetime, timeline: Timeline
) -> None:
    """Give sessions that the API no longer knows at two polls far enough apart their outcome."""
    for attempt in attempts:
        if attempt.missing_since is None:
            update_attempt(tx, attempt, {"missing_since": begun})
        elif (begun - attempt.missing_since).total_seconds() >= settings.blocked_confirm_seconds:
            reason = "Devin no longer knows the session"
            _end(tx, attempt, Outcome.VANISHED, reason, timeline)


def _advance_watch(tx: DuckDBPyConnection, settings: Settings, begun: datetime, was_on_hold: bool) -> None:
    """Let the clock of timeouts go on by the time since the last poll, but not through holds or long gaps."""
    counted = 0.0
    row = tx.execute("SELECT last_poll_at FROM state").fetchone()
    if row and row[0] and not was_on_hold:
        gap = (begun - row[0]).total_seconds()
        # A longer gap means that nobody was polling, or the API was out of reach.
        counted = gap if 0 < gap <= max(60.0, 3 * settings.poll_interval_seconds) else 0.0
    tx.execute("UPDATE state SET watched_seconds = watched_seconds + ?, last_poll_at = ?", [counted, begun])


def _time_out(tx: DuckDBPyConnection, settings: Settings, timeline: Timeline) -> None:
    row = tx.execute("SELECT watched_seconds FROM state").fetchone()
    watched = row[0] if row else 0.0
    limit = settings.session_timeout_minutes * 60
    late = load_attempts(
        tx, "a.session_id IS NOT NULL AND a.outcome IS NULL AND a.watched_from <= ?", [watched - limit]
    )
    for attempt in late:
        _end(
            tx,
            attempt,
            Outcome.TIMEOUT,
            f"no result within {settings.session_timeout_minutes:g} minutes",
            timeline,
        )


def _end(tx: DuckDBPyConnection, attempt: Attempt, outcome: Outcome, reason: str, timeline: Timeline) -> None:
    update_attempt(
        tx,
        attempt,
        {
            "status": outcome.status,
            "outcome": outcome,
            "error_message": reason,
            "completed_at": timeline.now,
            "end_wanted_at": timeline.now,
        },
    )
    timeline.add(tx, "session_failed", f"{attempt.label} ended as {outcome}: {reason}", attempt=attempt)
