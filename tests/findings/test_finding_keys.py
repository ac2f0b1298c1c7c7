"""What makes two rows the same finding."""

from pathlib import Path

import duckdb

from remediation_assets.findings.intake.stage import stage
from remediation_assets.findings.intake.validate import Rules
from tests.support.samples import row, write

DEPENDENCY = {
    "category": "dependency_vulnerability",
    "line_number": "",
    "dependency_name": "lodash",
    "fixed_version": "2",
}
OTHER = {"category": "other", "rule_id": "rule-1"}
BARE = {"line_number": ""}
PRINTED = {"fingerprint": "abc"}


SAME: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {"finding_id": "F-2"}),
    ({}, {"scanner": "CodeQL"}),
    ({}, {"severity": "low"}),
    ({}, {"title": "Other words"}),
    ({}, {"description": "Other words"}),
    ({}, {"cwe_id": "CWE-1"}),
    ({}, {"rule_id": "rule-2"}),
    ({}, {"language": "java"}),
    ({}, {"current_version": "1"}),
    ({}, {"line_number": "01"}),
    ({}, {"repo_url": "https://GIT.example.com/acme/shop.git"}),
    (DEPENDENCY, {"title": "Other words"}),
    (DEPENDENCY, {"current_version": "1"}),
    (DEPENDENCY, {"rule_id": "rule-2"}),
    (PRINTED, {"line_number": "99", "title": "Moved"}),
    (PRINTED, {"dependency_name": "lodash"}),
]

DIFFERENT: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {"repo_url": "https://git.example.com/acme/other"}),
    ({}, {"service_name": "other"}),
    ({}, {"category": "sql_injection"}),
    ({}, {"file_path": "src/other.ts"}),
    ({}, {"line_number": "2"}),
    ({}, {"line_number": ""}),
    ({}, {"dependency_name": "lodash"}),
    ({}, {"fixed_version": "2"}),
    (DEPENDENCY, {"dependency_name": "express"}),
    (DEPENDENCY, {"fixed_version": "3"}),
    (OTHER, {"rule_id": "rule-2"}),
    (OTHER, {"rule_id": ""}),
    (BARE, {"title": "Other words"}),
    (PRINTED, {"fingerprint": "abd"}),
    (PRINTED, {"fingerprint": ""}),
    (PRINTED, {"file_path": "src/other.ts"}),
    # A value that moves to the next field is not the same value.
    ({"service_name": "ab", "file_path": "c"}, {"service_name": "a", "file_path": "bc"}),
    ({"dependency_name": "a", "fixed_version": ""}, {"dependency_name": "", "fixed_version": "a"}),
]


def keys(tmp_path: Path, *fields: dict[str, str]) -> list[str]:
    source = write(tmp_path / "findings.csv", list(fields))
    scan = stage(source, tmp_path / "staging.duckdb", Rules(allow_reserved_hosts=True))
    with duckdb.connect(str(scan.path), read_only=True) as connection:
        found = connection.execute("SELECT finding_key FROM accepted ORDER BY row_number").fetchall()
    assert len(found) == len(fields)
    return [key for (key,) in found]


def pairs(tmp_path: Path, table: list[tuple[dict[str, str], dict[str, str]]]) -> dict[str, bool]:
    """Return for each row and its change whether they are one finding."""
    fields = [row(1, **one) for base, change in table for one in (base, base | change)]
    found = iter(keys(tmp_path, *fields))
    return {f"{base} | {change}": next(found) == next(found) for base, change in table}


def test_rows_that_differ_in_nothing_that_counts_are_one_finding(tmp_path: Path) -> None:
    same = pairs(tmp_path, SAME)
    assert same == dict.fromkeys(same, True)


def test_rows_that_differ_in_something_that_counts_are_two_findings(tmp_path: Path) -> None:
    same = pairs(tmp_path, DIFFERENT)
    assert same == dict.fromkeys(same, False)


def test_several_dependencies_of_one_manifest_stay_apart(tmp_path: Path) -> None:
    names = ["log4j", "jackson", "snakeyaml"]
    assert len(set(keys(tmp_path, *(row(1, **DEPENDENCY | {"dependency_name": name}) for name in names)))) == 3


def test_the_same_row_has_the_same_key_in_any_file(tmp_path: Path) -> None:
    before = keys(tmp_path, row(1), row(2))
    assert keys(tmp_path, row(3), row(2), row(1))[::-1][:2] == before
