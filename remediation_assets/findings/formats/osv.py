"""OSV-Scanner's JSON, as `osv-scanner --format json` writes it: https://google.github.io/osv-scanner/output/#json.

The format has no fingerprint: two results are the same finding if they have the same manifest, package and fixed
versions. If no version fixes a vulnerability, the advisory's id takes the place of the fingerprint.
"""

from collections.abc import Iterator
from typing import Any

from remediation_assets.findings.vocabulary.category import cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package
from remediation_assets.findings.vocabulary.package import join_versions, package_name, package_type
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import Item, Row, Unreadable, elements, fields, first_text, objects, paragraphs, text

SCANNER = "OSV-Scanner"


def recognizes(document: Any) -> bool:
    """Whether a document is OSV-Scanner's: results with a source and packages, or no results but its settings."""
    if not isinstance(document, dict) or "results" not in document:
        return False
    results = elements(document["results"])
    if not results:
        return "experimental_config" in document
    return "source" in fields(results[0]) and "packages" in fields(results[0])


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Yield one finding for each group: the ids under which several databases list one vulnerability."""
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
            ungrouped = [[one] for one in known if one not in grouped]
            for ids, score in zip([*groups, *ungrouped], [*scores, *(None for _ in ungrouped)], strict=True):
                yield _row([known[one] for one in ids], score, fields(package.get("package")), source)


def _row(known: list[dict[str, Any]], score: float | None, package: dict[str, Any], source: dict[str, Any]) -> Row:
    ids = [text(one.get("id")) or "" for one in known]
    names = [*ids, *(text(alias) or "" for one in known for alias in elements(one.get("aliases")))]
    best = next((name for name in names if name.startswith("CVE-")), ids[0] if ids else None)
    ecosystem, name = package.get("ecosystem"), text(package.get("name")) or ""
    if score is None:
        vectors = [fields(one).get("score") for advisory in known for one in elements(advisory.get("severity"))]
        score = max((one for one in map(score_of, vectors) if one is not None), default=None)
    described = [fields(advisory.get("database_specific")) for advisory in known]
    cwes = cwe_numbers((cwe for one in described for cwe in elements(one.get("cwe_ids"))), bare=True)
    return Row(
        finding_id=best,
        scanner=SCANNER,
        category=FindingCategory.DEPENDENCY_VULNERABILITY,
        severity=severity_of(first_text(*(one.get("severity") for one in described)), score),
        title=first_text(*(one.get("summary") for one in known), f"{best}: {name}"),
        description=paragraphs(
            f"Known as {', '.join(dict.fromkeys(filter(None, names)))}.", *(one.get("details") for one in known)
        ),
        file_path=text(source.get("path")),
        cwe_id=f"CWE-{cwes[0]}" if cwes else None,
        dependency_name=package_name(ecosystem, name) or None,
        current_version=first_text(package.get("version"), package.get("commit")),
        fixed_version=join_versions(_fixes(known, name, ecosystem)),
        language=language_of_package(package_type(ecosystem) or ""),
        rule_id=best,
    )


def _fixes(known: list[dict[str, Any]], name: str, ecosystem: object) -> Iterator[str]:
    """Yield the versions that fix a package, of all its release lines (OSV schema, `affected[].ranges[].events`).

    An advisory may list other ecosystems too, and other releases of a distribution, such as `Debian:12`.
    """
    for advisory in known:
        for affected in map(fields, elements(advisory.get("affected"))):
            package = fields(affected.get("package"))
            theirs = package.get("ecosystem") or ecosystem
            if package_name(theirs, text(package.get("name")) or "") != package_name(ecosystem, name):
                continue
            if isinstance(ecosystem, str) and ":" in ecosystem and theirs != ecosystem:
                continue
            for version_range in map(fields, elements(affected.get("ranges"))):
                # A range of type GIT names commits, not versions.
                if version_range.get("type") != "GIT":
                    fixes = (text(fields(event).get("fixed")) for event in elements(version_range.get("events")))
                    yield from (fix for fix in fixes if fix)
