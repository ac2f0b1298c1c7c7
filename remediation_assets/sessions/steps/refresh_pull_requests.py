"""Refresh, at intervals, the pull requests of ended sessions, because polls no longer read ended sessions.

It changes no outcome: whether a fix was merged is a person's decision, which is shown and not evaluated.
"""

import json
from datetime import timedelta

from remediation_assets.clock import Clock, utc_now
from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, RefusedRequest, Unavailable
from remediation_assets.devin.types import DevinSession
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.store.observations import (
    last_pull_request_poll,
    note_pull_request_poll,
    note_pull_requests,
    open_pull_requests,
)

EVERY = timedelta(minutes=15)
MOST = 40
"""Sessions that are refreshed at a time, those seen longest ago first; each is a request."""


async def refresh_pull_requests(ledger: Ledger, devin: DevinClient, policy: Policy, *, now: Clock = utc_now) -> int:
    """Refresh open pull requests if it is time; return how many have changed.

    There is nothing to do on v1, which reports no states. Raise a DevinError if Devin cannot be reached.
    """
    if policy.api_version == "v1":
        return 0
    journal = Journal(now)
    with ledger.transaction(journal) as tx:
        looked_at = last_pull_request_poll(tx)
        is_time = looked_at is None or tx.now - looked_at >= EVERY
        due = open_pull_requests(tx, most=MOST) if is_time else []
        if due:
            # Also if the request fails: the next time is as far away.
            note_pull_request_poll(tx)
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


def _note(tx: Transaction, session_id: str, session: DevinSession | None) -> bool:
    """Store the present pull requests of a session; return whether they have changed."""
    # A session that shows none any more, or that does not exist, says nothing about them.
    shown = [pull_request.model_dump() for pull_request in session.pull_requests] if session else []
    return note_pull_requests(tx, session_id, json.dumps(shown) if shown else None)
