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
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import AccountProblem, NotFound, RefusedRequest
from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.locks import this_process
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.settings import Settings

from .attempts import Attempt, load_attempts, return_to_pending, update_attempt
from .events import Timeline
from .holds import lift_probed, postpone_probes, set_hold_for, standing_holds
from .outcomes import is_plain_url
from .requests import build_request

CHUNK = 4
"""Attempts claimed at a time: what a death between claim and record can leave behind."""

POST_DEADLINE_SECONDS = 30.0


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
    draw_delimiter: Callable[[], str] = secrets.token_hex,
) -> int:
    """Claim and send pending attempts, chunk by chunk, until no slot is free or a hold stands.

    Returns how many sessions were started.
    """
    started = 0
    while True:
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
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer


def _claim(
    tx: DuckDBPyConnection,
    ledger_id: str,
    settings: Settings,
    timeline: Timeline,
    draw_delimiter: Callable[[], str],
) -> list[Claim]:
    """Claim up to CHUNK pending attempts in this transaction; freezes their waves."""
    limits = [CHUNK, settings.max_parallel_sessions - _live(tx)]
    limits += [admitted for hold in standing_holds(tx) if (admitted := hold.admits(timeline.now)) is not None]
    attempts = load_attempts(tx, _CLAIMABLE)[: max(0, min(limits))]
    if not attempts:
        return []
    postpone_probes(tx, timeline.now, settings.hold_probe_minutes, of_credentials=False)
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


# Pending, in an open round whose plan still stands, and with every earlier session of its finding
# known to be ended where it had to be: else two agents would work on one finding.
_CLAIMABLE = """
a.claimed_at IS NULL AND a.outcome IS NULL
AND EXISTS (
    FROM rounds r JOIN waves w ON w.wave_number = r.wave_number AND w.plan_number = r.plan_number
    WHERE r.wave_number = a.wave_number AND r.round = a.round AND r.settled_at IS NULL)
AND NOT EXISTS (
    FROM attempts earlier
    WHERE earlier.finding_key = a.finding_key AND earlier.attempt < a.attempt
        AND (earlier.outcome IS NULL OR earlier.end_wanted_at IS NOT NULL AND earlier.session_ended_at IS NULL))
AND EXISTS (
    FROM playbook_versions v
    WHERE v.playbook = a.playbook AND v.playbook_version = a.playbook_version AND v.playbook_id IS NOT NULL)
"""


def _live(tx: DuckDBPyConnection) -> int:
    row = tx.execute("SELECT count(*) FROM attempts WHERE claimed_at IS NOT NULL AND outcome IS NULL").fetchone()
    return row[0] if row else 0


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
        return 1
    if isinstance(answer, RefusedRequest):
        refused = {"status": Outcome.REFUSED.status, "outcome": Outcome.REFUSED, "error_message": answer.words}
        update_attempt(tx, attempt, {**refused, "completed_at": timeline.now})
        timeline.add(tx, "session_failed", f"{attempt.label} refused by Devin: {answer.words}", attempt=attempt)
    elif isinstance(answer, AccountProblem | NotFound):
        # The account's trouble, not the finding's: no attempt is spent.
        return_to_pending(tx, attempt)
        set_hold_for(tx, answer, timeline, probe_minutes=settings.hold_probe_minutes)
    else:
        update_attempt(tx, attempt, {"unknown_since": timeline.now})
        timeline.add(
            tx,
            "session_unknown",
            f"{attempt.label}: no answer to its creation, looked for by its tag",
            attempt=attempt,
        )
    return 0


def record_session(tx: DuckDBPyConnection, attempt: Attempt, session: DevinSession, timeline: Timeline) -> None:
    """Record which session carries out an attempt, where none is recorded yet."""
    url = session.url if is_plain_url(session.url) else None
    tx.execute(
        """
        UPDATE attempts SET session_id = ?, session_url = ?, status = ?, dispatched_at = ?, request = NULL,
            unknown_since = NULL, watched_from = (SELECT watched_seconds FROM state)
        WHERE finding_key = ? AND attempt = ? AND session_id IS NULL
        """,
        [
            session.session_id,
            url,
            SessionStatus.DISPATCHED,
            timeline.now,
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
