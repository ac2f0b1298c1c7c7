"""SARIF, as tools write it and as its standard allows."""

import copy
import json
from typing import Any

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.source_context import SourceContext
from tests.support.scanner_files import read, read_text


def location(uri: str = "src/app.py", line: int | None = 7, **more: Any) -> dict[str, Any]:
    region = {"region": {"startLine": line}} if line else {}
    return {"physicalLocation": {"artifactLocation": {"uri": uri, **more}, **region}}


def result(rule: str = "R1", **more: Any) -> dict[str, Any]:
    return {"ruleId": rule, "message": {"text": "Something is wrong."}, "locations": [location()]} | more


def log(*results: dict[str, Any], rules: Any = (), **run: Any) -> dict[str, Any]:
    tool = run.pop("tool", {"driver": {"name": "Checker", "rules": list(rules)}})
    return {"version": "2.1.0", "runs": [{"tool": tool, "results": list(results), **run}]}


def only(document: dict[str, Any], context: SourceContext | None = None) -> dict[str, Any]:
    reading = read(document, context) if context else read(document)
    [row] = reading.rows
    return row


@pytest.mark.parametrize(
    ("rule", "more", "severity"),
    [
        ({}, {}, "medium"),
        ({}, {"level": "error"}, "high"),
        ({}, {"level": "note"}, "low"),
        ({}, {"level": "none"}, "low"),
        ({"defaultConfiguration": {"level": "error"}}, {}, "high"),
        ({"defaultConfiguration": {"level": "error"}}, {"level": "note"}, "low"),
        ({"properties": {"security-severity": "9.8"}}, {"level": "note"}, "critical"),
        ({"properties": {"security-severity": 7.5}}, {"level": "note"}, "high"),
        ({"properties": {"security-severity": "4.0"}}, {"properties": {"security-severity": "2"}}, "low"),
        ({"properties": {"security-severity": "what"}}, {"level": "error"}, "high"),
        ({"properties": {"security-severity": "0.0"}}, {"level": "note"}, "low"),
    ],
)
def test_a_security_severity_goes_before_a_level(rule: dict[str, Any], more: dict[str, Any], severity: str) -> None:
    assert only(log(result(**more), rules=[{"id": "R1", **rule}]))["severity"] == severity


RULE = {"id": "R7", "shortDescription": {"text": "A short word"}, "properties": {"tags": ["external/cwe/cwe-089"]}}
CWE = {"name": "CWE", "taxa": [{"id": "89"}]}


@pytest.mark.parametrize(
    ("run", "more"),
    [
        ({"rules": [RULE]}, {"ruleId": "R7"}),
        ({"rules": [{"id": "R1"}, RULE]}, {"ruleIndex": 1}),
        ({"rules": [{"id": "R1"}, RULE]}, {"ruleId": "R7", "ruleIndex": 1}),
        ({"rules": [{"id": "R1"}, RULE]}, {"rule": {"id": "R7", "index": 1}}),
        ({"rules": [RULE]}, {"ruleId": "R7/special/case"}),
        (
            {"tool": {"driver": {"name": "C"}, "extensions": [{"name": "e"}, {"name": "x", "rules": [RULE]}]}},
            {"ruleId": "R7"},
        ),
        (
            {"tool": {"driver": {"name": "C"}, "extensions": [{"name": "e"}, {"name": "x", "rules": [RULE]}]}},
            {"rule": {"index": 0, "toolComponent": {"index": 1}}},
        ),
        (
            {
                "tool": {
                    "driver": {"name": "C", "rules": [{"id": "R1"}]},
                    "extensions": [{"name": "x", "rules": [RULE]}],
                }
            },
            {"rule": {"index": 0, "toolComponent": {"name": "x"}}},
        ),
    ],
)
def test_a_rule_is_found_in_the_driver_and_in_extensions(run: dict[str, Any], more: dict[str, Any]) -> None:
    one = result() | more
    if "ruleId" not in more:
        del one["ruleId"]
    row = only(log(one, **run))
    assert (row["category"], row["cwe_id"], row["title"]) == ("sql_injection", "CWE-89", "A short word")


