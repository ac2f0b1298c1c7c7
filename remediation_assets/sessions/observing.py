"""Observation: look at the sessions of all live waves, judge them, write what changed.

Runs only under the fence of `advance`. Requests happen outside the ledger's transactions.
"""

import hashlib
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

from .attempts import Attempt, load_attempts, return_to_pending, update_attempt, with_outcome
from .auditing import audited, due_audits, mark_unsure, record_extras
from .dispatching import record_session
from .ending import end_attempt
from .events import Timeline
from .holds import lift_ended, standing_holds
from .looking import look
from .observations import Observation, write_observations
from .outcomes import NEEDS_A_PERSON, Judgement, judge
from .waking import note_halted

_LOOKUPS_BEFORE_RETURN = 2


async def observe(
    ledger: Ledger, devin: DevinClient, settings: Settings, timeline: Timeline, *, now: Callable[[], datetime]
) -> None:
    """Poll once and write what changed; raises a DevinError, writing nothing, where the poll fails."""
    begun = timeline.now = now()
    with ledger.transaction() as tx:
        # We hold the fence, so a claim without an answer is an orphan: its claimant is gone.
        orphans = load_attempts(
            tx, "a.claimed_at IS NOT NULL AND a.outcome IS NULL AND a.session_id IS NULL AND a.unknown_since IS NULL"
        )
        for orphan in orphans:
            update_attempt(tx, orphan, {"unknown_since": begun})
            mark_unsure(tx, orphan, begun)
        audits = due_audits(tx, settings, begun)
        attempts = load_attempts(
            tx,
            """
            a.wave_number IN (
                SELECT wave_number FROM attempts WHERE claimed_at IS NOT NULL AND outcome IS NULL
                UNION ALL SELECT unnest(?))
            """,
            [[wave_number for wave_number, _ in audits]],
        )
        was_on_hold = bool(standing_holds(tx))
        lift_ended(tx, timeline)
    sightings = await look(devin, attempts, ledger.ledger_id)
    followed = [attempt for attempt in attempts if attempt.outcome is None and attempt.tag in sightings.by_tag]
    judged = {a.tag: _judge(a, sightings.by_tag[a.tag], settings, begun) for a in followed}
    last_words = await _last_words(devin, followed, sightings.by_tag, judged)
    timeline.now = now()
    with ledger.transaction() as tx:
        # Somebody may have stopped some of them while Devin was looked at.
        stopped = with_outcome(tx, followed)
        settled = {attempt.tag for attempt in stopped}
        followed = [attempt for attempt in followed if attempt.tag not in settled]
        unknown = [(a, sightings.by_tag[a.tag]) for a in stopped if a.session_id is None]
        record_extras(tx, [*sightings.extras, *unknown], timeline)
        seen = []
        for attempt in followed:
            session = sightings.by_tag[attempt.tag]
            if attempt.session_id is None:
                record_session(tx, attempt, session, timeline)
            seen += _seen(attempt, session, judged[attempt.tag], last_words.get(attempt.tag), settings, begun)
        write_observations(tx, seen, timeline.now)
        for observation in seen:
            _tell(tx, observation, timeline)
        note_halted(tx, [(a, judged[a.tag].account_reason) for a in followed], settings, begun, timeline)
        _settle_unknown(tx, sightings.sought_in_vain, settings, begun, timeline)
        _note_gone(tx, sightings.gone, settings, begun, timeline)
        _cancel(tx, timeline)
        audited(tx, audits, begun)
        _advance_watch(tx, settings, begun, was_on_hold)
        _time_out(tx, settings, timeline)


async def _last_words(
    devin: DevinClient,
    followed: list[Attempt],
    sessions: Mapping[str, DevinSession],
    judged: Mapping[str, Judgement],
) -> Mapping[str, str]:
    """Fetch Devin's last message where an attempt is about to be judged as needing a person."""
    words = {}
    for attempt in followed:
        judgement = judged[attempt.tag]
        if judgement.outcome is Outcome.FAILED and (judgement.reason or "").startswith(NEEDS_A_PERSON):
            try:
                async for message in devin.list_messages(sessions[attempt.tag].session_id):
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


def _seen(
    attempt: Attempt,
    session: DevinSession,
    judgement: Judgement,
    last_words: str | None,
    settings: Settings,
    begun: datetime,
) -> list[Observation]:
    """Give what is to be written of a sighting: nothing where nothing has changed."""
    blocked_since = (attempt.blocked_since or begun) if judgement.status is SessionStatus.BLOCKED else None
    reason = f"{NEEDS_A_PERSON}: {last_words[:2000]}" if last_words else judgement.reason
    pull_requests = json.dumps([pr.model_dump() for pr in session.pull_requests])
    output = json.dumps(session.structured_output) if session.structured_output is not None else None
    shown = [session.status, session.status_detail, pull_requests, output, session.acus_consumed]
    changes: dict[str, Any] = {
        "status": judgement.status,
        "outcome": judgement.outcome,
        "api_status": session.status,
        "api_detail": session.status_detail,
        "blocked_since": blocked_since,
        "missing_since": None,
        "pr_url": judgement.pr_url,
        "acus_consumed": session.acus_consumed,
        "observed_hash": hashlib.sha256(json.dumps(shown).encode()).hexdigest(),
        "error_message": reason,
    }
    if all(getattr(attempt, name) == value for name, value in changes.items()):
        return []
    ends = judgement.outcome is not None and (
        judgement.outcome is not Outcome.SUCCESS or settings.release_sessions == "always"
    )
    return [
        Observation(
            attempt=attempt,
            changes=changes,
            ends=ends,
            pull_requests=pull_requests,
            structured_output=output,
            output_valid=is_valid_output(session.structured_output) if output else None,
            raw=json.dumps(session.raw),
        )
    ]


def _tell(tx: DuckDBPyConnection, observation: Observation, timeline: Timeline) -> None:
    attempt, changes = observation.attempt, observation.changes
    outcome, status, pr_url = changes["outcome"], changes["status"], changes["pr_url"]
    if outcome is Outcome.SUCCESS:
        message = f"{attempt.label} succeeded: {pr_url}"
        timeline.add(tx, "session_completed", message, attempt=attempt, details={"pr_url": pr_url})
    elif outcome:
        timeline.add(tx, "session_failed", f"{attempt.label} failed: {changes['error_message']}", attempt=attempt)
    elif status is not attempt.status and status is not SessionStatus.DISPATCHED:
        timeline.add(tx, f"session_{status}", f"{attempt.label} is {status}", attempt=attempt)


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
            end_attempt(tx, attempt, Outcome.VANISHED, "Devin no longer knows the session", timeline)


def _cancel(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """End the attempts that were to be cancelled, now that it is known whether they have a session."""
    wanted = load_attempts(
        tx,
        "a.cancel_wanted_at IS NOT NULL AND a.outcome IS NULL AND (a.session_id IS NOT NULL OR a.claimed_at IS NULL)",
    )
    for attempt in wanted:
        end_attempt(tx, attempt, Outcome.CANCELLED, "stopped by a person", timeline)


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
        reason = f"no result within {settings.session_timeout_minutes:g} minutes"
        end_attempt(tx, attempt, Outcome.TIMEOUT, reason, timeline)
