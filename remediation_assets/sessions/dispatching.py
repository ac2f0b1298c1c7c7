"""Dispatch, exactly once: claim attempts, send their requests, record the answers.

Runs only under the fence of `advance`. A claim is committed before anything is sent and stands
until its session is known or known not to exist.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import AccountProblem, ConcurrencyCap, NotFound, RateLimited, RefusedRequest
from remediation_assets.devin.types import DevinSession
from remediation_assets.escaping import is_plain_url
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.locks import this_process
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.settings import Settings

from .attempts import Attempt, load_attempts, return_to_pending, update_attempt
from .auditing import mark_unsure, note_posts
from .events import Timeline
from .holds import (
    HoldKind,
    lift,
    lift_ended,
    lift_probed,
    postpone_probes,
    refusals_in_a_row,
    set_hold,
    set_hold_for,
    standing_holds,
)
from .requests import build_request
from .slots import free_slots, learn_acceptance, learn_refusal
from .withdrawing import withdraw_gone

CHUNK = 4
"""Attempts claimed at a time: what a death between claim and record can leave behind."""

POST_DEADLINE_SECONDS = 30.0

REFUSALS_IN_A_ROW = 3

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Claim:
    """An attempt that is about to be sent, with the request that is stored for it."""

    attempt: Attempt
    request: dict[str, Any]


async def dispatch(
    ledger: Ledger,
    devin: DevinClient,
    settings: Settings,
    timeline: Timeline,
    *,
    now: Callable[[], datetime],
    may_send: Callable[[], bool] = lambda: True,
    draw_delimiter: Callable[[], str] = secrets.token_hex,
) -> int:
    """Claim and send pending attempts, chunk by chunk, until no slot is free or a hold stands.

    Stops early where `may_send` says that no time is left for another. Returns how many sessions were
    started.
    """
    started = 0
    while True:
        if not may_send():
            return started
        timeline.now = now()
        with ledger.transaction() as tx:
            claims = _claim(tx, ledger.ledger_id, settings, timeline, draw_delimiter)
        if not claims:
            return started
        answers = await _send(devin, claims)
        timeline.now = now()
        with ledger.transaction() as tx:
            # Successes first: they may lift an older hold, not the one that a refusal beside them sets.
            for claim, answer in sorted(
                zip(claims, answers, strict=True), key=lambda pair: not isinstance(pair[1], DevinSession)
            ):
                started += _record(tx, claim.attempt, answer, settings, timeline)
            _judge_limits(tx, answers, settings, timeline)
            _judge_refusals(tx, timeline)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        if any(isinstance(answer, RateLimited) for answer in answers):
            return started


def _claim(
    tx: DuckDBPyConnection,
    ledger_id: str,
    settings: Settings,
    timeline: Timeline,
    draw_delimiter: Callable[[], str],
) -> list[Claim]:
    """Claim up to CHUNK pending attempts in this transaction; freezes their waves."""
    lift_ended(tx, timeline)
    _lift_needless(tx, timeline)
    withdraw_gone(tx, timeline)
    attempts = load_attempts(tx, _CLAIMABLE)[: _admitted(tx, settings, timeline.now)]
    if not attempts:
        return []
    postpone_probes(tx, timeline.now, settings.hold_probe_minutes, of_credentials=False)
    note_posts(tx, attempts, timeline.now)
    claims = []
    for attempt in attempts:
        request = build_request(tx, attempt, ledger_id, settings, draw_delimiter)
        text = json.dumps(request, sort_keys=True)
        claim = {"claimed_at": timeline.now, "claimed_by": this_process(), "request": text}
        update_attempt(tx, attempt, {**claim, "request_hash": hashlib.sha256(text.encode()).hexdigest()})
        claims.append(Claim(attempt, request))
    tx.execute(
        "UPDATE waves SET frozen_at = ? WHERE frozen_at IS NULL AND list_contains(?, wave_number)",
        [timeline.now, sorted({attempt.wave_number for attempt in attempts})],
    )
    return claims


def claimable(tx: DuckDBPyConnection) -> int:
    """Count the attempts that wait for nothing but a slot."""
    return len(load_attempts(tx, _CLAIMABLE))


def _admitted(tx: DuckDBPyConnection, settings: Settings, now: datetime) -> int:
    """Give how many attempts may go out now."""
    limits = [CHUNK, free_slots(tx, settings)]
    holds = standing_holds(tx)
    limits += [admitted for hold in holds if (admitted := hold.admits(now)) is not None]
    if refusals_in_a_row(tx):
        limits.append(1)
    # Quota is asked for by waking the sessions that it has suspended, as long as there is one not yet asked.
    quota = next((hold for hold in holds if hold.kind is HoldKind.QUOTA), None)
    if quota and any(attempt.woken_at is None or attempt.woken_at < quota.set_at for attempt in halted(tx)):
        limits.append(0)
    return max(0, min(limits))


def _lift_needless(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Lift the holds that nobody is left to probe: they would stand for ever, and stop the clock of timeouts."""
    if load_attempts(tx, "a.claimed_at IS NULL AND a.outcome IS NULL"):
        return
    lift(tx, [HoldKind.PERMISSION], timeline)
    if not halted(tx):
        lift(tx, [HoldKind.QUOTA], timeline)


def halted(tx: DuckDBPyConnection) -> list[Attempt]:
    """Load the attempts whose sessions the account's quota has suspended, those first that were asked longest ago."""
    found = load_attempts(tx, "a.halted_at IS NOT NULL AND a.outcome IS NULL")
    return sorted(found, key=lambda attempt: attempt.woken_at or attempt.halted_at or NEVER)


