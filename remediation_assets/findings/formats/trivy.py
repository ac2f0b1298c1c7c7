"""Trivy's JSON, as `trivy --format json` writes it: the object of schema 2, and the bare list before it.

See https://trivy.dev/latest/docs/configuration/reporting/#json. Two vulnerabilities are the same
finding if they have the same file, package and fixed version, or the same id if no version fixes them; two
misconfigurations, if they have the same rule, line, resource and message; two secrets, if they have the same line.
"""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.vocabulary.category import cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package, language_of_path
from remediation_assets.findings.vocabulary.package import package_name, package_type, without_version
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import (
    Item,
    Row,
    Skipped,
    Unreadable,
    elements,
    fields,
    first_text,
    generated_id,
    line_of,
    objects,
    paragraphs,
    text,
)

SCANNER = "Trivy"

_KINDS = ("Vulnerabilities", "Misconfigurations", "Secrets")

# With this status of a vulnerability Trivy says that the package does not have it, so there is nothing to fix.
_NOT_AFFECTED = {"not_affected"}


def recognizes(document: Any) -> bool:
    """Whether a document is Trivy's, of either schema."""
    if isinstance(document, list):
        return bool(document) and all(isinstance(one, dict) and "Target" in one for one in document)
    if not isinstance(document, dict):
        return False
    return "SchemaVersion" in document and ("Results" in document or "ArtifactName" in document)


def read(document: Any) -> Iterator[Item]:
    """Yield vulnerabilities, failed misconfiguration checks, and secrets; raise Unreadable for another schema."""
    if isinstance(document, list):
        for result in document:
            yield from _result(result, None)
        return
    if document.get("SchemaVersion") != 2:
        raise Unreadable(f"has Trivy's schema {document.get('SchemaVersion')!r}; expected schema 2")
    metadata = fields(document.get("Metadata"))
    repo_url = text(metadata.get("RepoURL"))
    if document.get("ArtifactType") == "repository":
        name = text(document.get("ArtifactName")) or ""
        repo_url = repo_url or (name if name.startswith("https://") else None)
    # Trivy omits the list if it found nothing.
    for result in objects(document, "Results"):
        yield from _result(result, repo_url)


def _result(result: dict[str, Any], repo_url: str | None) -> Iterator[Item]:
    target = text(result.get("Target")) or ""
    shared = Row(scanner=SCANNER, repo_url=repo_url)
    for found in objects(result, "Vulnerabilities"):
        status = text(found.get("Status"))
        if status in _NOT_AFFECTED:
            yield Skipped(f"of status {status}")
        else:
            yield shared | _vulnerability(found, target, result)
    for found in objects(result, "Misconfigurations"):
        status = first_text(found.get("Status"), "FAIL")
        yield Skipped(f"of status {status}") if status != "FAIL" else shared | _misconfiguration(found, target)
    for found in objects(result, "Secrets"):
        yield shared | _secret(found, target)
    for name, reason in (("Licenses", "licenses"), ("ExperimentalModifiedFindings", "suppressed")):
        if count := len(elements(result.get(name))):
            yield Skipped(reason, count)


def _vulnerability(found: dict[str, Any], target: str, result: dict[str, Any]) -> Row:
    rule_id = text(found.get("VulnerabilityID"))
    identifier = fields(found.get("PkgIdentifier"))
    name = text(found.get("PkgName")) or ""
    kind = result.get("Type")
    # Some targets are not a file but all packages of a language; each package then has its own path.
    own = text(found.get("PkgPath")) if result.get("Class") == "lang-pkgs" else None
    cwes = cwe_numbers(elements(found.get("CweIDs")), bare=True)
    return Row(
        finding_id=rule_id,
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        severity=severity_of(found.get("Severity"), _score(found)),
        title=first_text(found.get("Title"), f"{rule_id}: {name}"),
        description=paragraphs(found.get("Description"), found.get("PrimaryURL")),
        file_path=own or target,
        cwe_id=f"CWE-{cwes[0]}" if cwes else None,
        dependency_name=without_version(identifier.get("PURL")) or package_name(kind, name),
        current_version=text(found.get("InstalledVersion")),
        fixed_version=text(found.get("FixedVersion")),
        language=language_of_package(package_type(kind) or ""),
        rule_id=rule_id,
    )


def _score(found: dict[str, Any]) -> float | None:
    """Return the score by the source of the severity; other vendors score their own packages."""
    scores = fields(fields(found.get("CVSS")).get(text(found.get("SeveritySource")) or ""))
    by_version = (score_of(scores.get(name)) for name in ("V40Score", "V3Score", "V2Score"))
    return next((score for score in by_version if score is not None), None)


def _misconfiguration(found: dict[str, Any], target: str) -> Row:
    rule_id = first_text(found.get("ID"), found.get("AVDID"))
    cause = fields(found.get("CauseMetadata"))
    line = line_of(cause.get("StartLine"))
    return Row(
        finding_id=generated_id(rule_id, target, line, found.get("Message")),
        category=FindingCategory.OTHER,
        severity=severity_of(found.get("Severity")),
        title=first_text(found.get("Title"), rule_id),
        description=paragraphs(
            found.get("Message"), found.get("Description"), found.get("Resolution"), found.get("PrimaryURL")
        ),
        file_path=target,
        line_number=line,
        language=language_of_path(target),
        rule_id=rule_id,
        # Several resources of one file may break one rule, on one line or without any.
        fingerprint=paragraphs(rule_id, line, cause.get("Resource"), found.get("Message")) or None,
    )


def _secret(found: dict[str, Any], target: str) -> Row:
    rule_id = text(found.get("RuleID"))
    line = line_of(found.get("StartLine"))
    # What matched is not passed on, even though Trivy masks it.
    return Row(
        finding_id=generated_id(rule_id, target, line),
        category=FindingCategory.HARDCODED_SECRET,
        severity=severity_of(found.get("Severity")),
        title=first_text(found.get("Title"), rule_id),
        description=paragraphs(found.get("Title"), found.get("Category")),
        file_path=target,
        line_number=line,
        cwe_id="CWE-798",
        language=language_of_path(target),
        rule_id=rule_id,
    )
