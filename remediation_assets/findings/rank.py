"""Merge rows that are one finding, and rank what is kept: set-based SQL on the ledger.

What makes two rows one finding is in `identity`; how findings are cut into waves is in `planning`.
"""

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
class MergeCounts:
    """How many rows there were and how many were kept."""

    accepted: int
    kept: int

    @property
    def merged(self) -> int:
        """How many rows were merged into another one."""
        return self.accepted - self.kept


def normalize(tx: Transaction) -> MergeCounts:
    """Keep one row of each finding key: the one with the highest severity, the earliest among equals.

    The order of rows is kept: by when their source was first read, then as in the file. Reading a source again moves
    nothing.
    """
    if not tx.scalar("SELECT merged_version IS NOT DISTINCT FROM findings_version FROM state"):
        _merge(tx)
    return MergeCounts(
        accepted=tx.scalar("SELECT count(*) FROM findings"), kept=tx.scalar("SELECT count(*) FROM kept_findings")
    )


def _merge(tx: Transaction) -> None:
    ranks = " ".join(f"WHEN '{severity}' THEN {rank}" for rank, severity in enumerate(Severity))
    tx.execute("DELETE FROM kept_findings")
    tx.execute(
        f"""
        INSERT INTO kept_findings (finding_key, scan_id, row_number, position)
        WITH placed AS (
            -- The place of a row as one number, because those are compared and sorted fastest: room for 2 ** 20 scans
            -- of 2 ** 40 rows.
            SELECT f.finding_key, f.scan_id, f.severity, (s.first_scan_id::BIGINT << 40) + f.row_number AS place
            FROM finding_rows f
            JOIN sources s ON s.scanner = f.scanner AND s.repo_url = f.repo_url AND s.scan_id = f.scan_id),
        kept AS (
            -- The severity goes above the place, so that one minimum finds the row to keep.
            SELECT finding_key, arg_min(scan_id, rank) AS scan_id, min(rank) & ((1::BIGINT << 60) - 1) AS place
            FROM (SELECT *, (CASE severity {ranks} END::BIGINT << 60) + place AS rank FROM placed)
            GROUP BY finding_key)
        SELECT finding_key, scan_id, place & ((1::BIGINT << 40) - 1), row_number() OVER (ORDER BY place)
        FROM kept
        """
    )
    # Rows of replaced scans go only now: until here `kept_findings` pointed to some of them.
    tx.execute(
        """
        DELETE FROM finding_rows
        WHERE (scan_id, row_number) IN (
            SELECT scan_id, row_number FROM finding_rows ANTI JOIN sources USING (scanner, repo_url, scan_id))
        """
    )
    tx.execute("UPDATE state SET merged_version = findings_version")


def prioritize(tx: Transaction, service_weights: Mapping[str, float]) -> int:
    """Score every kept finding, rank them with the highest score first, and return their count.

    Score = severity weight + category weight + service weight; `default` is the weight of all other services. Equal
    scores keep the order of the rows.
    """
    # Ranking again is skipped while neither the findings nor the weights have changed.
    weights = json.dumps([SEVERITY_WEIGHTS, CATEGORY_WEIGHTS, dict(service_weights)], sort_keys=True)
    [state] = tx.records("SELECT ranked_as, merged_version FROM state")
    current = f"{state['merged_version']} {weights}"
    if state["ranked_as"] != current:
        _rank(tx, service_weights)
        tx.execute("UPDATE state SET ranked_as = ?", [current])
    return int(tx.scalar("SELECT count(*) FROM finding_scores"))


def _rank(tx: Transaction, service_weights: Mapping[str, float]) -> None:
    tx.execute("DELETE FROM finding_scores")
    tx.execute(
        f"""
        INSERT INTO finding_scores (finding_key, priority_score, priority_rank)
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
