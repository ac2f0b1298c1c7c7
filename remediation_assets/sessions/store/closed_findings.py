"""Find the findings of a wave that the last scans no longer report."""

from collections.abc import Sequence

from remediation_assets.ledger.transaction import Reader


def closed_findings(tx: Reader, wave_number: int, finding_keys: Sequence[str]) -> set[str]:
    """Return which of the given findings of a wave are closed: the last scans no longer report them.

    After files are read and before their rows are merged, no finding counts as closed. Nor does a finding whose row
    may have been rejected: a rejected row has the finding's id, or an id that could not be read.
    """
    found = tx.column(
        """
        WITH asked AS (SELECT unnest($keys) AS finding_key),
        missing AS (
            SELECT p.finding_key, p.finding_id, p.scanner, p.repo_url
            FROM wave_plan p SEMI JOIN asked USING (finding_key)
            -- Between reading and merging, `kept_findings` is of the scans before.
            WHERE p.wave_number = $wave AND (SELECT merged_version = findings_version FROM state)
                AND p.finding_key NOT IN (SELECT finding_key FROM kept_findings SEMI JOIN asked USING (finding_key)))
        SELECT finding_key FROM missing m
        WHERE NOT EXISTS (
            -- A row that could not be read is no proof that the finding is gone.
            FROM sources s JOIN rejected_findings r ON r.scan_id = s.scan_id
            WHERE s.scanner = m.scanner AND s.repo_url = m.repo_url
                AND (r.finding_id IS NULL OR r.finding_id = m.finding_id))
        """,
        {"keys": list(finding_keys), "wave": wave_number},
    )
    return set(found)
