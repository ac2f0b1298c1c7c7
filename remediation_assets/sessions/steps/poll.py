"""Poll: list the sessions of all waves with open attempts, classify each, and write what changed.

Runs only under the lock of `advance`. Requests are made outside the ledger's transactions.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.models import EventType, Outcome, SessionStatus
from remediation_assets.planning.output_schema import is_valid_output, stage_of
from remediation_assets.sessions.model import Attempt
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.rules.outcome import NEEDS_A_PERSON, Classification, classify
from remediation_assets.sessions.rules.stages import STAGE_WORDS, further_stage
from remediation_assets.sessions.store.attempts import (
    of_polled_waves,
    orphaned,
    return_to_pending,
    to_cancel,
    update_attempt,
    watched_since,
    with_outcome,
)
from remediation_assets.sessions.store.duplicate_audit import (
    RoundNumber,
    due_checks,
    mark_unconfirmed,
    note_checked,
    record_duplicates,
)
from remediation_assets.sessions.store.holds import lift_ended, standing_holds
from remediation_assets.sessions.store.observations import Observation, write_observations
from remediation_assets.sessions.store.stage_times import enter_stage, leave_stage
from remediation_assets.sessions.store.watch import last_poll, note_poll, watched_seconds

from .cancel import STOPPED_BY_A_PERSON
from .dispatch import record_session
from .resume import note_suspended
from .session_lookup import Listing, list_sessions
from .terminate import end_attempt

# One look-up without a result proves nothing: a list may lag behind a session that was just created.
_LOOKUPS_BEFORE_RETURN = 2


@dataclass(frozen=True)
class _Start:
    """What was known when the poll began."""

    begun: datetime
    checks: list[RoundNumber]
    attempts: list[Attempt]
    was_on_hold: bool


async def poll(ledger: Ledger, devin: DevinClient, policy: Policy, journal: Journal) -> None:
    """Poll once and write what changed; raise a DevinError, writing nothing, if a list fails.

    The order matters. One transaction loads what to ask, Devin is asked outside of any transaction, and a second
    transaction writes the answers. The second one looks again at what may have changed between: a person may have
    stopped attempts, and an outcome once written is final. It writes evidence before anything that rests on the
    absence of evidence (claims given back, vanished sessions, timeouts), so that evidence beats the clock.
    """
    with ledger.transaction(journal) as tx:
        start = _start(tx, policy)
    listing = await list_sessions(devin, start.attempts, ledger.ledger_id)
    followed = [attempt for attempt in start.attempts if attempt.outcome is None and attempt.tag in listing.by_tag]
    classified = {
        attempt.tag: classify(
            listing.by_tag[attempt.tag],
            repo_url=attempt.repo_url,
            blocked_since=attempt.blocked_since,
            polled_at=start.begun,
            confirm_seconds=policy.blocked_confirm_seconds,
        )
        for attempt in followed
    }
    # Before the transaction: the ledger's lock is never held over a request.
    last_messages = await _last_messages(devin, followed, listing.by_tag, classified)
    with ledger.transaction(journal) as tx:
        _write(tx, policy, start, listing, _Seen(followed, classified, last_messages))


def _start(tx: Transaction, policy: Policy) -> _Start:
    """Mark orphaned claims as unknown, and load what the poll asks for."""
    for orphan in orphaned(tx):
        # Stamped before Devin is asked. Nobody knows when its request was sent, or whether it was; the time that Devin
        # has to create a session late counts from here.
        update_attempt(tx, orphan, unknown_since=tx.now)
        mark_unconfirmed(tx, orphan, tx.now)
    checks = due_checks(tx, policy.create_settle_seconds, tx.now)
    # Ended attempts too: a second session of theirs is recognised only if its tag is known.
    attempts = of_polled_waves(tx, also=[check.wave_number for check in checks])
    # Before ended holds are lifted: the time since the last poll was spent under them, and timeouts must not count it.
    was_on_hold = bool(standing_holds(tx))
    lift_ended(tx)
    return _Start(tx.now, checks, attempts, was_on_hold)


@dataclass(frozen=True)
class _Seen:
    """The attempts whose session was seen, and for each tag the session's classification and Devin's last message."""

    followed: list[Attempt]
    classified: Mapping[str, Classification]
    last_messages: Mapping[str, str]


def _write(tx: Transaction, policy: Policy, start: _Start, listing: Listing, seen: _Seen) -> None:
    # A person may have stopped some of them while Devin was asked.
    stopped = with_outcome(tx, seen.followed)
    ended = {attempt.tag for attempt in stopped}
    followed = [attempt for attempt in seen.followed if attempt.tag not in ended]
    # A session that shows up after its attempt was ended has nobody to work for, so it is ended like a second one.
    unrecorded = [(attempt, listing.by_tag[attempt.tag]) for attempt in stopped if attempt.session_id is None]
    record_duplicates(tx, [*listing.duplicates, *unrecorded])
    changed = []
    for attempt in followed:
        session = listing.by_tag[attempt.tag]
        # The answer to its create request was lost. Before the observations, because it sets the status to dispatched
        # and they have the session's real one.
        if attempt.session_id is None:
            record_session(tx, attempt, session)
        classification = seen.classified[attempt.tag]
        observation = _observation(attempt, session, classification, seen.last_messages.get(attempt.tag), start.begun)
        if observation is not None:
            changed.append(observation)
    write_observations(tx, changed, release=policy.release_sessions == "always")
    for observation in changed:
        _record(tx, observation)
    # All that are followed, changed or not: the time that a message has to wake a session passes without a change.
    account_reasons = [(attempt, seen.classified[attempt.tag].account_reason) for attempt in followed]
    note_suspended(tx, account_reasons, policy, start.begun)
    # From here on absence counts, so everything that was seen has to be written by now.
    _settle_unknown(tx, listing.not_found, policy, start.begun)
    _note_vanished(tx, listing.vanished, policy, start.begun)
    # After claims got their session or were returned: until then a stop cannot know whether there is one to terminate.
    for attempt in to_cancel(tx):
        end_attempt(tx, attempt, Outcome.CANCELLED, STOPPED_BY_A_PERSON)
    # Lets the rounds settle, so only once the second sessions of these lists are recorded.
    note_checked(tx, start.checks, start.begun)
    _advance_watch(tx, policy, start)
    # Last: whatever this poll has found evidence for is not late, however long the clock says it took.
    _time_out(tx, policy)


async def _last_messages(
    devin: DevinClient,
    followed: list[Attempt],
    sessions: Mapping[str, DevinSession],
    classified: Mapping[str, Classification],
) -> Mapping[str, str]:
    """Fetch Devin's last message for each attempt that is about to fail because its session needs a person."""
    messages = {}
    for attempt in followed:
        classification = classified[attempt.tag]
        if classification.outcome is Outcome.FAILED and (classification.reason or "").startswith(NEEDS_A_PERSON):
            try:
                async for message in devin.list_messages(sessions[attempt.tag].session_id):
                    if message.source == "devin":
                        messages[attempt.tag] = message.text
            except DevinError:
                continue  # the outcome stands without it
    return messages


