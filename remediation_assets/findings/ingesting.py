"""A staged scan into the ledger: it replaces the current findings of its own sources, no others."""

from datetime import datetime

from duckdb import DuckDBPyConnection

from remediation_assets.ledger.schema import FINDING_COLUMNS

from .errors import FindingsFileError
from .reading import StagedScan

STAGING = "staging"


def ingest(tx: DuckDBPyConnection, scan: StagedScan, *, max_rejected_share: float, now: datetime) -> int:
    """Bring the scan attached as `staging` into the ledger and return its scan id.

    A source is a scanner and a repository. Raises FindingsFileError, writing nothing, where more
    than `max_rejected_share` of the rows had to be set aside.
    """
    if scan.rows_in and scan.set_aside / scan.rows_in > max_rejected_share:
        reasons = tx.execute(
            f"SELECT reason, count(*) FROM {STAGING}.rejected GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 3"
        ).fetchall()
        shown = ", ".join(f"{reason}: {count}" for reason, count in reasons)
        raise FindingsFileError(
            f"{scan.source}: {scan.set_aside} of {scan.rows_in} rows cannot be used ({shown}); "
            "correct the file, or raise MAX_REJECTED_SHARE."
        )
    row = tx.execute("SELECT coalesce(max(scan_id), 0) + 1 FROM scans").fetchone()
    scan_id: int = row[0] if row else 1
    tx.execute(
        "INSERT INTO scans VALUES (?, ?, ?, ?, ?, ?, ?)",
        [scan_id, scan.source, scan.content_hash, now, scan.rows_in, scan.accepted, scan.set_aside],
    )
    tx.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE read_sources AS
        SELECT DISTINCT a.scanner, a.repo_url, $scan AS scan_id, coalesce(s.first_scan_id, $scan) AS first_scan_id
        FROM {STAGING}.accepted a
        LEFT JOIN sources s ON s.scanner = a.scanner AND s.repo_url = a.repo_url
        """,
        {"scan": scan_id},
    )
    tx.execute("DELETE FROM sources WHERE (scanner, repo_url) IN (SELECT (scanner, repo_url) FROM read_sources)")
    tx.execute("INSERT INTO sources FROM read_sources")
    columns = ", ".join(FINDING_COLUMNS)
    tx.execute(
        f"""
        INSERT INTO finding_rows (scan_id, row_number, finding_key, {columns})
        SELECT ?, row_number, finding_key, {columns} FROM {STAGING}.accepted ORDER BY row_number
        """,
        [scan_id],
    )
    tx.execute("DELETE FROM rejected_findings WHERE source = ?", [scan.source])
    tx.execute(
        f"""
        INSERT INTO rejected_findings
        SELECT ?, ?, line_number, finding_id, reason, raw FROM {STAGING}.rejected ORDER BY line_number
        """,
        [scan_id, scan.source],
    )
    tx.execute("UPDATE state SET current_source = ?", [scan.source])
    return scan_id
