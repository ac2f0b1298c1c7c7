"""Any CSV by a mapping of its columns."""

from pathlib import Path
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.intake.propose_columns import proposed_mapping
from remediation_assets.findings.source_context import SourceContext, read_toml
from tests.support.scanner_files import SAMPLES, Reading, read_file, read_text

HEADER = "Issue ID,Issue,Risk,File,Line No,CWE,Status"
ROWS = [
    "7,Query from text,Very High,src\\db.py,12,CWE-89,Open",
    "8,Old cipher,note,src/c.py,0,327,Open",
    "9,Gone,High,src/d.py,3,,Resolved",
]
TEXT = "\n".join([HEADER, *ROWS]) + "\n"
MAPPING: dict[str, Any] = {
    "columns": {
        "finding_id": "Issue ID",
        "title": "Issue",
        "severity": "Risk",
        "file_path": "File",
        "line_number": "Line No",
        "cwe_id": "CWE",
    },
    "constants": {"scanner": "House scanner"},
    "only": {"Status": ["Open", "New"]},
}


def context(mapping: dict[str, Any]) -> SourceContext:
    return SourceContext(repo_url="https://github.com/acme/shop", mapping=mapping)


def read(content: str | bytes, **changes: Any) -> Reading:
    return read_text(content, context(MAPPING | changes))


def test_a_mapping_translates_columns_and_words_into_ours() -> None:
    reading = read(TEXT)
    names = ("finding_id", "scanner", "category", "severity", "file_path", "line_number", "cwe_id", "language")
    assert reading.all(*names) == [
        ("7", "House scanner", "sql_injection", "critical", "src/db.py", 12, "CWE-89", "python"),
        ("8", "House scanner", "other", "low", "src/c.py", None, "CWE-327", "python"),
    ]
    assert reading.scan.skipped == {"Status 'Resolved'": 1}


def test_an_unusable_record_is_rejected_with_its_line() -> None:
    bad = [
        "10,Odd,fatal-ish,a.py,1,,Open",
        "11,short,High",
        '12,"two\nlines",High,a.py,x,,Open',
        "13,many,High,a,1,,Open,more",
    ]
    reading = read("\n".join([HEADER, ROWS[0], "", *bad]) + "\n")
    assert [
        (row["line_number"], row["reason"]) for row in sorted(reading.rejected, key=lambda r: r["line_number"])
    ] == [
        (4, "unknown severity"),
        (5, "malformed row: missing columns"),
        (6, "bad line number"),
        (8, "malformed row: too many columns"),
    ]
    assert {row["raw"] for row in reading.rejected if "malformed" in row["reason"]} >= {"11,short,High"}


@pytest.mark.parametrize(
    ("score", "severity"),
    [("9.8", "critical"), ("9,8", "critical"), ("0.0", "medium"), ("", "medium"), ("85", None), ("n/a", None)],
)
def test_a_score_that_cannot_be_read_is_not_a_severity(score: str, severity: str | None) -> None:
    mapping = {"columns": {"title": "t", "file_path": "f", "cvss_score": "s"}, "constants": {"scanner": "x"}}
    reading = read_text(f't,f,s\na,b.py,"{score}"\n', context(mapping))
    assert reading.all("severity") == ([severity] if severity else [])


def test_a_category_of_others_is_not_guessed_from() -> None:
    mapping = MAPPING | {"columns": MAPPING["columns"] | {"category": "Kind"}, "only": {}}
    header, rows = HEADER + ",Kind", [f"{ROWS[0]},Injection", f"{ROWS[1]},Path Traversal"]
    reading = read_text("\n".join([header, *rows]) + "\n", context(mapping))
    assert reading.all("category") == ["sql_injection", "path_traversal"]