# Pending, in an open round whose plan still stands, and with every earlier session of its finding
# known to be ended where it had to be: else two agents would work on one finding.
_CLAIMABLE = """
a.claimed_at IS NULL AND a.outcome IS NULL AND a.cancel_wanted_at IS NULL
AND EXISTS (
    FROM rounds r JOIN waves w ON w.wave_number = r.wave_number AND w.plan_number = r.plan_number
    WHERE r.wave_number = a.wave_number AND r.round = a.round AND r.settled_at IS NULL AND r.stopped_at IS NULL)
AND NOT EXISTS (
    FROM attempts earlier
    WHERE earlier.finding_key = a.finding_key AND earlier.attempt < a.attempt
        AND (earlier.outcome IS NULL OR earlier.session_id IS NOT NULL
            AND earlier.end_wanted_at IS NOT NULL AND earlier.session_ended_at IS NULL))
AND EXISTS (
    FROM playbook_versions v
    WHERE v.playbook = a.playbook AND v.playbook_version = a.playbook_version AND v.playbook_id IS NOT NULL)
"""


async def _send(devin: DevinClient, claims: Sequence[Claim]) -> list[DevinSession | BaseException]:
    """Send a chunk at once; every POST has ended when this returns, also where one of them raised."""
    tasks = [
        asyncio.ensure_future(
            devin.create_session(
                **claim.request,
                structured_output_schema=REMEDIATION_OUTPUT_SCHEMA,
                deadline_seconds=POST_DEADLINE_SECONDS,
            )
        )
        for claim in claims
    ]
    try:
        return list(await asyncio.gather(*tasks, return_exceptions=True))
    finally:
        # On cancellation the POSTs must not outlive the fence; their claims stand and are found by tag.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _record(
    tx: DuckDBPyConnection,
    attempt: Attempt,
    answer: DevinSession | BaseException,
    settings: Settings,
    timeline: Timeline,
) -> int:
    """Record the answer to one POST; return 1 if it started a session."""
    if isinstance(answer, DevinSession):
        record_session(tx, attempt, answer, timeline)
        lift_probed(tx, timeline)
        learn_acceptance(tx)
        return 1
    if isinstance(answer, RefusedRequest):
        refused = {"status": Outcome.REFUSED.status, "outcome": Outcome.REFUSED, "error_message": answer.words}
        update_attempt(tx, attempt, {**refused, "completed_at": timeline.now})
        timeline.add(tx, "session_failed", f"{attempt.label} refused by Devin: {answer.words}", attempt=attempt)
    elif isinstance(answer, AccountProblem | NotFound):
        # The account's trouble, not the finding's: no attempt is spent. Limits are judged for all answers at once.
        return_to_pending(tx, attempt)
        if not isinstance(answer, RateLimited):
            set_hold_for(tx, answer, timeline, probe_minutes=settings.hold_probe_minutes)
    else:
        update_attempt(tx, attempt, {"unknown_since": timeline.now})
        mark_unsure(tx, attempt, timeline.now)
        timeline.add(
            tx,
            "session_unknown",
            f"{attempt.label}: no answer to its creation, looked for by its tag",
            attempt=attempt,
        )
    return 0


def _judge_limits(tx: DuckDBPyConnection, answers: Sequence[object], settings: Settings, timeline: Timeline) -> None:
    """Judge the limits that a chunk met, once for all its answers: one hold, one cut of what is known of the cap."""
    limited = [answer for answer in answers if isinstance(answer, RateLimited)]
    if not limited:
        return
    capped = [answer for answer in limited if isinstance(answer, ConcurrencyCap)]
    if capped:
        learn_refusal(tx)
    longest = max(capped or limited, key=lambda answer: answer.retry_after_seconds or 0.0)
    set_hold_for(tx, longest, timeline, probe_minutes=settings.hold_probe_minutes)


def _judge_refusals(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Hold where several attempts in a row were refused for one cause: the next ones would be spent for nothing."""
    last = tx.execute(
        """
        SELECT outcome, error_message FROM attempts WHERE claimed_at IS NOT NULL
            AND (session_id IS NOT NULL OR outcome IS NOT NULL)
            AND claimed_at > coalesce((SELECT max(lifted_at) FROM holds WHERE kind = ?), 'epoch'::TIMESTAMPTZ)
        ORDER BY coalesce(dispatched_at, completed_at) DESC, session_id IS NULL LIMIT ?
        """,
        [HoldKind.REFUSALS, REFUSALS_IN_A_ROW],
    ).fetchall()
    if len(last) == REFUSALS_IN_A_ROW and len(set(last)) == 1 and last[0][0] == Outcome.REFUSED:
        reason = f"{REFUSALS_IN_A_ROW} attempts in a row were refused: {last[0][1]}"
        set_hold(tx, HoldKind.REFUSALS, reason, timeline)


def record_session(tx: DuckDBPyConnection, attempt: Attempt, session: DevinSession, timeline: Timeline) -> None:
    """Record which session carries out an attempt, where none is recorded yet."""
    url = session.url if is_plain_url(session.url) else None
    tx.execute(
        """
        UPDATE attempts SET session_id = ?, session_url = ?, status = ?, dispatched_at = ?, request = NULL,
            unknown_since = NULL, claimed_at = coalesce(claimed_at, ?),
            watched_from = (SELECT watched_seconds FROM state)
        WHERE wave_number = ? AND finding_key = ? AND attempt = ? AND session_id IS NULL
        """,
        [
            session.session_id,
            url,
            SessionStatus.DISPATCHED,
            timeline.now,
            timeline.now,
            attempt.wave_number,
            attempt.finding_key,
            attempt.attempt,
        ],
    )
    timeline.add(
        tx,
        "session_started",
        f"{attempt.label} started: {url or session.session_id}",
        attempt=attempt,
        details={"finding_id": attempt.finding_id, "wave": attempt.wave_number},
    )
