"""Merging rows that are one finding, and ranking what is kept: set-based SQL on the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

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


def normalize(tx: DuckDBPyConnection) -> Merged:
    """Keep one row of each key: the highest severity, between equals the earliest. Order is kept.

    The order is that of the file, and of when a source was first read: reading it again moves nothing.
    """
    ranks = " ".join(f"WHEN '{severity}' THEN {rank}" for rank, severity in enumerate(Severity))
    tx.execute("DELETE FROM kept_findings")
    tx.execute(
        f"""
        INSERT INTO kept_findings
        WITH standing AS (
            SELECT finding_key,
                arg_min(
                    (s.first_scan_id, f.row_number, f.scan_id),
                    (CASE severity {ranks} END, s.first_scan_id, f.row_number)) AS place
            FROM findings f
            JOIN sources s ON s.scanner = f.scanner AND s.repo_url = f.repo_url
            GROUP BY finding_key)
        SELECT finding_key, place[3], place[2], row_number() OVER (ORDER BY place)
        FROM standing
        ORDER BY place
        """
    )
    tx.execute(
        """
        DELETE FROM finding_rows
        WHERE (scan_id, row_number) IN (
            SELECT scan_id, row_number FROM finding_rows ANTI JOIN sources USING (scanner, repo_url, scan_id))
        """
    )
    counts = tx.execute("SELECT (SELECT count(*) FROM findings), (SELECT count(*) FROM kept_findings)").fetchone()
    return Merged(*(counts or (0, 0)))


def prioritize(tx: DuckDBPyConnection, service_weights: Mapping[str, float]) -> int:
    """Score every kept finding and rank them, best first; equal scores keep file order. Return the count.

    Score = severity weight + category weight + service weight; `default` weighs all other services.
    """
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
    row = tx.execute("SELECT count(*) FROM finding_scores").fetchone()
    return row[0] if row else 0


def _case(column: str, weights: Mapping[Severity, int] | Mapping[FindingCategory, int]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN '{word}' THEN {points}" for word, points in weights.items()) + " END"
