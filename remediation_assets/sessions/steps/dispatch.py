"""Dispatch attempts exactly once: claim them, send their create requests, record the answers.

Runs only under the lock of `advance`. A claim is committed before anything is sent and stands
until its session is known or known not to exist.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import AccountProblem, ConcurrencyCap, NotFound, RateLimited, RefusedRequest
from remediation_assets.devin.types import DevinSession
from remediation_assets.escape import is_plain_url
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.locks import this_process
from remediation_assets.models import EventType, Outcome
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.planning.waves import freeze_waves
from remediation_assets.sessions.model import Attempt, HoldKind
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.rules.admission import admitted
from remediation_assets.sessions.store.attempts import (
    attach_session,
    claimable,
    last_answers,
    pending,
    return_to_pending,
    suspended,
    update_attempt,
)
from remediation_assets.sessions.store.duplicate_audit import mark_unconfirmed, note_posts
from remediation_assets.sessions.store.holds import (
    last_lifted,
    lift,
    lift_ended,
    lift_probed,
    postpone_attempt_probes,
    refusals_in_a_row,
    set_hold,
    set_hold_for,
    standing_holds,
)
from remediation_assets.sessions.store.runs import note_run_started
from remediation_assets.sessions.store.slots import free_slots, learn_acceptance, learn_refusal

from .session_request import RequestContext, build_request
from .withdraw import withdraw_closed

# For one create request in total. A step that has to end by some time starts none that could take longer.
POST_DEADLINE_SECONDS = 30.0

REFUSALS_IN_A_ROW = 3


@dataclass(frozen=True)
class Claim:
    """An attempt that is about to be sent, with the request that is stored for it."""

    attempt: Attempt
    request: dict[str, Any]


async def dispatch(
    ledger: Ledger,
    devin: DevinClient,
    policy: Policy,
    journal: Journal,
    *,
    may_send: Callable[[], bool] = lambda: True,
    draw_delimiter: Callable[[], str] = secrets.token_hex,
) -> int:
    """Claim and send pending attempts, chunk by chunk, until no slot is free or a hold stands.

    Stop early if `may_send` says that no time is left for another chunk. Return how many sessions were started.

    The order of the steps is what makes it exactly once. A claim is committed before its request is sent, so that
    a process that dies in between leaves an orphan to be looked for, never a session that nobody knows of. Nothing
    is sent inside a transaction: the ledger's lock is held for milliseconds, a POST may take 30 seconds. And a
    chunk is recorded before the next one is claimed, so that a death leaves at most one chunk behind.
    """
    started = 0
    context = RequestContext(ledger.ledger_id, policy, draw_delimiter)
    while True:
        # Asked before claiming: a claim that is not sent has to be looked for at Devin before it can be taken back.
        if not may_send():
            return started
        with ledger.transaction(journal) as tx:
            claims = _claim(tx, policy, context)
        if not claims:
            return started
        answers = await _send(devin, claims)
        with ledger.transaction(journal) as tx:
            # Successes first: they may lift an older hold, not the one that a refusal beside them sets.
            for claim, answer in sorted(
                zip(claims, answers, strict=True), key=lambda pair: not isinstance(pair[1], DevinSession)
            ):
                started += _record(tx, claim.attempt, answer, policy)
            _hold_for_limits(tx, answers, policy)
            _hold_for_refusals(tx)
        # Only now that every answer is recorded: beside one that raises, others may have started sessions that cost
        # money.
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        # One refusal for a limit is enough for a step, however short the wait that the API asks for.
        if any(isinstance(answer, RateLimited) for answer in answers):
            return started


def _claim(tx: Transaction, policy: Policy, context: RequestContext) -> list[Claim]:
    """Claim at most a chunk of pending attempts and freeze their waves, in this transaction."""
    # For each chunk again, because time passes and scans are merged while the one before was sent.
    lift_ended(tx)
    _lift_unprobed(tx)
    withdraw_closed(tx)
    attempts = claimable(tx)[: _admitted(tx, policy)]
    if not attempts:
        return []
    # Before the request is sent: if this process dies, the next one must not probe at once again.
    postpone_attempt_probes(tx, policy.hold_probe_minutes)
    note_posts(tx, attempts)
    note_run_started(tx)
    claims = []
    for attempt in attempts:
        request = build_request(tx, attempt, context)
        # Stored with the claim: a second sending must have the same bytes, and v1 knows a repeated request by its
        # prompt.
        text = json.dumps(request, sort_keys=True)
        update_attempt(
            tx,
            attempt,
            claimed_at=tx.now,
            claimed_by=this_process(),
            request=text,
            request_hash=hashlib.sha256(text.encode()).hexdigest(),
        )
        claims.append(Claim(attempt, request))
    # In the claim's transaction: a planning in between would cut a wave again whose sessions are already paid for.
    freeze_waves(tx, [attempt.wave_number for attempt in attempts], at=tx.now)
    return claims


def _admitted(tx: Transaction, policy: Policy) -> int:
    """Return how many attempts may be claimed now."""
    holds = standing_holds(tx)
    return admitted(
        tx.now,
        free_slots=free_slots(tx, policy),
        holds=holds,
        refusals_in_a_row=refusals_in_a_row(tx),
        # Loaded only while there is quota to ask for: this runs before every chunk.
        suspended=suspended(tx) if any(hold.kind is HoldKind.QUOTA for hold in holds) else [],
    )


def _lift_unprobed(tx: Transaction) -> None:
    """Lift the holds for which no probe is left: they would never end, and they stop the timeout clock."""
    if pending(tx):
        return
    lift(tx, [HoldKind.PERMISSION])
    # A suspended session can be the probe of quota, so that hold can still end.
    if not suspended(tx):
        lift(tx, [HoldKind.QUOTA])


async def _send(devin: DevinClient, claims: Sequence[Claim]) -> list[DevinSession | BaseException]:
    """Send the requests of a chunk at the same time; return when every POST has ended, even if one raised."""
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
        # Exceptions come back as answers: raised here, one would end the wait for the others, whose requests may
        # succeed.
        return list(await asyncio.gather(*tasks, return_exceptions=True))
    finally:
        # On cancellation the POSTs must not outlive the advance lock; their claims stand and are found by tag.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _record(tx: Transaction, attempt: Attempt, answer: DevinSession | BaseException, policy: Policy) -> int:
    """Record the answer to one POST; return 1 if it started a session."""
    if isinstance(answer, DevinSession):
        record_session(tx, attempt, answer)
        lift_probed(tx)
        learn_acceptance(tx)
        return 1
    if isinstance(answer, RefusedRequest):
        update_attempt(
            tx,
            attempt,
            status=Outcome.REFUSED.status,
            outcome=Outcome.REFUSED,
            error_message=answer.detail,
            completed_at=tx.now,
        )
        tx.record(EventType.SESSION_FAILED, f"{attempt.label} refused by Devin: {answer.detail}", attempt=attempt)
    elif isinstance(answer, AccountProblem | NotFound):
        # The account's trouble, not the finding's: no attempt is spent. Limits are handled for all answers at once.
        return_to_pending(tx, attempt)
        if not isinstance(answer, RateLimited):
            set_hold_for(tx, answer, probe_minutes=policy.hold_probe_minutes)
    else:
        # Any other error, a cancelled request too, may hide a session: the claim stands until a poll has looked for
        # it.
        update_attempt(tx, attempt, unknown_since=tx.now)
        mark_unconfirmed(tx, attempt, tx.now)
        tx.record(
            EventType.CREATE_UNCONFIRMED,
            f"{attempt.label}: the outcome of its create request is unknown; its session is looked up by its tag",
            attempt=attempt,
        )
    return 0


def _hold_for_limits(tx: Transaction, answers: Sequence[object], policy: Policy) -> None:
    """Handle the limits that a chunk met once for all its answers: set one hold, lower the learned limit once."""
    limited = [answer for answer in answers if isinstance(answer, RateLimited)]
    if not limited:
        return
    capped = [answer for answer in limited if isinstance(answer, ConcurrencyCap)]
    # After the refused attempts have returned to pending: the learned cap counts what still occupies the account.
    if capped:
        learn_refusal(tx)
    # The cap beats a rate limit beside it: terminating a session lifts the hold of a cap before its end.
    longest = max(capped or limited, key=lambda answer: answer.retry_after_seconds or 0.0)
    set_hold_for(tx, longest, probe_minutes=policy.hold_probe_minutes)


def _hold_for_refusals(tx: Transaction) -> None:
    """Set a hold if several attempts in a row were refused for the same reason: further attempts would be wasted."""
    # Since the last such hold was lifted: a person who resumes gets the full number of tries again.
    last = last_answers(tx, since=last_lifted(tx, HoldKind.REFUSALS), most=REFUSALS_IN_A_ROW)
    if len(last) == REFUSALS_IN_A_ROW and len(set(last)) == 1 and last[0].outcome is Outcome.REFUSED:
        reason = f"{REFUSALS_IN_A_ROW} attempts in a row were refused: {last[0].error_message}"
        set_hold(tx, HoldKind.REFUSALS, reason)


def record_session(tx: Transaction, attempt: Attempt, session: DevinSession) -> None:
    """Record which session carries out an attempt, unless one is recorded already."""
    url = session.url if is_plain_url(session.url) else None
    attach_session(tx, attempt, session.session_id, url)
    tx.record(
        EventType.SESSION_STARTED,
        f"{attempt.label} started: {url or session.session_id}",
        attempt=attempt,
        details={"finding_id": attempt.finding_id, "wave": attempt.wave_number},
    )
