"""How the pull requests of ended sessions fare: looked at from time to time, while nobody polls their sessions.

Changes no outcome: whether a fix was merged is a person's decision, and shown, not judged.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

from remediation_assets.clock import Clock, utc_now
from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, RefusedRequest, Unavailable
from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.sessions.policy import Policy

EVERY = timedelta(minutes=15)
MOST = 40
"""Sessions that are looked at in one go, those seen longest ago first; each is a request."""

_ENDED = ("merged", "closed")


async def refresh_pull_requests(ledger: Ledger, devin: DevinClient, policy: Policy, *, now: Clock = utc_now) -> int:
    """Look at open pull requests again where it is time; return how many have changed.

    Nothing to do on v1, which tells no states. Raises a DevinError where Devin cannot be looked at.
    """
    if policy.api_version == "v1":
        return 0
    journal = Journal(now)
    with ledger.transaction(journal) as tx:
        due = _due(tx)
        if due:
            # Also if the request fails: the next time is as far away.
            tx.execute("UPDATE state SET pull_requests_at = ?", [tx.now])
    seen: dict[str, DevinSession | None] = {}
    try:
        for session_id in due:
            try:
                seen[session_id] = await devin.get_session(session_id)
            except (NotFound, RefusedRequest, Unavailable):
                seen[session_id] = None  # its turn comes again, and must not keep the others from theirs
    finally:
        changed = 0
        if seen:
            with ledger.transaction(journal) as tx:
                changed = sum(_note(tx, session_id, session) for session_id, session in seen.items())
    return changed


def _due(tx: Transaction) -> list[str]:
    looked_at = tx.scalar("SELECT pull_requests_at FROM state")
    if looked_at and tx.now - looked_at < EVERY:
        return []
    return tx.column(
        """
        SELECT session_id FROM (
            SELECT a.session_id, coalesce(o.observed_at, a.completed_at) AS seen_at, coalesce(list_transform(
                list_filter(from_json(o.pull_requests, '[{"url": "VARCHAR", "state": "VARCHAR"}]'),
                    p -> p.url = a.pr_url), p -> lower(p.state))[1], '') AS state
            FROM attempts a JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
            WHERE a.outcome = 'success' AND a.pr_url IS NOT NULL AND a.session_id IS NOT NULL)
        WHERE NOT list_contains($ended, state) ORDER BY seen_at LIMIT $most
        """,
        {"ended": list(_ENDED), "most": MOST},
    )


@dataclass(frozen=True)
class _Known:
    finding_key: str
    attempt: int
    pull_requests: str | None


def _note(tx: Transaction, session_id: str, session: DevinSession | None) -> bool:
    """Write what a session's pull requests are by now; say whether that is news."""
    known = tx.one(
        _Known,
        """
        SELECT a.finding_key, a.attempt, o.pull_requests
        FROM attempts a LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        WHERE a.session_id = ?
        """,
        [session_id],
    )
    # One that shows none any more, or is gone, tells nothing of them.
    shown = [pull.model_dump() for pull in session.pull_requests] if session else []
    pull_requests = json.dumps(shown) if shown else known.pull_requests
    tx.execute(
        "UPDATE observations SET pull_requests = ?, observed_at = ? WHERE finding_key = ? AND attempt = ?",
        [pull_requests, tx.now, known.finding_key, known.attempt],
    )
    return pull_requests != known.pull_requests
