"""OSV-Scanner's JSON: https://google.github.io/osv-scanner/output/#json."""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.normalizing.categories import cwe_numbers
from remediation_assets.findings.normalizing.languages import language_of_package
from remediation_assets.findings.normalizing.packages import package_name, package_type, versions_told
from remediation_assets.findings.normalizing.severities import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import Item, Row, Unreadable, elements, fields, first_text, joined, objects, text

SCANNER = "OSV-Scanner"


def recognizes(document: Any) -> bool:
    """Say whether a document is OSV-Scanner's: results with a source and its packages, or none beside its settings."""
    if not isinstance(document, dict) or "results" not in document:
        return False
    results = elements(document["results"])
    if not results:
        return "experimental_config" in document
    return "source" in fields(results[0]) and "packages" in fields(results[0])


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Give one finding for each group: the scanner puts the ids into one that databases give one vulnerability."""
    if document.get("results") is None:
        return
    for result in objects(document, "results", optional=False):
        source = fields(result.get("source"))
        for package in objects(result, "packages"):
            known = {text(one.get("id")) or "": one for one in objects(package, "vulnerabilities")}
            groups = [[text(one) or "" for one in elements(group.get("ids"))] for group in objects(package, "groups")]
            scores = [score_of(group.get("max_severity")) for group in objects(package, "groups")]
            grouped = {one for ids in groups for one in ids}
            missing = [one for ids in groups for one in ids if one not in known]
            if missing:
                raise Unreadable(f"names {missing[0]} in a group and does not describe it; scan again")
            alone = [[one] for one in known if one not in grouped]
            for ids, score in zip([*groups, *alone], [*scores, *(None for _ in alone)], strict=True):
                yield _row([known[one] for one in ids], score, fields(package.get("package")), source)


def _row(known: list[dict[str, Any]], score: float | None, package: dict[str, Any], source: dict[str, Any]) -> Row:
    ids = [text(one.get("id")) or "" for one in known]
    names = [*ids, *(text(alias) or "" for one in known for alias in elements(one.get("aliases")))]
    best = next((name for name in names if name.startswith("CVE-")), ids[0] if ids else None)
    ecosystem, name = package.get("ecosystem"), text(package.get("name")) or ""
    if score is None:
        told = [score_of(fields(one).get("score")) for advisory in known for one in elements(advisory.get("severity"))]
        score = max((one for one in told if one is not None), default=None)
    described = [fields(advisory.get("database_specific")) for advisory in known]
    cwes = cwe_numbers((cwe for one in described for cwe in elements(one.get("cwe_ids"))), bare=True)
    return Row(
        finding_id=best,
        scanner=SCANNER,
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        severity=severity_of(first_text(*(one.get("severity") for one in described)), score),
        title=first_text(*(one.get("summary") for one in known), f"{best}: {name}"),
        description=joined(
            f"Known as {', '.join(dict.fromkeys(filter(None, names)))}.", *(one.get("details") for one in known)
        ),
        file_path=text(source.get("path")),
        cwe_id=f"CWE-{cwes[0]}" if cwes else None,
        dependency_name=package_name(ecosystem, name) or None,
        current_version=first_text(package.get("version"), package.get("commit")),
        fixed_version=versions_told(_fixes(known, name, ecosystem)),
        language=language_of_package(package_type(ecosystem) or ""),
        rule_id=best,
    )


def _fixes(known: list[dict[str, Any]], name: str, ecosystem: object) -> Iterator[str]:
    """Give the versions that fix a package, of all its release lines (OSV schema, `affected[].ranges[].events`).

    An advisory may tell of other ecosystems too, and of other releases of a distribution, as `Debian:12`.
    """
    for advisory in known:
        for affected in map(fields, elements(advisory.get("affected"))):
            package = fields(affected.get("package"))
            theirs = package.get("ecosystem") or ecosystem
            if package_name(theirs, text(package.get("name")) or "") != package_name(ecosystem, name):
                continue
            if isinstance(ecosystem, str) and ":" in ecosystem and theirs != ecosystem:
                continue
            for of_range in map(fields, elements(affected.get("ranges"))):
                if of_range.get("type") != "GIT":
                    fixes = (text(fields(event).get("fixed")) for event in elements(of_range.get("events")))
                    yield from (fix for fix in fixes if fix)
