"""Ingesting a scan into the ledger: what it replaces, and what it leaves alone."""

from pathlib import Path
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.ledger.ledger import Ledger
from tests.support.samples import ingest_file, row, rows, write


def query(ledger: Ledger, sql: str) -> list[tuple[Any, ...]]:
    with ledger.transaction() as tx:
        return tx.execute(sql).fetchall()


def test_every_row_is_accepted_or_rejected(ledger: Ledger, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [*rows(3), row(4, severity="odd"), row(5, title="")])
    ingest_file(ledger, source)
    assert query(ledger, "SELECT scan_id, source, rows_in, accepted, rejected FROM scans") == [
        (1, str(source), 5, 3, 2)
    ]
    assert query(ledger, "SELECT finding_id, row_number FROM findings ORDER BY row_number") == [
        ("F-1", 1),
        ("F-2", 2),
        ("F-3", 3),
    ]
    assert query(ledger, "SELECT line_number, finding_id, reason FROM rejected_findings ORDER BY line_number") == [
        (5, "F-4", "unknown severity"),
        (6, "F-5", "missing required field title"),
    ]


def test_a_rejected_row_is_kept_as_it_came(ledger: Ledger, tmp_path: Path) -> None:
    ingest_file(ledger, write(tmp_path / "a.csv", [row(1), row(2, severity="odd", title='Say "no"')]))
    [(severity, title)] = query(ledger, "SELECT raw->>'severity', raw->>'title' FROM rejected_findings")
    assert (severity, title) == ("odd", 'Say "no"')


@pytest.mark.parametrize(("bad", "good", "limit"), [(2, 1, 0.5), (1, 0, 0.99), (1, 3, 0.2), (1, 9, 0.0)])
def test_a_file_with_too_many_bad_rows_is_refused_and_nothing_is_written(
    ledger: Ledger, tmp_path: Path, bad: int, good: int, limit: float
) -> None:
    ingest_file(ledger, write(tmp_path / "a.csv", rows(2)))
    mixed = [*rows(good), *(row(100 + number, severity="odd") for number in range(bad))]
    with pytest.raises(FindingsFileError) as caught:
        ingest_file(ledger, write(tmp_path / "b.csv", mixed), max_rejected_share=limit)
    assert f"{bad} of {bad + good} rows cannot be used (unknown severity: {bad})" in str(caught.value)
    assert "MAX_REJECTED_SHARE" in str(caught.value)
    assert query(ledger, "SELECT count(*) FROM findings") == [(2,)]
    assert query(ledger, "SELECT count(*) FROM scans") == [(1,)]
    assert query(ledger, "SELECT count(*) FROM rejected_findings") == [(0,)]


@pytest.mark.parametrize(("bad", "good", "limit"), [(1, 1, 0.5), (1, 0, 1.0), (0, 3, 0.0)])
def test_a_file_with_bad_rows_up_to_the_limit_is_read(
    ledger: Ledger, tmp_path: Path, bad: int, good: int, limit: float
) -> None:
    mixed = [*rows(good), *(row(100 + number, severity="odd") for number in range(bad))]
    scan = ingest_file(ledger, write(tmp_path / "b.csv", mixed), max_rejected_share=limit)
    assert (scan.accepted, scan.rejected) == (good, bad)


def test_a_new_file_replaces_the_findings_of_its_own_sources_only(ledger: Ledger, tmp_path: Path) -> None:
    elsewhere = "https://git.example.com/acme/other"
    ingest_file(
        ledger,
        write(
            tmp_path / "a.csv",
            [row(1), row(2), row(3, scanner="CodeQL"), row(4, repo_url=elsewhere)],
        ),
    )
    ingest_file(ledger, write(tmp_path / "b.csv", [row(2), row(9)]))
    assert query(ledger, "SELECT finding_id, scan_id FROM findings ORDER BY ALL") == [
        ("F-2", 2),
        ("F-3", 1),
        ("F-4", 1),
        ("F-9", 2),
    ]


def test_the_same_file_twice_changes_no_finding(ledger: Ledger, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [*rows(5), row(6, severity="odd")])
    ingest_file(ledger, source)
    current = "SELECT * EXCLUDE (scan_id) FROM findings ORDER BY row_number"
    before = query(ledger, current)
    ingest_file(ledger, source)
    assert query(ledger, current) == before
    assert query(ledger, "SELECT scan_id FROM rejected_findings") == [(2,)]
    assert query(ledger, "SELECT count(*), count(DISTINCT content_hash) FROM scans") == [(2, 1)]


def test_rejected_rows_of_another_file_stay(ledger: Ledger, tmp_path: Path) -> None:
    ingest_file(ledger, write(tmp_path / "a.csv", [row(1), row(2, severity="odd")]))
    ingest_file(ledger, write(tmp_path / "b.csv", [row(3), row(4, severity="odd")]))
    assert query(ledger, "SELECT finding_id FROM rejected_findings ORDER BY ALL") == [("F-2",), ("F-4",)]
