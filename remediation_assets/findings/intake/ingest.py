"""Ingest staged scans into the ledger: together they replace the current findings of their own sources, no others.

A source is a scanner and a repository.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.ledger.transaction import Transaction

from .stage import MEMORY_LIMIT, StagedScan


@dataclass(frozen=True)
class IngestResult:
    """The new scans, and how the findings of the sources that were read have changed.

    A finding is new, unchanged, or closed: no longer reported.
    """

    scan_ids: tuple[int, ...]
    new: int
    unchanged: int
    closed: int


def unchanged_scan(tx: Transaction, source: str, content_hash: str, rules: str) -> int | None:
    """Return the scan that read this content from this path by these rules; None if there is none.

    A scan only counts if everything that it found is still current, including its rejected rows.
    """
    newest = tx.column(
        """
        SELECT scan_id FROM scans c
        WHERE source = ? AND content_hash = ? AND rules = ?
            AND accepted = (
                SELECT count(*) FROM finding_rows f SEMI JOIN sources s USING (scanner, repo_url, scan_id)
                WHERE f.scan_id = c.scan_id)
            AND rejected = (SELECT count(*) FROM rejected_findings r WHERE r.scan_id = c.scan_id)
        ORDER BY scan_id DESC LIMIT 1
        """,
        [source, content_hash, rules],
    )
    return newest[0] if newest else None


def staging_databases(scans: Sequence[StagedScan]) -> dict[str, Path]:
    """Return the staging databases by the names under which `ingest` expects them to be attached."""
    return {_name(number): scan.path for number, scan in enumerate(scans)}


def ingest(
    tx: Transaction,
    scans: Sequence[StagedScan],
    *,
    unchanged: Sequence[int] = (),
    max_rejected_share: float,
    now: datetime,
) -> IngestResult:
    """Bring scans into the ledger; their `staging_databases` must be attached.

    `unchanged` are the earlier scans of the files in the same request that have not changed. Findings that other files
    brought for the same sources are replaced, and so are all that the same paths brought before.
    Raise FindingsFileError, writing nothing, if more than `max_rejected_share` of the rows of a file were rejected.
    """
    # Every file is checked before the first write: a refusal then leaves all of them as they were.
    for number, scan in enumerate(scans):
        _check_rejected_share(tx, _name(number), scan, max_rejected_share)
    newest = tx.scalar("SELECT coalesce(max(scan_id), 0) FROM scans")
    names = {newest + 1 + number: _name(number) for number in range(len(scans))}
    paths = dict(zip(names, (scan.source for scan in scans), strict=True))
    # Counting compares the new rows with the current ones, so it comes before the sources are replaced.
    _find_read_sources(tx, names, paths)
    _find_replaced_sources(tx, list(paths.values()), unchanged)
    counts = _count_changes(tx, names, unchanged)
    _replace_sources(tx)
    tx.execute("UPDATE scans SET last_read_at = ? WHERE list_contains(?, scan_id)", [now, list(unchanged)])
    if not scans and not counts.closed:
        return counts
    # Each row has its number, so they may be written in any order, by all cores. Rows that are copied need not stay
    # in memory.
    tx.execute("SET preserve_insertion_order = false")
    tx.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    for (scan_id, name), scan in zip(names.items(), scans, strict=True):
        _write_scan(tx, scan_id, scan, counts, now)
        _copy_rows(tx, scan_id, scan, name)
    tx.execute("UPDATE state SET findings_version = findings_version + 1")
    return counts


def _name(number: int) -> str:
    return f"staging_{number}"


def _check_rejected_share(tx: Transaction, name: str, scan: StagedScan, max_rejected_share: float) -> None:
    if not scan.rows_in or scan.rejected / scan.rows_in <= max_rejected_share:
        return
    reasons = tx.execute(
        f"SELECT reason, count(*) FROM {name}.rejected GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 3"
    ).fetchall()
    shown = ", ".join(f"{reason}: {count}" for reason, count in reasons)
    raise FindingsFileError(
        f"{scan.source}: {scan.rejected} of {scan.rows_in} rows cannot be used ({shown}); "
        "correct the file, or raise MAX_REJECTED_SHARE."
    )


def _find_read_sources(tx: Transaction, names: Mapping[int, str], paths: Mapping[int, str]) -> None:
    """Find the sources in the scans, each with the scan in which it was first seen.

    Findings are ordered by that first scan, so reading a source again does not move its findings.
    """
    tx.execute(
        "CREATE OR REPLACE TEMP TABLE read_sources "
        "(scanner VARCHAR, repo_url VARCHAR, scan_id INTEGER, first_scan_id INTEGER)"
    )
    for scan_id, name in names.items():
        tx.execute(
            f"""
            INSERT INTO read_sources (scanner, repo_url, scan_id, first_scan_id)
            SELECT a.scanner, a.repo_url, $scan, coalesce(
                -- First in this file, or else in any.
                min(s.first_scan_id) FILTER (c.source = $path), min(s.first_scan_id), $scan)
            FROM (SELECT DISTINCT scanner, repo_url FROM {name}.accepted) a
            LEFT JOIN sources s ON s.scanner = a.scanner AND s.repo_url = a.repo_url
            LEFT JOIN scans c ON c.scan_id = s.scan_id
            GROUP BY a.scanner, a.repo_url
            """,
            {"scan": scan_id, "path": paths[scan_id]},
        )


def _find_replaced_sources(tx: Transaction, paths: Sequence[str], unchanged: Sequence[int]) -> None:
    """Find what is replaced: other scans of the sources that were read, and earlier scans of the same paths."""
    tx.execute(
        """
        CREATE OR REPLACE TEMP TABLE replaced_sources AS
        SELECT s.scanner, s.repo_url, s.scan_id FROM sources s JOIN scans c USING (scan_id)
        WHERE NOT list_contains($unchanged, s.scan_id) AND (
            list_contains($paths, c.source)
            OR (s.scanner, s.repo_url) IN (SELECT (scanner, repo_url) FROM read_sources)
            OR (s.scanner, s.repo_url) IN (
                SELECT (o.scanner, o.repo_url) FROM sources o WHERE list_contains($unchanged, o.scan_id)))
        """,
        {"unchanged": list(unchanged), "paths": list(paths)},
    )


def _replace_sources(tx: Transaction) -> None:
    tx.execute("DELETE FROM sources WHERE (scanner, repo_url, scan_id) IN (FROM replaced_sources)")
    tx.execute(
        """
        INSERT INTO sources (scanner, repo_url, scan_id, first_scan_id)
        SELECT scanner, repo_url, scan_id, first_scan_id FROM read_sources
        """
    )


def _count_changes(tx: Transaction, names: Mapping[int, str], unchanged: Sequence[int]) -> IngestResult:
    """Compare the current findings of the sources that were read with the findings that will be current."""
    if not names and tx.execute("SELECT 1 FROM replaced_sources LIMIT 1").fetchone() is None:
        count = tx.scalar(
            "SELECT count(DISTINCT finding_key) FROM finding_rows WHERE list_contains(?, scan_id)", [list(unchanged)]
        )
        return IngestResult((), new=0, unchanged=count, closed=0)
    read = " UNION ALL ".join(
        [
            "SELECT finding_key FROM finding_rows SEMI JOIN sources USING (scanner, repo_url, scan_id) "
            "WHERE list_contains($unchanged, scan_id)",
            *(f"SELECT finding_key FROM {name}.accepted" for name in names.values()),
        ]
    )
    [counts] = tx.records(
        f"""
        WITH before AS (
            SELECT DISTINCT finding_key FROM findings
            WHERE list_contains($unchanged, scan_id)
                OR (scanner, repo_url, scan_id) IN (SELECT (scanner, repo_url, scan_id) FROM replaced_sources)),
        after AS (SELECT DISTINCT finding_key FROM ({read}))
        SELECT count(*) FILTER (before.finding_key IS NULL) AS new,
            count(*) FILTER (before.finding_key IS NOT NULL AND after.finding_key IS NOT NULL) AS unchanged,
            count(*) FILTER (after.finding_key IS NULL) AS closed
        FROM after FULL JOIN before ON before.finding_key = after.finding_key
        """,
        {"unchanged": list(unchanged)},
    )
    return IngestResult(tuple(names), **counts)


def _write_scan(tx: Transaction, scan_id: int, scan: StagedScan, counts: IngestResult, now: datetime) -> None:
    values = {
        "scan_id": scan_id,
        "source": scan.source,
        "content_hash": scan.content_hash,
        "rules": scan.rules,
        "ingested_at": now,
        "last_read_at": now,
        "rows_in": scan.rows_in,
        "accepted": scan.accepted,
        "rejected": scan.rejected,
        "new_findings": counts.new,
        "unchanged_findings": counts.unchanged,
        "closed_findings": counts.closed,
        "format": scan.format,
        "skipped": json.dumps(dict(scan.skipped)),
        "notes": json.dumps(list(scan.notes)),
        "encoding_guessed": scan.encoding_guessed,
    }
    tx.insert("scans", values)


def _copy_rows(tx: Transaction, scan_id: int, scan: StagedScan, name: str) -> None:
    columns = ", ".join(FINDING_COLUMNS)
    tx.execute(
        f"""
        INSERT INTO finding_rows (scan_id, row_number, finding_key, {columns})
        SELECT ?, row_number, finding_key, {columns} FROM {name}.accepted
        """,
        [scan_id],
    )
    # A path has the rejected rows of its last scan only.
    tx.execute("DELETE FROM rejected_findings WHERE source = ?", [scan.source])
    tx.execute(
        f"""
        INSERT INTO rejected_findings (scan_id, source, line_number, finding_id, reason, raw)
        SELECT ?, ?, line_number, finding_id, reason, raw FROM {name}.rejected ORDER BY line_number
        """,
        [scan_id, scan.source],
    )
