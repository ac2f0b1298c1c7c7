"""GitHub's alerts, as its REST API and its webhooks return them: code scanning, Dependabot, secret scanning.

Lists and single alerts: https://docs.github.com/rest/code-scanning, /rest/dependabot, /rest/secret-scanning. Two
alerts about code or secrets are the same finding if they have the same number. Two about dependencies are the same
finding if they have the same manifest, package and fixed version, or the same advisory id if no version fixes it.
"""

import re
from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.vocabulary.category import categorize, cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package, language_of_path
from remediation_assets.findings.vocabulary.package import package_name, package_type
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import Item, Row, Skipped, elements, fields, first_text, line_of, paragraphs, text

_CODE, _DEPENDENCY, _SECRET = "code-scanning", "dependabot", "secret-scanning"


def recognizes(document: Any) -> bool:
    """Whether a document is an alert, a webhook's message about one, or a list of alerts."""
    if isinstance(document, list):
        return bool(document) and all(_kind(fields(one)) for one in document)
    return isinstance(document, dict) and _kind(fields(document.get("alert", document))) is not None


def _kind(alert: dict[str, Any]) -> str | None:
    if "number" not in alert:
        return None
    if "rule" in alert and "tool" in alert and "state" in alert:
        return _CODE
    if "security_advisory" in alert and ("dependency" in alert or "security_vulnerability" in alert):
        return _DEPENDENCY
    # Old webhooks have no state of a secret, only its resolution.
    return _SECRET if "secret_type" in alert and ("state" in alert or "resolution" in alert) else None


def read(document: Any) -> Iterator[Item]:
    """Yield the open alerts; all others are skipped."""
    for one in document if isinstance(document, list) else [document]:
        alert = fields(one.get("alert", one))
        state = text(alert.get("state")) or ("resolved" if alert.get("resolution") else "open")
        if state != "open":
            yield Skipped(state.replace("_", " "))
            continue
        kind = _kind(alert)
        repository = first_text(
            fields(alert.get("repository")).get("html_url"), fields(one.get("repository")).get("html_url")
        )
        shared = Row(
            finding_id=f"{kind}-{alert['number']}",
            repo_url=repository or _repository(alert),
        )
        row = {_CODE: _of_code, _DEPENDENCY: _of_dependency, _SECRET: _of_secret}[kind or _SECRET](alert)
        yield shared | row


def _repository(alert: dict[str, Any]) -> str | None:
    """Return the repository's address, which is the beginning of the address of an alert's page."""
    page = re.match(r"https://[^/]+/[^/]+/[^/]+(?=/security/)", text(alert.get("html_url")) or "")
    return page[0] if page else None


def _of_code(alert: dict[str, Any]) -> Row:
    rule = fields(alert.get("rule"))
    instance = fields(alert.get("most_recent_instance") or next(iter(elements(alert.get("instances"))), None))
    location = fields(instance.get("location"))
    rule_id, tool = text(rule.get("id")), text(fields(alert.get("tool")).get("name"))
    category, cwe = categorize(
        cwe_numbers(elements(rule.get("tags"))), rule_id=rule_id, rule_name=text(rule.get("name")), tool=tool or ""
    )
    path = text(location.get("path"))
    return Row(
        scanner=tool,
        category=category,
        severity=severity_of(first_text(rule.get("security_severity_level"), rule.get("severity"))),
        title=first_text(rule.get("description"), rule.get("name"), rule_id),
        description=paragraphs(
            fields(instance.get("message")).get("text"), rule.get("full_description"), alert.get("html_url")
        ),
        file_path=path,
        line_number=line_of(location.get("start_line")),
        cwe_id=cwe,
        language=language_of_path(path or ""),
        rule_id=rule_id,
        # An alert keeps its number when its line moves.
        fingerprint=f"{rule_id} alert={alert['number']}",
    )


def _of_dependency(alert: dict[str, Any]) -> Row:
    advisory = fields(alert.get("security_advisory"))
    vulnerability, dependency = fields(alert.get("security_vulnerability")), fields(alert.get("dependency"))
    package = fields(dependency.get("package")) or fields(vulnerability.get("package"))
    kind, cvss = package.get("ecosystem"), fields(advisory.get("cvss"))
    cwes = cwe_numbers((fields(one).get("cwe_id") for one in elements(advisory.get("cwes"))), bare=True)
    rule_id = first_text(advisory.get("cve_id"), advisory.get("ghsa_id"))
    score = score_of(cvss.get("score"))
    return Row(
        scanner="Dependabot",
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        severity=severity_of(first_text(vulnerability.get("severity"), advisory.get("severity")), score),
        title=first_text(advisory.get("summary"), rule_id),
        description=paragraphs(
            f"{rule_id}, in {vulnerability.get('vulnerable_version_range') or 'some versions'}.",
            advisory.get("description"),
            alert.get("html_url"),
        ),
        file_path=text(dependency.get("manifest_path")),
        cwe_id=f"CWE-{cwes[0]}" if cwes else None,
        dependency_name=package_name(kind, text(package.get("name")) or "") or None,
        fixed_version=text(fields(vulnerability.get("first_patched_version")).get("identifier")),
        language=language_of_package(package_type(kind) or ""),
        rule_id=rule_id,
    )


def _of_secret(alert: dict[str, Any]) -> Row:
    place = fields(alert.get("first_location_detected"))
    name = first_text(alert.get("secret_type_display_name"), alert.get("secret_type"))
    # The field `secret` of the alert is the secret itself; it is not passed on.
    return Row(
        scanner="GitHub secret scanning",
        category=FindingCategory.HARDCODED_SECRET,
        severity=severity_of("critical" if alert.get("validity") == "active" else "high"),
        title=f"{name} in the repository",
        description=paragraphs(
            None if place else "The alert names no file; its page lists where the secret is.",
            alert.get("html_url"),
        ),
        # Without a file it is about the whole repository.
        file_path=text(place.get("path")) or ".",
        line_number=line_of(place.get("start_line")),
        cwe_id="CWE-798",
        language=language_of_path(text(place.get("path")) or ""),
        rule_id=text(alert.get("secret_type")),
        fingerprint=f"{alert.get('secret_type')} alert={alert['number']}",
    )
