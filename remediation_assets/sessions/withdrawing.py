"""Withdrawing: what the last scans no longer have is not dispatched any more."""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome

from .attempts import load_attempts
from .ending import end_attempt
from .events import Timeline

GONE = "the last scan does not have it any more"


def gone(tx: DuckDBPyConnection, wave_number: int, finding_keys: Sequence[str]) -> set[str]:
    """Give those of some findings of a wave that the last scans do not have any more.

    Only where what was read last has been merged: in between nothing is known. A finding whose row may
    be among those that were set aside - one has its id, or none that could be read - is not gone.
    """
    rows = tx.execute(
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
    ).fetchall()
    return {key for (key,) in rows}


def withdraw_gone(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Cancel the pending attempts of findings that are gone; nothing was sent for them, and they count for no gate."""
    pending = load_attempts(tx, "a.claimed_at IS NULL AND a.outcome IS NULL")
    for wave_number in {attempt.wave_number for attempt in pending}:
        of_wave = [attempt for attempt in pending if attempt.wave_number == wave_number]
        missing = gone(tx, wave_number, [attempt.finding_key for attempt in of_wave])
        for attempt in of_wave:
            if attempt.finding_key in missing:
                end_attempt(tx, attempt, Outcome.CANCELLED, GONE, timeline)
