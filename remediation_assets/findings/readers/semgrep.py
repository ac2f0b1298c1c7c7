"""Semgrep's JSON, as `semgrep scan --json` writes it: https://semgrep.dev/docs/semgrep-appsec-platform/json-and-sarif."""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.normalizing.categories import categorize, cwe_numbers
from remediation_assets.findings.normalizing.languages import language_of_package, language_of_path
from remediation_assets.findings.normalizing.packages import package_name, package_type
from remediation_assets.findings.normalizing.paths import repository_path
from remediation_assets.findings.normalizing.severities import severity_of
from remediation_assets.models import FindingCategory

from .row import Item, LeftOut, Note, Row, fields, first_text, joined, line_of, made_id, objects, text
from .sarif import fingerprint_of

SCANNER = "Semgrep"

# What SARIF calls the fingerprint that JSON writes without a name.
_FINGERPRINT = "matchBasedId/v1"

# Of experiments and inventories: what is found is listed, not complained of.
_MINOR = {"EXPERIMENT", "INVENTORY"}


def recognizes(document: Any) -> bool:
    """Say whether a document is Semgrep's: results with a check's id, or none beside what was scanned."""
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        return False
    results = document["results"]
    if results:
        return "check_id" in fields(results[0])
    return isinstance(document.get("errors"), list) and isinstance(document.get("paths"), dict)


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Give the findings; those that a comment in the code ignores are left out."""
    errors = sum(1 for _ in objects(document, "errors"))
    if errors:
        yield Note(f"Semgrep had {errors} errors; findings may be missing")
    for result in objects(document, "results", optional=False):
        extra = fields(result.get("extra"))
        if extra.get("is_ignored") is True:
            yield LeftOut("suppressed")
        else:
            yield _row(result, extra)


def _row(result: dict[str, Any], extra: dict[str, Any]) -> Row:
    metadata = fields(extra.get("metadata"))
    rule_id = text(result.get("check_id"))
    path = repository_path(text(result.get("path")) or "")
    start = fields(result.get("start"))
    told = metadata.get("cwe")
    cwes = cwe_numbers(told if isinstance(told, list) else [told], bare=True)
    category, cwe = categorize(cwes, rule_id=rule_id, tool=SCANNER)
    fingerprint = fingerprint_of(rule_id, _FINGERPRINT, extra.get("fingerprint"))
    message, word = text(extra.get("message")) or "", text(extra.get("severity"))
    if category is FindingCategory.HARDCODED_SECRET:
        message = ""  # it may quote what was found
    line = line_of(start.get("line"))
    row = Row(
        finding_id=made_id(rule_id, path, fingerprint or (line, start.get("col"))),
        scanner=SCANNER,
        category=category,
        severity=severity_of("info" if word in _MINOR else word),
        title=first_text(message.strip().partition("\n")[0], rule_id),
        description=joined(message, metadata.get("source")),
        file_path=path,
        line_number=line,
        cwe_id=cwe,
        language=language_of_path(path),
        rule_id=rule_id,
        fingerprint=fingerprint,
    )
    return row | _of_dependency(fields(extra.get("sca_info")), cwe)


def _of_dependency(sca: dict[str, Any], cwe: str | None) -> Row:
    """Give what a result of Semgrep Supply Chain tells of the package it is about."""
    match = fields(sca.get("dependency_match"))
    package = fields(match.get("found_dependency"))
    name = text(package.get("package"))
    if not name:
        return Row()
    ecosystem = package.get("ecosystem")
    told = Row(
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        dependency_name=package_name(ecosystem, name),
        current_version=text(package.get("version")),
        language=language_of_package(package_type(ecosystem) or ""),
        cwe_id=cwe,
    )
    lockfile = text(match.get("lockfile"))
    if not lockfile or sca.get("reachable") is True:
        return told
    return told | Row(file_path=repository_path(lockfile), line_number=line_of(package.get("line_number")))
