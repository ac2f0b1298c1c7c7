"""Real outputs of scanners: each has as many findings as its raw file, which are counted here in another way."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.source_context import SourceContext
from tests.support.scanner_files import SAMPLES, read, read_file, shuffled

pytestmark = [
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder of real outputs is not here"),
    # Some are as large as real scans are.
    pytest.mark.slow,
]

ANYWHERE = SourceContext(repo_url="https://github.com/acme/shop", root="/")


def raw(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8-sig"))


def sarif(document: Any) -> int:
    return sum(not result.get("suppressions") for run in document["runs"] for result in run["results"])


def semgrep(document: Any) -> int:
    return len(document["results"])


def trivy(document: Any) -> int:
    results = document if isinstance(document, list) else document["Results"]
    found = [one for result in results for one in result.get("Vulnerabilities") or []]
    # One finding of the legacy file has no id, and is rejected.
    return sum(one.get("Status") != "not_affected" for one in found)


def snyk(document: Any) -> int:
    return sum(project["uniqueCount"] for project in document)


def osv(document: Any) -> int:
    return sum(len(package["groups"]) for result in document["results"] for package in result["packages"])


def alerts(document: Any) -> int:
    return int(document["alert"]["state"] == "open")


@pytest.mark.parametrize(
    ("name", "count", "merged"),
    [
        ("sarif/codeql.sarif", sarif, 0),
        ("sarif/spotbugs.sarif", sarif, 0),
        ("sarif/with-suppressions.sarif", sarif, 0),
        ("semgrep/many.json", semgrep, 0),
        # Without a fixed version nothing says that one upgrade fixes several.
        ("trivy/all-statuses.json", trivy, 0),
        ("trivy/legacy-mixed.json", trivy, 2),
        ("trivy/vulnerabilities.json", trivy, 0),
        ("snyk/several-projects.json", snyk, 0),
        # Vulnerabilities of one package that one version fixes: one upgrade.
        ("osv/many.json", osv, 8),
        ("github/code-scanning-alert-created.json", alerts, 0),
        ("github/dependabot-alert-created.json", alerts, 0),
    ],
)
def test_every_finding_of_the_file_is_read(name: str, count: Any, merged: int) -> None:
    document = raw(name)
    reading = read_file(SAMPLES / name, ANYWHERE)
    assert reading.scan.rows_in == count(document)
    assert len(reading.rows) - len(reading.keys) == merged
    # Here two rows are one finding if repository, service, file, package and fixed version are equal.
    places = [
        tuple(row[n] for n in ("repo_url", "file_path", "dependency_name", "fixed_version")) for row in reading.rows
    ]
    if merged:
        assert len(set(places)) == len(reading.keys)


@pytest.mark.parametrize(
    ("name", "category", "severity", "count"),
    [
        ("sarif/codeql.sarif", "sql_injection", "high", 2),
        ("sarif/codeql.sarif", "xss", "high", 2),
        ("sarif/codeql.sarif", "path_traversal", "high", 1),
        ("sarif/codeql.sarif", "other", "low", 57),
        ("sarif/spotbugs.sarif", "other", "low", 56),
        ("semgrep/many.json", "other", "high", 13),
        ("trivy/vulnerabilities.json", "dependency_vulnerability", "critical", 1),
        ("osv/many.json", "dependency_vulnerability", "critical", 5),
        ("github/code-scanning-alert-created.json", "sql_injection", "high", 1),
        ("github/dependabot-alert-created.json", "dependency_vulnerability", "medium", 1),
    ],
)
def test_severities_and_categories_are_those_of_the_file(name: str, category: str, severity: str, count: int) -> None:
    found = Counter(read_file(SAMPLES / name, ANYWHERE).all("category", "severity"))
    assert found[category, severity] == count


def test_what_a_file_suppresses_is_counted() -> None:
    assert read_file(SAMPLES / "sarif/with-suppressions.sarif", ANYWHERE).scan.skipped == {"suppressed": 3}


def test_paths_of_another_machine_need_a_root() -> None:
    name = SAMPLES / "sarif/with-suppressions.sarif"
    assert [row["reason"] for row in read_file(name).rejected] == ["not a path in the repository"]
    reading = read_file(name, SourceContext(repo_url="https://github.com/acme/shop", root="C:\\code"))
    assert reading.all("file_path") == ["file4.c"]


def test_an_alert_names_its_own_repository() -> None:
    reading = read_file(SAMPLES / "github/code-scanning-alert-created.json", SourceContext())
    assert reading.all("repo_url", "service_name") == [("https://github.com/Codertocat/Hello-World", "Hello-World")]


@pytest.mark.parametrize(
    "name", ["sarif/codeql.sarif", "semgrep/many.json", "snyk/several-projects.json", "osv/many.json"]
)
def test_a_file_that_names_no_repository_says_how_to_give_one(name: str) -> None:
    with pytest.raises(FindingsFileError, match="does not name the repository of its findings; give --repo-url"):
        read_file(SAMPLES / name, SourceContext())


@pytest.mark.parametrize("path", sorted(p for p in SAMPLES.glob("*/*") if p.suffix in (".json", ".sarif")), ids=str)
def test_the_order_of_results_changes_no_key(path: Path) -> None:
    document = raw(str(path.relative_to(SAMPLES)))
    assert read(shuffled(document), ANYWHERE).keys == read(document, ANYWHERE).keys


@pytest.mark.parametrize("name", ["generic-with-epss.csv", "testssl.csv", "veracode-sca.csv"])
def test_a_csv_of_another_tool_is_refused_with_the_way_to_read_it(name: str) -> None:
    with pytest.raises(FindingsFileError, match=r"has no column .* `remediate columns FILE` proposes a mapping"):
        read_file(SAMPLES / "csv" / name)
