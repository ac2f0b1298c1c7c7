"""Scanning files and folders: read together, compared with what was known, and not read twice."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.intake.scan import ScanResult, last_request, scan_files
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.rank import normalize
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.ledger.ledger import Ledger
from tests.support.clock import NOON
from tests.support.samples import row, rows, write

Scan = Callable[..., ScanResult]


@pytest.fixture
def scan(ledger: Ledger) -> Scan:
    """Read files, then merge, as the pipeline does."""

    def read(*paths: Path, rules: Rules | None = None) -> ScanResult:
        scanned = scan_files(ledger, ScanRequest(paths), rules or Rules(True), max_rejected_share=0.5, now=NOON)
        with ledger.transaction() as tx:
            normalize(tx)
        return scanned

    return read


def query(ledger: Ledger, sql: str) -> list[tuple[Any, ...]]:
    with ledger.transaction() as tx:
        return tx.execute(sql).fetchall()


def ids(ledger: Ledger) -> list[str]:
    return [one for (one,) in query(ledger, "SELECT finding_id FROM normalized_findings ORDER BY position")]


def changes(scanned: ScanResult) -> tuple[int, int, int]:
    return scanned.changes.new, scanned.changes.unchanged, scanned.changes.closed


def test_the_same_content_again_is_recognised_and_changes_nothing(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [*rows(5), row(6, severity="odd")])
    assert changes(scan(source)) == (5, 0, 0)
    everything = "SELECT * FROM finding_rows ORDER BY ALL"
    before, scans = query(ledger, everything), query(ledger, "SELECT * FROM scans")
    again = scan(source)
    assert (again.new_scans, again.unchanged_scans, changes(again)) == ((), (1,), (0, 5, 0))
    assert query(ledger, everything) == before
    assert query(ledger, "SELECT * FROM scans") == scans
    # A copy under another name is another file, with the same findings.
    copied = write(tmp_path / "copy.csv", [*rows(5), row(6, severity="odd")])
    assert changes(scan(copied)) == (0, 5, 0)
    with ledger.transaction() as tx:
        assert last_request(tx) == ScanRequest((copied,))


def test_a_content_that_comes_back_is_read_again(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.csv", rows(3)), write(tmp_path / "b.csv", rows(2))
    scan(first)
    assert changes(scan(second)) == (0, 2, 1)
    assert changes(scan(first)) == (1, 2, 0)
    assert ids(ledger) == ["F-1", "F-2", "F-3"]


def test_what_changed_is_counted_for_the_sources_that_were_read(scan: Scan, tmp_path: Path) -> None:
    scan(write(tmp_path / "a.csv", [*rows(3), row(9, scanner="Trivy")]))
    assert changes(scan(write(tmp_path / "b.csv", [row(2), row(2, finding_id="again"), row(4)]))) == (1, 1, 2)


def test_other_rules_read_the_same_content_again(scan: Scan, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", [row(1), row(2, repo_url="https://git.corp.dev/acme/shop")])
    scan(source)
    again = scan(source, rules=Rules(True, ("git.corp.dev",)))
    assert [one.accepted for one in again.new_scans] == [1]
    # A finding that these rules do not allow is closed.
    assert changes(again) == (0, 1, 1)


def test_an_unchanged_file_alone_replaces_what_was_read_with_it(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row(1)])
    write(tmp_path / "b.csv", [row(2)])
    scan(tmp_path)
    (tmp_path / "b.csv").unlink()
    assert changes(scan(tmp_path)) == (0, 1, 1)
    assert ids(ledger) == ["F-1"]


def test_findings_of_a_repository_that_a_file_no_longer_names_are_closed(
    ledger: Ledger, scan: Scan, tmp_path: Path
) -> None:
    elsewhere = "https://git.example.com/acme/other"
    scan(write(tmp_path / "a.csv", [row(1), row(2, repo_url=elsewhere)]))
    assert changes(scan(write(tmp_path / "a.csv", [row(1)]))) == (0, 1, 1)
    assert ids(ledger) == ["F-1"]


def test_rejected_rows_are_those_of_the_current_scan(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    first = [row(1), row(2, severity="odd")]
    scan(write(tmp_path / "a.csv", first))
    scan(write(tmp_path / "a.csv", [row(3, scanner="Trivy")]))
    scan(write(tmp_path / "a.csv", first))
    [(rejected,)] = query(ledger, "SELECT rejected FROM scans ORDER BY scan_id DESC LIMIT 1")
    assert query(ledger, "SELECT count(*) FROM rejected_findings") == [(rejected,)] == [(1,)]


def test_two_files_of_one_content_are_two_scans_each_time(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, rows(2))
    scan(tmp_path)
    assert scan(tmp_path).unchanged_scans == (1, 2)
    write(tmp_path / "c.csv", [row(9)])
    scan(tmp_path)
    assert query(ledger, "SELECT count(*) FROM findings") == [(5,)]


def test_an_unchanged_file_still_updates_when_it_was_last_read(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", rows(2))
    scan(source)
    later = NOON + timedelta(hours=1)
    scan_files(ledger, ScanRequest((source,)), Rules(True), max_rejected_share=0.5, now=later)
    assert query(ledger, "SELECT ingested_at, last_read_at FROM scans") == [(NOON, later)]


def test_a_path_that_is_too_long_is_refused_in_a_sentence(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(FindingsFileError, match=r"cannot be read \(File name too long\); give a file you may read"):
        scan(tmp_path / ("x" * 300))


def test_files_that_are_read_together_do_not_replace_each_other(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    write(tmp_path / "b.csv", [row(2), row(3)])
    write(tmp_path / "a.csv", [row(1), row(2)])
    scanned = scan(tmp_path)
    assert [Path(one.source).name for one in scanned.new_scans] == ["a.csv", "b.csv"]
    assert changes(scanned) == (3, 0, 0)
    assert sorted(ids(ledger)) == ["F-1", "F-2", "F-3"]
    assert query(ledger, "SELECT count(*) FROM duplicate_findings") == [(1,)]
    # One of them has changed; the other is not read again, and its findings stay current.
    write(tmp_path / "b.csv", [row(3), row(4)])
    again = scan(tmp_path)
    assert ([Path(one.source).name for one in again.new_scans], again.unchanged_scans) == (["b.csv"], (1,))
    assert changes(again) == (1, 3, 0)
    assert sorted(ids(ledger)) == ["F-1", "F-2", "F-3", "F-4"]
    # Alone, it replaces both, because they have one source.
    assert changes(scan(write(tmp_path / "b.csv", [row(4)]))) == (0, 1, 3)
    assert ids(ledger) == ["F-4"]


def test_a_folder_means_its_findings_files_sorted_by_name(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    write(tmp_path / "2.CSV", [row(2)])
    write(tmp_path / "1.csv", [row(1)])
    (tmp_path / "notes.txt").write_text("nothing for us")
    (tmp_path / "more.csv").mkdir()
    assert [Path(one.source).name for one in scan(tmp_path).new_scans] == ["1.csv", "2.CSV"]
    with ledger.transaction() as tx:
        assert last_request(tx) == ScanRequest((tmp_path,))


def test_a_folder_without_findings_files_says_what_was_expected(scan: Scan, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FindingsFileError, match=r"has no findings file in it; expected \.csv, \.csv\.gz"):
        scan(empty)


def test_one_bad_file_among_several_leaves_everything_as_it_was(ledger: Ledger, scan: Scan, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "a.csv", rows(2)), tmp_path / "b.csv"
    bad.write_text("no findings\n")
    with pytest.raises(FindingsFileError, match="has no column"):
        scan(good, bad)
    assert query(ledger, "SELECT count(*) FROM scans") == [(0,)]
    assert query(ledger, "SELECT current_source FROM state") == [(None,)]


def test_a_file_given_twice_is_read_once(scan: Scan, tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", rows(2))
    assert len(scan(source, source).new_scans) == 1