@pytest.mark.parametrize(
    ("more", "rule", "run"),
    [
        ({"taxa": [{"id": "89", "toolComponent": {"name": "CWE"}}]}, {}, {}),
        ({"taxa": [{"id": "89", "toolComponent": {"index": 0}}]}, {}, {"taxonomies": [CWE]}),
        ({}, {"relationships": [{"target": {"id": "CWE-89", "toolComponent": {"name": "CWE"}}}]}, {}),
        ({"properties": {"cwe": "CWE-89"}}, {}, {}),
        ({}, {"properties": {"cwe": ["CWE-89: Improper Neutralization"]}}, {}),
    ],
)
def test_a_cwe_is_taken_from_taxa_and_properties(more: dict[str, Any], rule: Any, run: dict[str, Any]) -> None:
    assert only(log(result(**more), rules=[{"id": "R1", **rule}], **run))["category"] == "sql_injection"


def test_a_category_is_never_guessed_from_words() -> None:
    row = only(log(result(message={"text": "SQL injection, CWE-89, in this query"})))
    assert (row["category"], row["cwe_id"]) == ("other", None)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"suppressions": [{"kind": "inSource"}]}, "suppressed"),
        ({"suppressions": [{"kind": "external", "status": "accepted"}]}, "suppressed"),
        ({"kind": "pass"}, "of kind pass"),
        ({"kind": "notApplicable"}, "of kind notApplicable"),
        ({"baselineState": "absent"}, "absent since the baseline"),
    ],
)
def test_what_is_not_an_open_finding_is_skipped_and_counted(more: dict[str, Any], reason: str) -> None:
    reading = read(log(result(), result(**more), result(**more)))
    assert (len(reading.rows), reading.scan.skipped) == (1, {reason: 2})


@pytest.mark.parametrize(
    "more",
    [
        {"suppressions": []},
        {"suppressions": [{"kind": "external", "status": "underReview"}]},
        {"suppressions": [{"kind": "external"}, {"kind": "external", "status": "rejected"}]},
        {"kind": "review"},
        {"baselineState": "unchanged"},
    ],
)
def test_a_result_that_may_be_open_is_a_finding(more: dict[str, Any]) -> None:
    assert len(read(log(result(**more))).rows) == 1


BASES = {
    "ROOT": {"uri": "file:///home/ci/work/shop/"},
    "SRC": {"uri": "packages/web/", "uriBaseId": "ROOT"},
    "FREE": {"description": {"text": "wherever"}},
}


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ({"uri": "src/app.py"}, "src/app.py"),
        ({"uri": "./src/../src/app%20one.py"}, "src/app one.py"),
        ({"uri": "src\\app.py"}, "src/app.py"),
        ({"uri": "app.py", "uriBaseId": "SRC"}, "packages/web/app.py"),
        ({"uri": "app.py", "uriBaseId": "ROOT"}, "app.py"),
        ({"uri": "app.py", "uriBaseId": "FREE"}, "app.py"),
        ({"uri": "app.py", "uriBaseId": "%SRCROOT%"}, "app.py"),
        ({"uri": "file:///home/ci/work/shop/lib/a.py"}, "lib/a.py"),
        ({"uri": "/home/ci/work/shop/lib/a.py"}, "lib/a.py"),
        ({"index": 1}, "lib/b.py"),
        ({"uri": "src/C#/A.cs"}, "src/C#/A.cs"),
        ({"uri": "pages/what?.py"}, "pages/what?.py"),
    ],
)
def test_a_path_is_relative_to_the_repository(place: dict[str, Any], path: str) -> None:
    one = result(locations=[{"physicalLocation": {"artifactLocation": place}}])
    artifacts = [{"location": {"uri": "lib/a.py"}}, {"location": {"uri": "lib/b.py"}}]
    assert only(log(one, originalUriBaseIds=BASES, artifacts=artifacts))["file_path"] == path


@pytest.mark.parametrize(
    "uri",
    ["/etc/passwd", "file:///etc/passwd", "../outside.py", "src/../../outside.py", "C:\\code\\a.c", "file:///C:/code/a.c",
     "file://host/share/a.c", "//host/share/a.c", "..\\outside.py", "~/a.py", "https://site.example/login?x=1",
     "http://evil/../../etc", "git::https://x/y.tf", "%2e%2e/outside.py", "%2Fetc/passwd"],
)  # fmt: skip
def test_a_path_out_of_the_repository_is_rejected(uri: str) -> None:
    reading = read(log(result(locations=[location(uri)]), originalUriBaseIds=BASES))
    assert [row["reason"] for row in reading.rejected] == ["not a path in the repository"]


