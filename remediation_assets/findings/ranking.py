"""Merging rows that are one finding, and ranking what is kept: set-based SQL on the ledger."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from remediation_assets.ledger.transaction import Transaction
from remediation_assets.models import FindingCategory, Severity

SEVERITY_WEIGHTS = {Severity.CRITICAL: 40, Severity.HIGH: 30, Severity.MEDIUM: 15, Severity.LOW: 5}
CATEGORY_WEIGHTS = {
    FindingCategory.SQL_INJECTION: 25,
    FindingCategory.HARDCODED_SECRET: 25,
    FindingCategory.DEPENDENCY_VULNERABILITY: 20,
    FindingCategory.XSS: 20,
    FindingCategory.PATH_TRAVERSAL: 20,
    FindingCategory.PII_LOGGING: 15,
    FindingCategory.MISSING_ENCRYPTION: 15,
    FindingCategory.ACCESS_LOGGING: 10,
    FindingCategory.OTHER: 10,
}


@dataclass(frozen=True)
class Merged:
    """How many rows there were and what became of them: accepted = kept + merged."""

    accepted: int
    kept: int

    @property
    def merged(self) -> int:
        """Count the rows that another one stands for."""
        return self.accepted - self.kept


def normalize(tx: Transaction) -> Merged:
    """Keep one row of each key: the highest severity, between equals the earliest. Order is kept.

    The order is that of the file, and of when a source was first read: reading it again moves nothing.
    """
    [(is_current,)] = tx.execute("SELECT merged_version IS NOT DISTINCT FROM findings_version FROM state").fetchall()
    if not is_current:
        _merge(tx)
    [(accepted, kept)] = tx.execute(
        "SELECT (SELECT count(*) FROM findings), (SELECT count(*) FROM kept_findings)"
    ).fetchall()
    return Merged(accepted, kept)


def _merge(tx: Transaction) -> None:
    ranks = " ".join(f"WHEN '{severity}' THEN {rank}" for rank, severity in enumerate(Severity))
    tx.execute("DELETE FROM kept_findings")
    tx.execute(
        f"""
        INSERT INTO kept_findings
        WITH placed AS (
            -- Where a row stands, as one number, for those are compared and sorted fastest: up to 2 ** 20 scans of
            -- 2 ** 40 rows.
            SELECT f.finding_key, f.scan_id, f.severity, (s.first_scan_id::BIGINT << 40) + f.row_number AS place
            FROM finding_rows f
            JOIN sources s ON s.scanner = f.scanner AND s.repo_url = f.repo_url AND s.scan_id = f.scan_id),
        standing AS (
            SELECT finding_key, arg_min(scan_id, rank) AS scan_id, min(rank) & ((1::BIGINT << 60) - 1) AS place
            FROM (SELECT *, (CASE severity {ranks} END::BIGINT << 60) + place AS rank FROM placed)
            GROUP BY finding_key)
        SELECT finding_key, scan_id, place & ((1::BIGINT << 40) - 1), row_number() OVER (ORDER BY place)
        FROM standing
        """
    )
    tx.execute(
        """
        DELETE FROM finding_rows
        WHERE (scan_id, row_number) IN (
            SELECT scan_id, row_number FROM finding_rows ANTI JOIN sources USING (scanner, repo_url, scan_id))
        """
    )
    tx.execute("UPDATE state SET merged_version = findings_version")


def prioritize(tx: Transaction, service_weights: Mapping[str, float]) -> int:
    """Score every kept finding and rank them, best first; equal scores keep file order. Return the count.

    Score = severity weight + category weight + service weight; `default` weighs all other services.
    """
    weights = json.dumps([SEVERITY_WEIGHTS, CATEGORY_WEIGHTS, dict(service_weights)], sort_keys=True)
    [(ranked_as, version)] = tx.execute("SELECT ranked_as, merged_version FROM state").fetchall()
    now = f"{version} {weights}"
    if ranked_as != now:
        _rank(tx, service_weights)
        tx.execute("UPDATE state SET ranked_as = ?", [now])
    [(count,)] = tx.execute("SELECT count(*) FROM finding_scores").fetchall()
    return int(count)


def _rank(tx: Transaction, service_weights: Mapping[str, float]) -> None:
    tx.execute("DELETE FROM finding_scores")
    tx.execute(
        f"""
        INSERT INTO finding_scores
        WITH weights AS (SELECT unnest($services) AS service_name, unnest($points) AS points),
        scored AS (
            SELECT finding_key, position,
                {_case("severity", SEVERITY_WEIGHTS)} + {_case("category", CATEGORY_WEIGHTS)}
                + coalesce(w.points, $default) AS score
            FROM normalized_findings n LEFT JOIN weights w ON w.service_name = n.service_name)
        SELECT finding_key, score, row_number() OVER (ORDER BY score DESC, position)
        FROM scored
        """,
        {
            "services": list(service_weights),
            "points": [float(points) for points in service_weights.values()],
            "default": float(service_weights["default"]),
        },
    )


def _case(column: str, weights: Mapping[Severity, int] | Mapping[FindingCategory, int]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN '{word}' THEN {points}" for word, points in weights.items()) + " END"
