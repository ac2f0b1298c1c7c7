"""The JSON of Semgrep, Trivy, Snyk, OSV-Scanner and GitHub."""

import json
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.source_context import SourceContext
from tests.support.scanner_files import SHOP, read, read_text


def semgrep_result(**extra: Any) -> dict[str, Any]:
    message = {"message": "A query is built from text.", "severity": "ERROR", "metadata": {"cwe": ["CWE-89: SQL"]}}
    return {
        "check_id": "python.lang.security.audit.formatted-sql-query",
        "path": "src/db.py",
        "start": {"line": 12, "col": 5},
        "extra": message | extra,
    }


def semgrep(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "1.90.0", "results": list(results), "errors": [], "paths": {"scanned": []}} | more


def as_sarif(document: dict[str, Any]) -> dict[str, Any]:
    """Return Semgrep's findings in the form in which it writes SARIF."""
    levels = {"ERROR": "error", "WARNING": "warning", "INFO": "note"}
    rules, results = {}, []
    for one in document["results"]:
        extra = one["extra"]
        cwes = extra["metadata"].get("cwe", [])
        rules[one["check_id"]] = {
            "id": one["check_id"],
            "shortDescription": {"text": f"Semgrep Finding: {one['check_id']}"},
            "defaultConfiguration": {"level": levels[extra["severity"]]},
            "properties": {"tags": [*cwes, "security"], "precision": "very-high"},
        }
        place = {
            "artifactLocation": {"uri": one["path"], "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": one["start"]["line"]},
        }
        results.append(
            {
                "ruleId": one["check_id"],
                "message": {"text": extra["message"]},
                "locations": [{"physicalLocation": place}],
                "fingerprints": {"matchBasedId/v1": extra.get("fingerprint", "requires login")},
                **({"suppressions": [{"kind": "inSource"}]} if extra.get("is_ignored") else {}),
            }
        )
    tool = {"driver": {"name": "Semgrep OSS", "rules": list(rules.values())}}
    return {"version": "2.1.0", "runs": [{"tool": tool, "results": results}]}


@pytest.mark.parametrize("printed", [True, False])
def test_one_run_of_semgrep_is_the_same_findings_in_both_of_its_formats(printed: bool) -> None:
    results = []
    for number, (severity, cwe, path) in enumerate(
        [
            ("ERROR", "CWE-89: SQL", "src/db.py"),
            ("WARNING", "CWE-79: XSS", "web/view.js"),
            ("INFO", "CWE-327: Broken", "a.go"),
        ]
    ):
        fingerprint = {"fingerprint": f"{number:x}" * 32 + "_0"} if printed else {"fingerprint": "requires login"}
        one = semgrep_result(severity=severity, metadata={"cwe": [cwe]}, **fingerprint)
        results.append(one | {"path": path, "check_id": f"rules.check-{number}"})
    results.append(semgrep_result(is_ignored=True))
    document = semgrep(*results)
    ours, theirs = read(document), read(as_sarif(document))
    fields = (
        "file_path",
        "line_number",
        "category",
        "severity",
        "cwe_id",
        "language",
        "rule_id",
        "scanner",
        "finding_key",
    )
    assert ours.all(*fields) == theirs.all(*fields)
    assert ours.scan.skipped == theirs.scan.skipped == {"suppressed": 1}
    assert len(ours.keys) == 3


def test_a_dependency_that_semgrep_found_is_a_package() -> None:
    found = {"package": "lodash", "version": "4.17.20", "ecosystem": "npm"}
    sca = {"reachable": False, "dependency_match": {"found_dependency": found, "lockfile": "package-lock.json"}}
    [row] = read(semgrep(semgrep_result(sca_info=sca))).rows
    names = ("category", "file_path", "dependency_name", "current_version", "language", "line_number")
    assert [row[name] for name in names] == [
        *("dependency_vulnerability", "package-lock.json", "pkg:npm/lodash", "4.17.20", "javascript", None)
    ]


def test_errors_of_semgrep_give_a_note() -> None:
    reading = read(semgrep(semgrep_result(), errors=[{"type": "Timeout"}, {"type": "Syntax error"}]))
    assert reading.scan.notes == ("Semgrep had 2 errors; findings may be missing",)


TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": ".",
    "ArtifactType": "filesystem",
    "Results": [
        {
            "Target": "package-lock.json",
            "Class": "lang-pkgs",
            "Type": "npm",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2021-23337",
                    "PkgName": "@scope/name",
                    "InstalledVersion": "1.0.0",
                    "FixedVersion": "1.0.1",
                    "Severity": "LOW",
                    "SeveritySource": "ghsa",
                    "CVSS": {"ghsa": {"V3Score": 9.1}, "nvd": {"V3Score": 2.0}},
                    "CweIDs": ["CWE-79"],
                    "Title": "Something",
                },
                {"VulnerabilityID": "CVE-1", "PkgName": "x", "Severity": "UNKNOWN"},
            ],
        },
        {
            "Target": "Dockerfile",
            "Class": "config",
            "Misconfigurations": [
                {"ID": "DS002", "Title": "Root user", "Severity": "HIGH", "Status": "FAIL", "Message": "Add a USER"},
                {"ID": "DS001", "Title": "Tag", "Severity": "HIGH", "Status": "PASS"},
                {"ID": "AVD-1", "Title": "Open", "Severity": "CRITICAL", "CauseMetadata": {"StartLine": 4}},
            ],
        },
        {
            "Target": "config/prod.env",
            "Class": "secret",
            "Secrets": [
                {"RuleID": "aws-access-key-id", "Severity": "CRITICAL", "Title": "AWS key", "StartLine": 3,
                 "Match": "KEY=AKIAABCDEFGHIJKLMNOP", "Code": {"Lines": [{"Content": "KEY=AKIAABCDEFGHIJKLMNOP"}]}}
            ],
        },
        {"Target": "nothing"},
        {"Target": "Java", "Class": "lang-pkgs", "Type": "jar", "Licenses": [{}, {}]},
    ],
}  # fmt: skip


def test_trivy_reports_vulnerabilities_misconfigurations_and_secrets() -> None:
    reading = read(TRIVY)
    assert reading.all("category", "severity", "file_path", "line_number", "dependency_name") == [
        ("dependency_vulnerability", "critical", "package-lock.json", None, "pkg:npm/%40scope/name"),
        ("dependency_vulnerability", "medium", "package-lock.json", None, "pkg:npm/x"),
        ("other", "high", "Dockerfile", None, None),
        ("other", "critical", "Dockerfile", 4, None),
        ("hardcoded_secret", "critical", "config/prod.env", 3, None),
    ]
    assert reading.scan.skipped == {"licenses": 2, "of status PASS": 1}
    assert "AKIA" not in json.dumps(reading.rows, default=str)


def test_a_trivy_scan_of_a_repository_names_it() -> None:
    name = "https://github.com/acme/api"
    assert set(read(TRIVY | {"ArtifactType": "repository", "ArtifactName": name}, SourceContext()).all("repo_url")) == {
        name
    }


def snyk_project(**more: Any) -> dict[str, Any]:
    issue = {
        "id": "SNYK-JS-1",
        "title": "Prototype Pollution",
        "severity": "high",
        "packageName": "lodash",
        "version": "4.17.20",
        "packageManager": "npm",
        "fixedIn": ["4.17.21"],
        "identifiers": {"CVE": ["CVE-2021-1"], "CWE": ["CWE-1321"]},
    }
    ways = [issue | {"from": ["shop@1", name, "lodash@4.17.20"]} for name in ("a@1", "b@1", "c@1")]
    other = issue | {"id": "SNYK-JS-2", "cvssScore": 9.8, "fixedIn": []}
    licence = issue | {"id": "snyk:lic", "type": "license"}
    return {
        "vulnerabilities": [*ways, other, licence],
        "packageManager": "npm",
        "projectName": "shop",
        "displayTargetFile": "package-lock.json",
        "filtered": {"ignore": [{}]},
    } | more


def test_an_issue_of_snyk_on_many_paths_is_one_finding() -> None:
    reading = read(snyk_project())
    assert reading.all("finding_id", "severity", "dependency_name", "fixed_version") == [
        ("SNYK-JS-1", "high", "pkg:npm/lodash", "4.17.21"),
        ("SNYK-JS-2", "critical", "pkg:npm/lodash", None),
    ]
    assert "3 paths lead to the package" in reading.rows[0]["description"]
    assert reading.scan.skipped == {"licenses": 1, "suppressed": 1}