def _observation(
    attempt: Attempt,
    session: DevinSession,
    classification: Classification,
    last_message: str | None,
    begun: datetime,
) -> Observation | None:
    """Return what is to be written about a session, None if nothing has changed."""
    # The first sight counts; a poll that sees anything else starts it again, because only an unbroken wait is
    # confirmed.
    blocked_since = (attempt.blocked_since or begun) if classification.status is SessionStatus.BLOCKED else None
    reason = f"{NEEDS_A_PERSON}: {last_message[:2000]}" if last_message else classification.reason
    pull_requests = json.dumps([pr.model_dump() for pr in session.pull_requests])
    output = json.dumps(session.structured_output) if session.structured_output is not None else None
    # For what has no column of its own to compare. Not of `raw`, which also has times that change without any news.
    shown = [session.status, session.status_detail, pull_requests, output, session.acus_consumed]
    changes: dict[str, Any] = {
        "status": classification.status,
        "outcome": classification.outcome,
        "api_status": session.status,
        "api_detail": session.status_detail,
        "stage": further_stage(attempt.stage, session.structured_output) or attempt.stage,
        "blocked_since": blocked_since,
        # Seen again, so the 404 of an earlier poll was not the first of two.
        "missing_since": None,
        "pr_url": classification.pr_url,
        "acus_consumed": session.acus_consumed,
        "observed_hash": hashlib.sha256(json.dumps(shown).encode()).hexdigest(),
        "error_message": reason,
    }
    if all(getattr(attempt, name) == value for name, value in changes.items()):
        return None
    return Observation(
        attempt=attempt,
        changes=changes,
        pull_requests=pull_requests,
        structured_output=output,
        output_valid=is_valid_output(session.structured_output) if output else None,
        raw=json.dumps(session.raw),
        reported_stage=stage_of(session.structured_output),
    )