def test_a_repository_in_the_file_goes_before_the_source_context() -> None:
    document = log(result(), versionControlProvenance=[{"repositoryUri": "git@github.com:acme/web.git"}])
    row = only(document)
    assert (row["repo_url"], row["service_name"]) == ("https://github.com/acme/web", "shop")


def test_the_base_that_is_mapped_to_the_repository_is_its_root() -> None:
    provenance = [{"repositoryUri": "https://github.com/acme/web", "mappedTo": {"uriBaseId": "SRC"}}]
    one = result(locations=[location("app.py", uriBaseId="SRC")])
    assert only(log(one, originalUriBaseIds=BASES, versionControlProvenance=provenance))["file_path"] == "app.py"


def test_a_message_gets_its_arguments() -> None:
    rule = {"id": "R1", "messageStrings": {"default": {"text": "Use of {0} in {1}, {7}."}}}
    row = only(log(result(message={"id": "default", "arguments": ["eval", "main"]}), rules=[rule]))
    assert row["description"] == "Use of eval in main, {7}."


def moved(document: dict[str, Any], lines: int) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    for one in changed["runs"][0]["results"]:
        one["locations"][0]["physicalLocation"]["region"]["startLine"] += lines
    return changed


@pytest.mark.parametrize("name", ["fingerprints", "partialFingerprints"])
def test_with_a_fingerprint_a_finding_stays_the_same_when_its_line_moves(name: str) -> None:
    document = log(result() | {name: {"primaryLocationLineHash": "abc:1"}})
    assert read(document).keys == read(moved(document, 10)).keys
    assert only(document)["finding_id"] == only(moved(document, 10))["finding_id"]
    unprinted = log(result())
    assert read(unprinted).keys != read(moved(unprinted, 10)).keys


def test_fingerprints_of_two_rules_are_two_findings() -> None:
    same = {"partialFingerprints": {"primaryLocationLineHash": "abc:1"}}
    assert len(read(log(result("R1") | same, result("R2") | same)).keys) == 2


def test_a_fingerprint_that_several_lines_share_is_not_used() -> None:
    commit = {"partialFingerprints": {"commitSha": "abc", "email": "a@b.c", "author": "Ada", "commitMessage": "m"}}
    same = {"partialFingerprints": {"snippet/v1": "abc"}}
    for shared in (commit, same):
        found = [result(locations=[location("a.py", line)]) | shared for line in (10, 55, 99)]
        reading = read(log(*found))
        assert (len(reading.keys), reading.all("fingerprint")) == (3, [None] * 3)


def test_a_further_fingerprint_and_another_indentation_change_no_key() -> None:
    def keys(**fingerprints: str) -> set[str]:
        return read(log(result(partialFingerprints=fingerprints))).keys

    assert keys(a="1") == keys(a="1", b="2")
    column = "primaryLocationStartColumnFingerprint"
    assert keys(primaryLocationLineHash="h:1", **{column: "4"}) == keys(primaryLocationLineHash="h:1", **{column: "8"})


def test_the_root_of_a_machine_is_not_that_of_a_repository() -> None:
    one = result(locations=[location("file:///home/ci/shop/a.py")])
    bases = {"ROOT": {"uri": "file:///"}, "SRC": {"uri": "file:///home/ci/shop/"}}
    for order in (bases, dict(reversed(bases.items()))):
        assert only(log(one, originalUriBaseIds=order))["file_path"] == "a.py"
    there = SourceContext(repo_url="https://github.com/acme/shop", root="/home/ci/shop")
    assert only(log(one, originalUriBaseIds={"ROOT": bases["ROOT"]}), there)["file_path"] == "a.py"


def test_secrets_are_not_quoted() -> None:
    match = {"text": "Match: password=hunter2"}
    rule = {
        "id": "key",
        "name": "Secret",
        "shortDescription": {"text": "A key"},
        "fullDescription": match,
        "help": match,
    }
    tool = {"driver": {"name": "Trivy", "rules": [rule, {"id": "GPL", "name": "License"}]}}
    reading = read(log(result("key", message=match), result("GPL"), tool=tool))
    assert reading.all("category", "title") == [("hardcoded_secret", "A key")]
    assert reading.scan.skipped == {"licenses": 1}
    hard_coded = result(message={"text": 'The value "hunter2" is used as a password'}, properties={"cwe": 798})
    for one in (reading, read(log(hard_coded))):
        assert "hunter2" not in json.dumps([one.rows, one.rejected], default=str)