def test_applications_in_a_container_are_projects_of_it() -> None:
    image = snyk_project(
        docker={}, path="alpine:3.10", applications=[snyk_project(displayTargetFile="app/package.json")]
    )
    del image["displayTargetFile"]
    assert read(image).all("file_path") == [*["alpine:3.10"] * 2, *["app/package.json"] * 2]


def test_vulnerabilities_without_a_fix_stay_apart() -> None:
    found = [{"VulnerabilityID": f"CVE-{number}", "PkgName": "a", "Severity": "LOW"} for number in range(3)]
    results = [{"Target": "go.sum", "Type": "gomod", "Class": "lang-pkgs", "Vulnerabilities": found}]
    assert len(read(TRIVY | {"Results": results}).keys) == 3
    fixed = [one | {"FixedVersion": "2"} for one in found]
    assert len(read(TRIVY | {"Results": [results[0] | {"Vulnerabilities": fixed}]}).keys) == 1


def osv_document() -> dict[str, Any]:
    def advisory(name: str, aliases: list[str], **more: Any) -> dict[str, Any]:
        affected = [{"package": {"name": "jinja2"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "3.1.3"}]}]}]
        return {"id": name, "aliases": aliases, "summary": f"About {name}", "affected": affected} | more

    vector = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}
    known = [
        advisory("GHSA-1", ["CVE-2024-1"], database_specific={"severity": "MODERATE", "cwe_ids": ["CWE-79"]}),
        advisory("PYSEC-1", ["CVE-2024-1"]),
        advisory("PYSEC-2", [], **vector),
        advisory("PYSEC-3", []),
    ]
    package = {
        "package": {"name": "jinja2", "version": "3.0.3", "ecosystem": "PyPI"},
        "vulnerabilities": known,
        "groups": [{"ids": ["GHSA-1", "PYSEC-1"]}, {"ids": ["PYSEC-2"]}, {"ids": ["PYSEC-3"], "max_severity": "7.5"}],
    }
    return {"results": [{"source": {"path": "requirements.txt", "type": "lockfile"}, "packages": [package]}]}


def test_ids_of_one_vulnerability_are_one_finding_of_osv_scanner() -> None:
    names = ("finding_id", "severity", "category", "dependency_name", "fixed_version", "language")
    assert read(osv_document()).all(*names) == [
        (name, severity, "dependency_vulnerability", "pkg:pypi/jinja2", "3.1.3", "python")
        for name, severity in [("CVE-2024-1", "medium"), ("PYSEC-2", "critical"), ("PYSEC-3", "high")]
    ]


def test_a_vulnerability_without_a_group_is_not_lost() -> None:
    document = osv_document()
    del document["results"][0]["packages"][0]["groups"]
    assert len(read(document).rows) == 4