def _record(tx: Transaction, observation: Observation) -> None:
    attempt, changes = observation.attempt, observation.changes
    outcome, status, pr_url, stage = (changes[name] for name in ("outcome", "status", "pr_url", "stage"))
    # Most observations change a figure or a note only, and are no event.
    is_news = outcome is None and status is not attempt.status
    if is_news and status is SessionStatus.WORKING:
        tx.record(EventType.SESSION_WORKING, f"{attempt.label} is working", attempt=attempt)
    # Before the poll is noted: until then the last poll is the one before, the last that saw the session as it was.
    if stage is not None and stage != attempt.stage:
        enter_stage(tx, attempt, stage)
        message = f"{attempt.label} is {STAGE_WORDS[stage]}"
        tx.record(EventType.SESSION_PROGRESS, message, attempt=attempt, details={"stage": stage})
    # Back in an earlier stage, as agents are when tests fail: that time is not the later stage's.
    if outcome or observation.reported_stage != stage:
        leave_stage(tx, attempt)
    if outcome is Outcome.SUCCESS:
        message = f"{attempt.label} succeeded: {pr_url}"
        tx.record(EventType.SESSION_COMPLETED, message, attempt=attempt, details={"pr_url": pr_url})
    elif outcome:
        tx.record(EventType.SESSION_FAILED, f"{attempt.label} failed: {changes['error_message']}", attempt=attempt)
    elif is_news and status is SessionStatus.BLOCKED:
        tx.record(EventType.SESSION_BLOCKED, f"{attempt.label} is blocked", attempt=attempt)


def _settle_unknown(tx: Transaction, attempts: list[Attempt], policy: Policy, begun: datetime) -> None:
    """Make claims pending again whose session two look-ups did not find, the last one begun late enough."""
    for attempt in attempts:
        since = attempt.unknown_since or begun
        lookups = attempt.lookups_not_found + 1
        # `begun` and not now: a session that is created while a list is read may be missing from it.
        if lookups < _LOOKUPS_BEFORE_RETURN or begun - since < timedelta(seconds=policy.create_settle_seconds):
            update_attempt(tx, attempt, lookups_not_found=lookups)
            continue
        return_to_pending(tx, attempt)
        message = f"{attempt.label} was not created; it will be sent again"
        tx.record(EventType.SESSION_RETURNED, message, attempt=attempt)


def _note_vanished(tx: Transaction, attempts: list[Attempt], policy: Policy, begun: datetime) -> None:
    """End the attempts whose session was unknown to Devin in two polls that are far enough apart."""
    for attempt in attempts:
        # A single 404 is not believed: a vanished attempt has its outcome at once, and outcomes never change.
        if attempt.missing_since is None:
            update_attempt(tx, attempt, missing_since=begun)
            # Nobody knows what it does from here on; the poll before was the last to see it.
            leave_stage(tx, attempt)
        elif (begun - attempt.missing_since).total_seconds() >= policy.blocked_confirm_seconds:
            end_attempt(tx, attempt, Outcome.VANISHED, "Devin no longer knows the session")


def _advance_watch(tx: Transaction, policy: Policy, start: _Start) -> None:
    """Advance the timeout clock by the time since the last poll, without holds and outages."""
    counted = 0.0
    last_poll_at = last_poll(tx)
    if last_poll_at and not start.was_on_hold:
        gap = (start.begun - last_poll_at).total_seconds()
        # A longer gap means that nobody was polling, or the API was out of reach.
        counted = gap if 0 < gap <= max(60.0, 3 * policy.poll_interval_seconds) else 0.0
    note_poll(tx, start.begun, counted)


def _time_out(tx: Transaction, policy: Policy) -> None:
    for attempt in watched_since(tx, watched_seconds(tx) - policy.session_timeout_minutes * 60):
        reason = f"no result within {policy.session_timeout_minutes:g} minutes"
        end_attempt(tx, attempt, Outcome.TIMEOUT, reason)