def test_a_password_in_the_address_of_a_repository_is_dropped() -> None:
    address = "https://x-access-token:ghs_SECRET@github.com/acme/web"
    reading = read(log(result(), versionControlProvenance=[{"repositoryUri": address}]))
    assert reading.all("repo_url") == ["https://github.com/acme/web"]
    assert "ghs_SECRET" not in json.dumps([reading.rows, reading.rejected], default=str)


def test_the_placeholder_for_users_without_a_login_is_not_a_fingerprint() -> None:
    same = {"fingerprints": {"matchBasedId/v1": "requires login"}}
    first, second = result() | same, result(locations=[location(line=70)]) | same
    assert len(read(log(first, second)).keys) == 2


def test_results_without_a_line_stay_apart_by_their_message() -> None:
    texts = [{"message": {"text": f"Class {name} is odd"}, "locations": [location(line=None)]} for name in "AB"]
    assert len(read(log(*(result() | one for one in texts))).keys) == 2


def test_vulnerabilities_of_one_manifest_stay_apart() -> None:
    tool = {
        "driver": {"name": "Trivy", "rules": [{"id": f"CVE-{n}", "name": "OsPackageVulnerability"} for n in (1, 2)]}
    }
    found = [result(f"CVE-{n}", locations=[location("package-lock.json", 1)]) for n in (1, 2)]
    reading = read(log(*found, tool=tool))
    assert (len(reading.keys), set(reading.all("category"))) == (2, {"dependency_vulnerability"})


def test_all_runs_are_read() -> None:
    document = log(result())
    document["runs"] += log(result("R2"), result("R3"))["runs"]
    assert len(read(document).rows) == 3


def test_a_run_that_reports_a_failure_gives_a_note() -> None:
    reading = read(log(result(), invocations=[{"executionSuccessful": False}]))
    assert reading.scan.notes == ("Checker reports that it did not succeed; findings may be missing",)


def snake_case(value: Any) -> Any:
    names = {"ruleId": "rule_id", "physicalLocation": "physical_location", "artifactLocation": "artifact_location"}
    if isinstance(value, dict):
        return {names.get(name, name): snake_case(one) for name, one in value.items()}
    return [snake_case(one) for one in value] if isinstance(value, list) else value


TOOL: dict[str, Any] = {"tool": {"driver": {"name": "C"}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (snake_case(log(result())), "writes SARIF's names with underscores"),
        (log(result()) | {"version": "2.0.0"}, "is SARIF of version '2.0.0'; export it as SARIF 2.1.0"),
        ({"version": "2.1.0", "runs": [TOOL]}, "has no results in its run 1: C did not finish"),
        ({"version": "2.1.0", "runs": [TOOL | {"results": None}]}, "has no results in its run"),
        ({"version": "2.1.0", "runs": {}}, "has no list of runs"),
        ({"version": "2.1.0", "runs": None}, "has no list of runs"),
        ({"version": "2.1.0", "runs": [{"results": []}]}, "names no tool for its run 1"),
        (log({"finding": "odd"}), "has a result that is not one of SARIF, at 0: its fields are finding"),
        (log("odd"), "has an element in its list of results that is not an object, at 0"),  # type: ignore[arg-type]
        (
            {"version": "2.1.0", "runs": [TOOL | {"externalPropertyFileReferences": {"results": [{}]}}]},
            "keeps its results in other files",
        ),
    ],
)  # fmt: skip
def test_what_only_looks_like_sarif_is_refused(document: Any, message: str) -> None:
    with pytest.raises(FindingsFileError) as caught:
        read(document)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_that_is_cut_off_is_refused() -> None:
    text = json.dumps(log(*(result(f"R{n}") for n in range(20))), indent=1)
    for cut in range(1, len(text) - 1, 97):
        with pytest.raises(FindingsFileError, match="is JSON that is cut off or damaged at line"):
            read_text(text[:-cut])
