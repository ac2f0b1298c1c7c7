"""Withdrawing: what the last scans no longer have is not dispatched any more."""

from collections.abc import Sequence

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import Outcome
from remediation_assets.sessions.store.attempts import pending

from .terminate import end_attempt

CLOSED = "the last scan does not have it any more"


def closed_findings(tx: Reader, wave_number: int, finding_keys: Sequence[str]) -> set[str]:
    """Give those of some findings of a wave that the last scans do not have any more.

    Only where what was read last has been merged: in between nothing is known. A finding whose row may
    be among those that were set aside - one has its id, or none that could be read - is not gone.
    """
    found = tx.column(
        """
        WITH asked AS (SELECT unnest($keys) AS finding_key),
        missing AS (
            SELECT p.finding_key, p.finding_id, p.scanner, p.repo_url
            FROM wave_plan p SEMI JOIN asked USING (finding_key)
            WHERE p.wave_number = $wave AND (SELECT merged_version = findings_version FROM state)
                AND p.finding_key NOT IN (SELECT finding_key FROM kept_findings SEMI JOIN asked USING (finding_key)))
        SELECT finding_key FROM missing m
        WHERE NOT EXISTS (
            FROM sources s JOIN rejected_findings r ON r.scan_id = s.scan_id
            WHERE s.scanner = m.scanner AND s.repo_url = m.repo_url
                AND (r.finding_id IS NULL OR r.finding_id = m.finding_id))
        """,
        {"keys": list(finding_keys), "wave": wave_number},
    )
    return set(found)


def withdraw_closed(tx: Transaction) -> None:
    """Cancel the pending attempts of findings that are closed; nothing was sent for them, so they count for no gate."""
    waiting = pending(tx)
    for wave_number in {attempt.wave_number for attempt in waiting}:
        of_wave = [attempt for attempt in waiting if attempt.wave_number == wave_number]
        closed = closed_findings(tx, wave_number, [attempt.finding_key for attempt in of_wave])
        for attempt in of_wave:
            if attempt.finding_key in closed:
                end_attempt(tx, attempt, Outcome.CANCELLED, CLOSED)