@pytest.mark.parametrize(
    ("ecosystem", "name", "affected", "fixed"),
    [
        ("PyPI", "PyYAML", [("PyPI", "pyyaml", "5.1")], "5.1"),
        ("PyPI", "protobuf", [("PyPI", "protobuf", "4.1"), ("npm", "protobuf", "7.2.5")], "4.1"),
        ("Debian:11", "openssl", [("Debian:11", "openssl", "1.1.1n"), ("Debian:12", "openssl", "3.0.2")], "1.1.1n"),
    ],
)
def test_a_fix_is_one_of_the_packages_own_ecosystem(
    ecosystem: str, name: str, affected: list[tuple[str, str, str]], fixed: str
) -> None:
    entries = [
        {"package": {"ecosystem": one, "name": called}, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": fix}]}]}
        for one, called, fix in affected
    ]
    package = {
        "package": {"name": name, "ecosystem": ecosystem},
        "vulnerabilities": [{"id": "X-1", "affected": entries}],
    }
    document = {"results": [{"source": {"path": "lock"}, "packages": [package]}]}
    assert read(document).all("fixed_version") == [fixed]


def code_alert(number: int, state: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": state,
        "html_url": f"https://github.com/acme/web/security/code-scanning/{number}",
        "rule": {
            "id": "js/xss",
            "severity": "error",
            "security_severity_level": "medium",
            "tags": ["external/cwe/cwe-079"],
        },
        "tool": {"name": "CodeQL"},
        "most_recent_instance": {"location": {"path": "web/a.js", "start_line": 9}, "message": {"text": "XSS"}},
    } | more


def secret_alert(**more: Any) -> dict[str, Any]:
    return {
        "number": 3,
        "state": "open",
        "secret_type": "github_pat",
        "secret_type_display_name": "GitHub Personal Access Token",
        "secret": "ghp_thisisthesecretitself",
        "html_url": "https://ghe.corp.example/acme/web/security/secret-scanning/3",
    } | more


def test_open_alerts_of_github_are_read_and_the_others_are_counted() -> None:
    states = ["open", "fixed", "dismissed", "dismissed", "auto_dismissed"]
    reading = read([code_alert(number, state) for number, state in enumerate(states)], SourceContext())
    names = ("finding_id", "category", "severity", "repo_url", "line_number", "language", "cwe_id")
    assert reading.all(*names) == [
        ("code-scanning-0", "xss", "medium", "https://github.com/acme/web", 9, "javascript", "CWE-79")
    ]
    assert reading.scan.skipped == {"auto dismissed": 1, "dismissed": 2, "fixed": 1}


def test_an_alert_keeps_its_key_while_its_line_moves() -> None:
    moved = code_alert(1)
    moved["most_recent_instance"]["location"]["start_line"] += 10
    assert read([code_alert(1)]).keys == read([moved]).keys


def test_a_secret_is_not_taken_from_its_alert() -> None:
    place = {"first_location_detected": {"path": "deploy/prod.env", "start_line": 2}}
    reading = read([secret_alert(), secret_alert(number=4, validity="active", **place)], SourceContext())
    assert reading.all("category", "severity", "file_path", "line_number") == [
        ("hardcoded_secret", "high", ".", None),
        ("hardcoded_secret", "critical", "deploy/prod.env", 2),
    ]
    assert "ghp_" not in json.dumps([reading.rows, reading.rejected], default=str)


def test_pages_of_an_api_and_json_lines_are_read_as_one() -> None:
    one, two = [code_alert(1), code_alert(2)], [code_alert(3)]
    assert len(read_text(json.dumps(one) + json.dumps(two) + "[]").rows) == 3
    assert len(read_text("\n".join(map(json.dumps, [*one, *two])) + "\n").rows) == 3
    assert len(read_text("\ufeff" + json.dumps(one)).rows) == 2
    assert len(read([one, two, []]).rows) == 3


def test_an_empty_list_of_alerts_has_no_findings() -> None:
    reading = read([])
    assert (reading.rows, reading.scan.format) == ([], "an empty list")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', "is JSON in no known format (its fields are 'a'); expected SARIF, Semgrep JSON"),
        ("{}", "is JSON in no known format (an empty object)"),
        ("[1]", "is JSON in no known format (a list; of its first element a single int)"),
        ('[{"number": 1, "state": "open"}]', "is JSON in no known format (a list"),
        (
            '{"message": "Bad credentials", "documentation_url": "https://docs.github.com"}',
            "is JSON in no known format",
        ),
        (
            '{"ok": false, "error": "no such project", "path": "/src"}',
            "reports that Snyk could not test /src (no such project)",
        ),
        ('{"infrastructureAsCodeIssues": [], "projectName": "x"}', "is from Snyk IaC (x); export it with"),
        ('{"SchemaVersion": 3, "Results": []}', "has Trivy's schema 3; expected schema 2"),
        ('{"results": [{"check_id": "a"}, 3]}', "has an element in its list of results that is not an object, at 1"),
        ('{"results": [{"check_id": "a"}]', "is JSON that is cut off or damaged"),
        ("[" * 100_000, "is JSON that"),
        ('{"version": "2.1.0", "runs": [' + "[" * 5000 + "]" * 5000 + "]}", "is nested too deeply"),
        (
            "2026 INFO scanning\n2026 INFO done\n" + '{"results": []}',
            "has other text before its JSON, which begins at line 3",
        ),
        ("null\n", "holds nothing but null"),
        ('{"errors": [], "generated_at": "x", "metrics": {}, "results": []}', "is JSON in no known format"),
        ('{"n": ' + "9" * 5000 + "}", "has a number that is too long"),
    ],
)
def test_a_document_of_no_known_format_is_refused_in_a_sentence(content: str, message: str) -> None:
    with pytest.raises(FindingsFileError) as caught:
        read_text(content, SHOP)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")
