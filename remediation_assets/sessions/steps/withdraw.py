"""Withdraw: cancel the pending attempts of findings that the last scans no longer report."""

from remediation_assets.ledger.transaction import Transaction
from remediation_assets.models import Outcome
from remediation_assets.sessions.store.attempts import pending
from remediation_assets.sessions.store.closed_findings import closed_findings

from .terminate import end_attempt

CLOSED = "the last scan does not have it any more"


def withdraw_closed(tx: Transaction) -> None:
    """Cancel the pending attempts of findings that are closed; nothing was sent for them, so they count for no gate."""
    waiting = pending(tx)
    for wave_number in {attempt.wave_number for attempt in waiting}:
        of_wave = [attempt for attempt in waiting if attempt.wave_number == wave_number]
        closed = closed_findings(tx, wave_number, [attempt.finding_key for attempt in of_wave])
        for attempt in of_wave:
            if attempt.finding_key in closed:
                end_attempt(tx, attempt, Outcome.CANCELLED, CLOSED)
