"""The scanners' vocabulary, translated into ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation_assets.findings.vocabulary.category import categorize, cwe_numbers
from remediation_assets.findings.vocabulary.package import join_versions, package_name, without_version
from remediation_assets.findings.vocabulary.path import path_of_uri, repository_address, repository_path
from remediation_assets.findings.vocabulary.severity import score_of, severity_of


@pytest.mark.parametrize(
    ("word", "score", "severity"),
    [
        ("CRITICAL", None, "critical"),
        (" Very High ", None, "critical"),
        ("Error", None, "high"),
        ("moderate", None, "medium"),
        ("informational", None, "low"),
        ("low", 9.0, "critical"),
        ("low", 8.9, "high"),
        ("low", 4.0, "medium"),
        ("critical", 3.9, "low"),
        (None, None, "medium"),
        ("UNKNOWN", None, "medium"),
        ("fatal-ish", None, "fatal-ish"),
    ],
)
def test_every_scale_is_translated_into_ours(word: str | None, score: float | None, severity: str) -> None:
    assert severity_of(word, score) == severity


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("9.8", 9.8),
        (7, 7.0),
        (0, None),
        ("0.0", None),
        (11, None),
        ("nan", None),
        (True, None),
        ([], None),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5),
        ("CVSS:3.1/AV:X", None),
        ("CVSS:9/AV:N", None),
    ],
)
def test_a_cvss_score_is_a_number_or_a_vector(value: object, score: float | None) -> None:
    assert score_of(value) == score


@given(st.text(max_size=60) | st.floats() | st.integers() | st.text(max_size=20).map(lambda rest: f"CVSS:3.1/{rest}"))
def test_no_score_and_no_word_is_an_error(value: object) -> None:
    score = score_of(value)
    assert score is None or 0 < score <= 10
    assert severity_of(value, score)


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (["external/cwe/cwe-089", "security"], [89]),
        (["CWE-79: Improper Neutralization", "OWASP-A03"], [79]),
        (["cwe_22", "CWE:23", "CWE 36", "89"], [22, 23, 36, 89]),
        ([89, None, True, "", "CWE-000", "notcwe-12x"], [89]),
        (["CWE-123456"], []),
    ],
)
def test_cwe_numbers_are_read_from_labels(labels: list[object], numbers: list[int]) -> None:
    assert cwe_numbers(labels, bare=True) == numbers


def test_a_bare_number_is_a_cwe_only_if_it_can_mean_nothing_else() -> None:
    assert cwe_numbers(["22", 89, "CWE-20 Top 25", "CWE-287 (rank 22 of 25)"]) == [20, 287]
    assert cwe_numbers(["22, 89", "CWE-20 Top 25"], bare=True) == [22, 89, 20]


@pytest.mark.parametrize(
    ("cwes", "more", "category", "cwe"),
    [
        ([89], {}, "sql_injection", "CWE-89"),
        ([20, 79], {}, "xss", "CWE-79"),
        ([312, 359, 532], {}, "pii_logging", "CWE-532"),
        ([327], {}, "other", "CWE-327"),
        ([], {}, "other", None),
        ([], {"rule_id": "py/sql-injection"}, "sql_injection", None),
        ([], {"rule_id": "B608"}, "sql_injection", None),
        ([], {"rule_id": "sql injection"}, "other", None),
        ([], {"tool": "gitleaks", "rule_id": "aws-key"}, "hardcoded_secret", None),
        ([79], {"tool": "Grype"}, "dependency_vulnerability", "CWE-79"),
    ],
)
def test_a_category_follows_from_cwe_rule_or_tool(
    cwes: list[int], more: dict[str, str], category: str, cwe: str | None
) -> None:
    assert categorize(cwes, **more) == (category, cwe)


@pytest.mark.parametrize(
    ("ecosystem", "name", "purl"),
    [
        ("npm", "@angular/core", "pkg:npm/%40angular/core"),
        ("maven", "com.google.guava:guava", "pkg:maven/com.google.guava/guava"),
        ("Go", "github.com/gin-gonic/gin", "pkg:golang/github.com/gin-gonic/gin"),
        ("PyPI", "Django", "pkg:pypi/django"),
        ("Packagist", "guzzlehttp/psr7", "pkg:composer/guzzlehttp/psr7"),
        ("Debian:11", "openssl", "pkg:deb/openssl"),
        ("unheard-of", "thing", "thing"),
        (None, "thing", "thing"),
        ("npm", "", ""),
    ],
)
def test_a_package_is_named_by_its_url(ecosystem: str | None, name: str, purl: str) -> None:
    assert package_name(ecosystem, name) == purl


def test_a_package_url_loses_its_version() -> None:
    assert without_version("pkg:npm/lodash@4.17.20?arch=x#sub") == "pkg:npm/lodash"
    assert without_version("lodash") is None
    assert without_version(7) is None


def test_versions_are_joined_in_order() -> None:
    assert join_versions(["3.10.0", "3.9.1", "3.9.1", "2.0"]) == "2.0, 3.9.1, 3.10.0"
    assert join_versions([]) is None
    assert join_versions(["9" * 5000, "1"]) == "1, " + "9" * 5000


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://x-access-token:ghs_SECRET@github.com/acme/shop", "https://github.com/acme/shop"),
        ("git@github.com:acme/shop.git", "https://github.com/acme/shop"),
        ("ssh://git@ghe.corp:2222/acme/shop.git", "https://ghe.corp/acme/shop"),
        ("https://github.com/acme/shop", "https://github.com/acme/shop"),
        ("", ""),
    ],
)
def test_a_repository_is_its_https_address_without_a_password(written: str, address: str) -> None:
    assert repository_address(written) == address


@given(st.text(alphabet="./\\ab:C~%2e", max_size=30), st.text(alphabet="/ab.\\C:", max_size=8))
def test_a_path_stays_in_the_repository_or_shows_that_it_does_not(path: str, root: str) -> None:
    once = repository_path(path_of_uri(path), [root] if root else [])
    assert "\\" not in once
    assert repository_path(once) == once
