"""Staged scans into the ledger: together they replace the current findings of their own sources, no others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from remediation_assets.ledger.schema import FINDING_COLUMNS

from .errors import FindingsFileError
from .reading import MEMORY_LIMIT, StagedScan


@dataclass(frozen=True)
class Ingested:
    """What became of the files that were read together.

    Rows in = accepted + set aside. The findings of their sources are new, unchanged or gone against
    what was known of these sources before.
    """

    scan_ids: tuple[int, ...]
    new: int
    unchanged: int
    gone: int


def current_scan(tx: DuckDBPyConnection, source: str, content_hash: str, rules: str) -> int | None:
    """Give the scan that has read this content from this path by these rules, if all that it found still stands."""
    row = tx.execute(
        """
        SELECT scan_id FROM scans c
        WHERE source = ? AND content_hash = ? AND rules = ?
            AND accepted = (
                SELECT count(*) FROM finding_rows f SEMI JOIN sources s USING (scanner, repo_url, scan_id)
                WHERE f.scan_id = c.scan_id)
            AND set_aside = (SELECT count(*) FROM rejected_findings r WHERE r.scan_id = c.scan_id)
        ORDER BY scan_id DESC LIMIT 1
        """,
        [source, content_hash, rules],
    ).fetchone()
    return int(row[0]) if row else None


def attached(scans: Sequence[StagedScan]) -> dict[str, Path]:
    """Give the names under which `ingest` wants the staging databases attached."""
    return {_name(number): scan.path for number, scan in enumerate(scans)}


def ingest(
    tx: DuckDBPyConnection,
    scans: Sequence[StagedScan],
    *,
    standing: Sequence[int] = (),
    max_rejected_share: float,
    now: datetime,
) -> Ingested:
    """Bring scans that are `attached` into the ledger, beside those `standing` that were read together with them.

    A source is a scanner and a repository. What other files brought for the same sources is replaced, and
    so is all that the same paths brought before. Raises FindingsFileError, writing nothing, where more than
    `max_rejected_share` of the rows of a file had to be set aside.
    """
    for number, scan in enumerate(scans):
        _check_share(tx, _name(number), scan, max_rejected_share)
    [(newest,)] = tx.execute("SELECT coalesce(max(scan_id), 0) FROM scans").fetchall()
    ids = {newest + 1 + number: _name(number) for number in range(len(scans))}
    paths = dict(zip(ids, (scan.source for scan in scans), strict=True))
    _note_sources(tx, ids, paths)
    _note_replaced(tx, list(paths.values()), standing)
    counts = _count(tx, ids, standing)
    tx.execute("DELETE FROM sources WHERE (scanner, repo_url, scan_id) IN (FROM replaced_sources)")
    tx.execute("INSERT INTO sources SELECT scanner, repo_url, scan_id, first_scan_id FROM read_sources")
    tx.execute("UPDATE scans SET last_read_at = ? WHERE list_contains(?, scan_id)", [now, list(standing)])
    if not scans and not counts.gone:
        return counts
    # Each row has its number, so the order in which they are written is free, and all cores may write. What is
    # copied need not stay in memory.
    tx.execute("SET preserve_insertion_order = false")
    tx.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    columns = ", ".join(FINDING_COLUMNS)
    for (scan_id, name), scan in zip(ids.items(), scans, strict=True):
        tx.execute(
            """
            INSERT INTO scans (scan_id, source, content_hash, rules, ingested_at, last_read_at, rows_in, accepted,
                set_aside, new_findings, unchanged_findings, gone_findings, format, left_out)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                *(scan_id, scan.source, scan.content_hash, scan.rules, now, now, scan.rows_in, scan.accepted),
                *(scan.rejected, counts.new, counts.unchanged, counts.gone),
                *(scan.format, json.dumps(dict(scan.skipped))),
            ],
        )
        tx.execute(
            f"""
            INSERT INTO finding_rows (scan_id, row_number, finding_key, {columns})
            SELECT ?, row_number, finding_key, {columns} FROM {name}.accepted
            """,
            [scan_id],
        )
        tx.execute("DELETE FROM rejected_findings WHERE source = ?", [scan.source])
        tx.execute(
            f"""
            INSERT INTO rejected_findings
            SELECT ?, ?, line_number, finding_id, reason, raw FROM {name}.rejected ORDER BY line_number
            """,
            [scan_id, scan.source],
        )
    tx.execute("UPDATE state SET findings_version = findings_version + 1")
    return counts


