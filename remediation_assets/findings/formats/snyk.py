"""Snyk's JSON of open-source dependencies, as `snyk test --json` writes it, of one project or of several.

Snyk Code and Snyk IaC write SARIF (`--sarif`). See https://docs.snyk.io/developer-tools/snyk-cli/commands/test. Two
issues are the same finding if they have the same manifest, package and fixed versions. If no version fixes an issue,
Snyk's issue id takes the place of the fixed versions.
"""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.vocabulary.category import cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package
from remediation_assets.findings.vocabulary.package import join_versions, package_name, package_type
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import Item, Row, Skipped, Unreadable, elements, fields, first_text, objects, paragraphs, text

SCANNER = "Snyk"


def recognizes(document: Any) -> bool:
    """Whether a document is Snyk's: a project with its vulnerabilities, or a list of projects."""
    projects = document if isinstance(document, list) else [document]
    return bool(projects) and all(_is_project(fields(project)) for project in projects)


def _is_project(project: dict[str, Any]) -> bool:
    if "infrastructureAsCodeIssues" in project or ("error" in project and "ok" in project):
        return True
    return "vulnerabilities" in project and any(
        name in project for name in ("packageManager", "projectName", "dependencyCount", "uniqueCount")
    )


def read(document: Any) -> Iterator[Item]:
    """Yield one finding for each issue of a package, however many dependency paths lead to the package."""
    for project in _projects(document):
        name = first_text(project.get("projectName"), project.get("path"), project.get("displayTargetFile")) or "?"
        if "infrastructureAsCodeIssues" in project:
            raise Unreadable(f"is from Snyk IaC ({name}); export it with `snyk iac test --sarif`")
        if not isinstance(project.get("vulnerabilities"), list):
            raise Unreadable(f"reports that Snyk could not test {name} ({text(project.get('error'))}); test it again")
        yield from _project(project)


def _projects(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the projects of a document; the project of a container image holds the projects of its applications."""
    for project in document if isinstance(document, list) else [document]:
        yield project
        yield from objects(project, "applications")


def _project(project: dict[str, Any]) -> Iterator[Item]:
    issues: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for issue in objects(project, "vulnerabilities"):
        if issue.get("type") == "license":
            yield Skipped("licenses")
        else:
            name = first_text(issue.get("packageName"), issue.get("name"))
            key = (str(text(issue.get("id"))), str(name), str(issue.get("version")))
            issues.setdefault(key, []).append(issue)
    if ignored := len(elements(fields(project.get("filtered")).get("ignore"))):
        yield Skipped("suppressed", ignored)
    # Snyk lists an issue once for each path to its package; one upgrade fixes all of them.
    for same in issues.values():
        yield _row(same[0], len(same), project)


def _row(issue: dict[str, Any], path_count: int, project: dict[str, Any]) -> Row:
    rule_id = text(issue.get("id"))
    kind = first_text(issue.get("packageManager"), project.get("packageManager"), issue.get("language"))
    name = first_text(issue.get("packageName"), issue.get("moduleName"), issue.get("name")) or ""
    identifiers = fields(issue.get("identifiers"))
    cwes = cwe_numbers(elements(identifiers.get("CWE")), bare=True)
    path = " > ".join(found for found in map(text, elements(issue.get("from"))) if found)
    fixed = filter(None, map(text, elements(issue.get("fixedIn"))))
    return Row(
        finding_id=rule_id,
        scanner=SCANNER,
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        severity=severity_of(
            first_text(issue.get("severityWithCritical"), issue.get("severity")), score_of(issue.get("cvssScore"))
        ),
        title=first_text(issue.get("title"), rule_id),
        description=paragraphs(
            f"Known as {', '.join(map(str, elements(identifiers.get('CVE'))))}." if identifiers.get("CVE") else None,
            f"{path_count} paths lead to the package, such as {path}."
            if path_count > 1
            else f"Path: {path}."
            if path
            else None,
            issue.get("description"),
        ),
        # The packages of a container image are in no file of the repository.
        file_path=first_text(
            project.get("displayTargetFile"),
            project.get("targetFile"),
            project.get("path") if "docker" in project else None,
        ),
        cwe_id=f"CWE-{cwes[0]}" if cwes else None,
        dependency_name=package_name(kind, name),
        current_version=text(issue.get("version")),
        fixed_version=join_versions(fixed),
        language=language_of_package(package_type(kind) or ""),
        rule_id=rule_id,
    )