def test_a_row_without_its_repository_is_rejected_alone() -> None:
    mapping = MAPPING | {"columns": MAPPING["columns"] | {"repo_url": "Repo"}, "only": {}}
    content = f"{HEADER},Repo\n{ROWS[0]},https://github.com/acme/web\n{ROWS[1]},\n"
    reading = read_text(content, SourceContext(mapping=mapping))
    assert (len(reading.rows), [row["reason"] for row in reading.rejected]) == (
        1,
        ["missing required field service_name"],
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_mapped_file_may_have_any_encoding(encoding: str) -> None:
    reading = read(TEXT.replace("Old cipher", "Clé usée").encode(encoding))
    assert "Clé usée" in reading.all("title")
    assert reading.scan.encoding_guessed == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"columns": MAPPING["columns"] | {"title": "Titel"}},
            "has no column 'Titel', which its mapping names; it has Issue ID",
        ),
        ({"columns": MAPPING["columns"] | {"colour": "Risk"}}, "colour is not a field; the fields are finding_id"),
        ({"only": {"State": ["Open"]}}, "has no column 'State'"),
        ({"columns": {"title": "Issue", "file_path": "File"}}, "it does not fill severity or cvss_score"),
        ({"columns": {"severity": "Risk"}, "constants": {}}, "it does not fill title, file_path, scanner"),
        ({"constants": {"title": "x"}}, "title is both a column and a constant"),
        ({"constants": {"scanner": 3}}, "columns and values must be texts in quotes"),
        ({"columns": []}, "expected the tables [columns], [constants] and [only]"),
        ({"colums": {}}, "expected the tables [columns], [constants] and [only]"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_with_the_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FindingsFileError) as caught:
        read(TEXT, **changes)
    assert message in str(caught.value)


def test_a_file_with_our_columns_needs_no_mapping(tmp_path: Path) -> None:
    from tests.support.samples import rows, write

    reading = read_file(write(tmp_path / "ours.csv", rows(2)), context(MAPPING))
    assert (len(reading.rows), reading.scan.format) == (2, "CSV")


def test_a_proposed_mapping_can_be_used_as_it_is(tmp_path: Path) -> None:
    source, saved = tmp_path / "odd.csv", tmp_path / "columns.toml"
    source.write_text(TEXT)
    saved.write_text(proposed_mapping(source))
    mapping = read_toml(saved)
    assert mapping["columns"] == MAPPING["columns"]
    assert mapping["only"] == {"Status": ["Open"]}
    assert len(read_file(source, context(mapping)).rows) == 2


def test_a_quote_that_is_not_closed_in_the_header_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "odd.csv"
    source.write_text(TEXT.replace("Issue,", '"Issue,', 1))
    with pytest.raises(FindingsFileError, match="has a quote that is not closed, or a field too long, at line 1"):
        proposed_mapping(source)


def test_a_mapping_is_proposed_for_csv_only(tmp_path: Path) -> None:
    source = tmp_path / "scan.json"
    source.write_text('{"version": "2.1.0", "runs": []}')
    with pytest.raises(FindingsFileError, match="is JSON, which needs no mapping"):
        proposed_mapping(source)


def test_a_header_may_hold_anything_that_toml_would_take_for_its_own(tmp_path: Path) -> None:
    source, saved = tmp_path / "odd.csv", tmp_path / "columns.toml"
    source.write_text('"severity","ti""tle","title","a\n[only]","file"\nhigh,a,b,c,d\n')
    saved.write_text(proposed_mapping(source))
    assert read_toml(saved)["columns"] == {"severity": "severity", "title": "title", "file_path": "file"}


def test_a_file_that_is_not_toml_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "columns.toml").write_text("[columns\n")
    with pytest.raises(FindingsFileError, match=r"is not TOML in UTF-8 .*; correct it"):
        read_toml(tmp_path / "columns.toml")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder of real outputs is not here")
@pytest.mark.parametrize(
    ("name", "added", "count", "skipped", "rejected"),
    [
        # The file has no path of a package; all findings are about the manifest.
        ("veracode-sca.csv", {"file_path": "pom.xml", "scanner": "Veracode"}, 2, {"Status 'Resolved'": 1}, 0),
        ("generic-with-epss.csv", {"file_path": "server", "scanner": "Pen test"}, 1, {}, 0),
        ("testssl.csv", {"file_path": "nginx.conf", "scanner": "testssl.sh"}, None, {}, None),
    ],
)
def test_exports_of_other_tools_are_read_by_the_proposed_mapping(
    tmp_path: Path, name: str, added: dict[str, str], count: int | None, skipped: dict[str, int], rejected: int | None
) -> None:
    import csv

    source, saved = SAMPLES / "csv" / name, tmp_path / "columns.toml"
    saved.write_text(proposed_mapping(source))
    mapping = read_toml(saved)
    mapping["constants"] |= added
    mapping["columns"] = {field: column for field, column in mapping["columns"].items() if field not in added}
    reading = read_file(source, context(mapping))
    with source.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert reading.scan.rows_in + sum(reading.scan.skipped.values()) == len(rows)
    if count is not None:
        assert (len(reading.rows), dict(reading.scan.skipped), len(reading.rejected)) == (count, skipped, rejected)
