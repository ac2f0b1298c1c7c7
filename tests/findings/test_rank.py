"""Merging rows that are one finding, and ranking what is kept."""

from pathlib import Path
from typing import Any

import pytest

from remediation_assets.findings.rank import (
    CATEGORY_WEIGHTS,
    SEVERITY_WEIGHTS,
    MergeCounts,
    normalize,
    prioritize,
)
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import FindingCategory, Severity
from remediation_assets.settings import Settings
from tests.support.samples import ingest_file, row, rows, write

SAMPLE = Path(__file__).parents[2] / "sample_data" / "findings.csv"
WEIGHTS = {"payment-service": 20.0, "user-service": 15.0, "catalog-service": 10.0, "default": 10.0}


def kept(ledger: Ledger, tmp_path: Path, fields: list[dict[str, str]]) -> tuple[MergeCounts, list[str]]:
    ingest_file(ledger, write(tmp_path / "findings.csv", fields))
    with ledger.transaction() as tx:
        counts = normalize(tx)
        ids = tx.execute("SELECT finding_id FROM normalized_findings ORDER BY position").fetchall()
    return counts, [one for (one,) in ids]


def ranked(
    ledger: Ledger, tmp_path: Path, fields: list[dict[str, str]], weights: dict[str, float] = WEIGHTS
) -> list[tuple[Any, ...]]:
    kept(ledger, tmp_path, fields)
    with ledger.transaction() as tx:
        assert prioritize(tx, weights) == len(fields)
        return tx.execute(
            "SELECT finding_id, priority_score FROM prioritized_findings ORDER BY priority_rank"
        ).fetchall()


@pytest.mark.parametrize(
    ("severities", "kept_number"),
    [
        (["low", "critical"], 2),
        (["critical", "low"], 1),
        (["medium", "high", "medium"], 2),
        (["high", "high"], 1),
        (["low", "high", "critical", "critical"], 3),
    ],
)
def test_of_rows_with_one_key_the_most_severe_is_kept_or_else_the_earliest(
    ledger: Ledger, tmp_path: Path, severities: list[str], kept_number: int
) -> None:
    same = [row(number, severity=word, line_number="1") for number, word in enumerate(severities, start=1)]
    counts, ids = kept(ledger, tmp_path, same)
    assert ids == [f"F-{kept_number}"]
    assert (counts.accepted, counts.kept, counts.merged) == (len(same), 1, len(same) - 1)


def test_order_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    fields = [row(5), row(2), row(4, line_number="5"), row(3), row(1, line_number="2")]
    assert kept(ledger, tmp_path, fields)[1] == ["F-5", "F-2", "F-3"]


def test_a_merged_row_points_to_the_one_that_was_kept(ledger: Ledger, tmp_path: Path) -> None:
    kept(ledger, tmp_path, [row(1), row(2, line_number="1", severity="critical"), row(3)])
    with ledger.transaction() as tx:
        merged = tx.execute("SELECT finding_id, kept_row_number FROM duplicate_findings").fetchall()
    assert merged == [("F-1", 2)]


def test_normalizing_twice_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    first = kept(ledger, tmp_path, rows(3))
    with ledger.transaction() as tx:
        assert normalize(tx) == first[0]


def test_a_score_is_the_sum_of_its_weights(ledger: Ledger, tmp_path: Path) -> None:
    table = [
        ("critical", "sql_injection", "payment-service", 85),
        ("critical", "hardcoded_secret", "user-service", 80),
        ("high", "dependency_vulnerability", "payment-service", 70),
        ("high", "xss", "Payment-Service", 60),
        ("medium", "pii_logging", "another-service", 40),
        ("low", "access_logging", "catalog-service", 25),
        ("low", "other", "default", 25),
    ]
    fields = [
        row(number, severity=severity, category=category, service_name=service)
        for number, (severity, category, service, _) in enumerate(table, start=1)
    ]
    assert [score for _, score in ranked(ledger, tmp_path, fields)] == [score for *_, score in table]


def test_the_default_weights_are_the_settings(settings: Settings) -> None:
    assert settings.service_weights == WEIGHTS


def test_every_severity_and_category_has_a_weight() -> None:
    assert set(SEVERITY_WEIGHTS) == set(Severity)
    assert set(CATEGORY_WEIGHTS) == set(FindingCategory)
    assert list(SEVERITY_WEIGHTS.values()) == [40, 30, 15, 5]


def test_the_best_score_comes_first_and_equal_scores_keep_file_order(ledger: Ledger, tmp_path: Path) -> None:
    fields = [row(3), row(1, severity="low"), row(2), row(9, severity="critical"), row(4)]
    assert [one for one, _ in ranked(ledger, tmp_path, fields)] == ["F-9", "F-3", "F-2", "F-4", "F-1"]


def test_services_weigh_what_the_settings_say(ledger: Ledger, tmp_path: Path) -> None:
    fields = [row(1), row(2, service_name='it\'s "odd"'), row(3, service_name="other")]
    weights = {'it\'s "odd"': 50.0, "shop": 7.5, "default": 0.0}
    assert ranked(ledger, tmp_path, fields, weights) == [("F-2", 100.0), ("F-1", 57.5), ("F-3", 50.0)]


def test_without_findings_nothing_is_merged_or_ranked(ledger: Ledger, tmp_path: Path) -> None:
    source = tmp_path / "findings.csv"
    source.write_text(",".join(row(1)) + "\n")
    ingest_file(ledger, source)
    with ledger.transaction() as tx:
        assert normalize(tx) == MergeCounts(accepted=0, kept=0)
        assert prioritize(tx, WEIGHTS) == 0


def test_the_sample_has_the_rows_it_promises(ledger: Ledger) -> None:
    scan = ingest_file(ledger, SAMPLE)
    assert (scan.rows_in, scan.accepted, scan.rejected, scan.ignored_columns) == (20, 20, 0, ())
    with ledger.transaction() as tx:
        counts = normalize(tx)
        prioritize(tx, WEIGHTS)
        severities = dict(tx.execute("SELECT severity, count(*) FROM prioritized_findings GROUP BY ALL").fetchall())
        services = {one for (one,) in tx.execute("SELECT DISTINCT service_name FROM prioritized_findings").fetchall()}
        best = tx.execute(
            "SELECT severity, category, priority_score FROM prioritized_findings WHERE priority_rank = 1"
        ).fetchone()
        shared = tx.execute(
            """
            SELECT max(n) FROM (
                SELECT count(*) AS n FROM prioritized_findings
                WHERE category = 'dependency_vulnerability' GROUP BY repo_url, file_path)
            """
        ).fetchone()
    assert (counts.kept, counts.merged) == (20, 0)
    assert severities == {"critical": 4, "high": 6, "medium": 6, "low": 4}
    assert services == {"payment-service", "user-service", "catalog-service"}
    assert best == ("critical", "sql_injection", 85.0)
    assert shared is not None
    assert shared[0] > 1