def _name(number: int) -> str:
    return f"staging_{number}"


def _check_share(tx: DuckDBPyConnection, name: str, scan: StagedScan, max_rejected_share: float) -> None:
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


def _note_sources(tx: DuckDBPyConnection, ids: Mapping[int, str], paths: Mapping[int, str]) -> None:
    """Note which sources the scans have read, and since when they are known: that keeps their place in the order."""
    tx.execute(
        "CREATE OR REPLACE TEMP TABLE read_sources "
        "(scanner VARCHAR, repo_url VARCHAR, scan_id INTEGER, first_scan_id INTEGER)"
    )
    for scan_id, name in ids.items():
        tx.execute(
            f"""
            INSERT INTO read_sources
            SELECT a.scanner, a.repo_url, $scan, coalesce(
                -- In this file before, or else in whichever.
                min(s.first_scan_id) FILTER (c.source = $path), min(s.first_scan_id), $scan)
            FROM (SELECT DISTINCT scanner, repo_url FROM {name}.accepted) a
            LEFT JOIN sources s ON s.scanner = a.scanner AND s.repo_url = a.repo_url
            LEFT JOIN scans c ON c.scan_id = s.scan_id
            GROUP BY a.scanner, a.repo_url
            """,
            {"scan": scan_id, "path": paths[scan_id]},
        )


def _note_replaced(tx: DuckDBPyConnection, paths: Sequence[str], standing: Sequence[int]) -> None:
    """Note what stands no longer: other scans of the sources that were read, and earlier ones of the same paths."""
    tx.execute(
        """
        CREATE OR REPLACE TEMP TABLE replaced_sources AS
        SELECT s.scanner, s.repo_url, s.scan_id FROM sources s JOIN scans c USING (scan_id)
        WHERE NOT list_contains($standing, s.scan_id) AND (
            list_contains($paths, c.source)
            OR (s.scanner, s.repo_url) IN (SELECT (scanner, repo_url) FROM read_sources)
            OR (s.scanner, s.repo_url) IN (
                SELECT (o.scanner, o.repo_url) FROM sources o WHERE list_contains($standing, o.scan_id)))
        """,
        {"standing": list(standing), "paths": list(paths)},
    )


def _count(tx: DuckDBPyConnection, ids: Mapping[int, str], standing: Sequence[int]) -> Ingested:
    """Compare the findings that stand from now on, of what was read, with those that stood before."""
    if not ids and tx.execute("SELECT 1 FROM replaced_sources LIMIT 1").fetchone() is None:
        [(unchanged,)] = tx.execute(
            "SELECT count(DISTINCT finding_key) FROM finding_rows WHERE list_contains(?, scan_id)", [list(standing)]
        ).fetchall()
        return Ingested((), 0, unchanged, 0)
    read = " UNION ALL ".join(
        [
            "SELECT finding_key FROM finding_rows SEMI JOIN sources USING (scanner, repo_url, scan_id) "
            "WHERE list_contains($standing, scan_id)",
            *(f"SELECT finding_key FROM {name}.accepted" for name in ids.values()),
        ]
    )
    [(new, unchanged, gone)] = tx.execute(
        f"""
        WITH had AS (
            SELECT DISTINCT finding_key FROM findings
            WHERE list_contains($standing, scan_id)
                OR (scanner, repo_url, scan_id) IN (SELECT (scanner, repo_url, scan_id) FROM replaced_sources)),
        have AS (SELECT DISTINCT finding_key FROM ({read}))
        SELECT count(*) FILTER (had.finding_key IS NULL),
            count(*) FILTER (had.finding_key IS NOT NULL AND have.finding_key IS NOT NULL),
            count(*) FILTER (have.finding_key IS NULL)
        FROM have FULL JOIN had ON had.finding_key = have.finding_key
        """,
        {"standing": list(standing)},
    ).fetchall()
    return Ingested(tuple(ids), new, unchanged, gone)
