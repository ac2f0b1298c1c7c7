"""Semgrep's JSON, as `semgrep scan --json` writes it: https://semgrep.dev/docs/semgrep-appsec-platform/json-and-sarif.

Two results are the same finding if they have the same fingerprint, as in Semgrep's SARIF. Semgrep writes fingerprints
only for users who are logged in. Without them, two results in code are the same finding if they have the same line, and
two of Semgrep Supply Chain if they have the same rule and file.
"""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.vocabulary.category import categorize, cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package, language_of_path
from remediation_assets.findings.vocabulary.package import package_name, package_type
from remediation_assets.findings.vocabulary.path import repository_path
from remediation_assets.findings.vocabulary.severity import severity_of
from remediation_assets.models import FindingCategory

from .row import Item, Note, Row, Skipped, fields, first_text, generated_id, line_of, objects, paragraphs, text
from .sarif import fingerprint_of

SCANNER = "Semgrep"

# The name that SARIF has for the fingerprint: with it a finding is the same in both formats.
_FINGERPRINT = "matchBasedId/v1"

# Severities of experiments and inventories: the result is listed, it is not a complaint.
_MINOR = {"EXPERIMENT", "INVENTORY"}


def recognizes(document: Any) -> bool:
    """Whether a document is Semgrep's: results with a check's id, or no results but the paths scanned."""
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        return False
    results = document["results"]
    if results:
        return "check_id" in fields(results[0])
    return isinstance(document.get("errors"), list) and isinstance(document.get("paths"), dict)


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Yield the findings; those that a comment in the code ignores are skipped."""
    errors = sum(1 for _ in objects(document, "errors"))
    if errors:
        yield Note(f"Semgrep had {errors} errors; findings may be missing")
    for result in objects(document, "results", optional=False):
        extra = fields(result.get("extra"))
        if extra.get("is_ignored") is True:
            yield Skipped("suppressed")
        else:
            yield _row(result, extra)


def _row(result: dict[str, Any], extra: dict[str, Any]) -> Row:
    metadata = fields(extra.get("metadata"))
    rule_id = text(result.get("check_id"))
    path = repository_path(text(result.get("path")) or "")
    start = fields(result.get("start"))
    labels = metadata.get("cwe")
    cwes = cwe_numbers(labels if isinstance(labels, list) else [labels], bare=True)
    category, cwe = categorize(cwes, rule_id=rule_id, tool=SCANNER)
    fingerprint = fingerprint_of(rule_id, _FINGERPRINT, extra.get("fingerprint"))
    message, word = text(extra.get("message")) or "", text(extra.get("severity"))
    if category is FindingCategory.HARDCODED_SECRET:
        message = ""  # it may quote what was found
    line = line_of(start.get("line"))
    row = Row(
        finding_id=generated_id(rule_id, path, fingerprint or (line, start.get("col"))),
        scanner=SCANNER,
        category=category,
        severity=severity_of("info" if word in _MINOR else word),
        title=first_text(message.strip().partition("\n")[0], rule_id),
        description=paragraphs(message, metadata.get("source")),
        file_path=path,
        line_number=line,
        cwe_id=cwe,
        language=language_of_path(path),
        rule_id=rule_id,
        fingerprint=fingerprint,
    )
    return row | _of_dependency(fields(extra.get("sca_info")), cwe)


def _of_dependency(sca: dict[str, Any], cwe: str | None) -> Row:
    """Return what a result of Semgrep Supply Chain says about its package; nothing for any other result."""
    match = fields(sca.get("dependency_match"))
    package = fields(match.get("found_dependency"))
    name = text(package.get("package"))
    if not name:
        return Row()
    ecosystem = package.get("ecosystem")
    dependency = Row(
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        dependency_name=package_name(ecosystem, name),
        current_version=text(package.get("version")),
        language=language_of_package(package_type(ecosystem) or ""),
        cwe_id=cwe,
    )
    lockfile = text(match.get("lockfile"))
    # A reachable result is about the code that calls the package, so its place is that code.
    if not lockfile or sca.get("reachable") is True:
        return dependency
    return dependency | Row(file_path=repository_path(lockfile), line_number=line_of(package.get("line_number")))
