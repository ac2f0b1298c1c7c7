"""SARIF 2.1.0, of any tool: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

The numbers in comments are sections of that standard.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from remediation_assets.findings.normalizing.categories import categorize, cwe_numbers
from remediation_assets.findings.normalizing.languages import language_of_path
from remediation_assets.findings.normalizing.paths import path_of_uri, repository_path
from remediation_assets.findings.normalizing.severities import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import (
    Item,
    LeftOut,
    Note,
    Row,
    Unreadable,
    elements,
    fields,
    first_text,
    joined,
    line_of,
    made_id,
    objects,
    text,
)

VERSION = "2.1.0"

# The same scanner under the names that its editions and its own JSON have.
_NAMES = {"semgrep oss": "Semgrep", "semgrep pro": "Semgrep", "semgrep": "Semgrep", "trivy": "Trivy"}

# What Semgrep writes instead of a fingerprint to those who are not logged in.
_NO_FINGERPRINT = {"requires login"}

# Partial fingerprints that tell no result from another: those of a commit, as gitleaks writes them, and the column,
# which moves with every indentation.
_NOT_OF_A_RESULT = {"commitSha", "email", "author", "date", "commitMessage"}
_COLUMN = "StartColumn"


def recognizes(document: Any) -> bool:
    """Say whether a document is meant as SARIF, of whichever version or spelling."""
    return isinstance(document, dict) and "runs" in document and ("version" in document or "$schema" in document)


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Give the findings of all runs; raises Unreadable for what is not SARIF 2.1.0, or a run without results."""
    if document.get("version") != VERSION:
        raise Unreadable(f"is SARIF of version {document.get('version')!r}; export it as SARIF {VERSION}")
    if document.get("inlineExternalProperties"):
        raise Unreadable("keeps parts of its runs in inlineExternalProperties, which are not read; export it in one")
    for number, run in enumerate(objects(document, "runs", optional=False)):
        yield from _Run(run, number).read()


class _Run:
    """One run: a tool, its rules, and what it found."""

    def __init__(self, run: dict[str, Any], number: int) -> None:
        tool = fields(run.get("tool"))
        self._run = run
        self._number = number
        self._driver = fields(tool.get("driver"))
        self._extensions = [fields(one) for one in elements(tool.get("extensions"))]
        self._name = (text(self._driver.get("name")) or "").strip()
        self._scanner = _NAMES.get(self._name.lower(), self._name)
        self._artifacts = elements(run.get("artifacts"))
        self._bases = fields(run.get("originalUriBaseIds"))
        provenance = [fields(one) for one in elements(run.get("versionControlProvenance"))]
        self._repo_url = next((text(one.get("repositoryUri")) for one in provenance), None)
        self._top_bases = {text(fields(one.get("mappedTo")).get("uriBaseId")) for one in provenance} - {None}
        roots = {path.rstrip("/") for path in map(self._base_path, self._bases) if _is_absolute(path)}
        # The innermost first; the root of a machine is that of no repository.
        self._roots = sorted(roots - {"", "/"}, key=lambda root: (-len(root), root))
        self._rules = [
            {text(fields(rule).get("id")) or "": fields(rule) for rule in elements(component.get("rules"))}
            for component in (self._driver, *self._extensions)
        ]

    def read(self) -> Iterator[Item]:
        if not self._name:
            raise Unreadable(f"names no tool for its run {self._number + 1} (tool.driver.name)")
        if "results" not in self._run and fields(self._run.get("externalPropertyFileReferences")).get("results"):
            raise Unreadable("keeps its results in other files, which are not read; export it in one")
        if self._run.get("results") is None:
            # 3.14.23: null or absent where the tool could not start; an empty list where it found nothing.
            raise Unreadable(f"has no results in its run {self._number + 1}: {self._name} did not finish; run it again")
        for invocation in elements(self._run.get("invocations")):
            if fields(invocation).get("executionSuccessful") is False:
                yield Note(f"{self._name} says that it did not succeed; findings may be missing")
        found = [self._looked_at(result) for result in self._results()]
        shared = _shared_fingerprints(found)
        for one in found:
            yield _why_left_out(one.result) or self._row(one, is_shared=one.printed in shared)

    def _results(self) -> Iterator[dict[str, Any]]:
        for number, result in enumerate(objects(self._run, "results", optional=False)):
            if not any(name in result for name in ("message", "ruleId", "rule", "ruleIndex", "locations")):
                found = ", ".join(sorted(result)[:6])
                raise Unreadable(f"has a result that SARIF does not know, at {number}: its fields are {found}")
            if "rule_id" in result or "rule_index" in result:
                raise Unreadable("writes SARIF's names with underscores (rule_id); export it as SARIF 2.1.0")
            yield result

    def _looked_at(self, result: dict[str, Any]) -> "_Looked":
        rule_id, rule = self._rule_of(result)
        location = fields(next(iter(elements(result.get("locations"))), None))
        physical = fields(location.get("physicalLocation"))
        region = fields(physical.get("region"))
        path = self._path(fields(physical.get("artifactLocation")))
        return _Looked(result, rule_id, rule, path, region, _fingerprint(result, rule_id))

    def _row(self, looked: "_Looked", *, is_shared: bool) -> Item:
        result, rule_id, rule, path, region = looked.result, looked.rule_id, looked.rule, looked.path, looked.region
        line = looked.line
        properties, of_rule = fields(result.get("properties")), fields(rule.get("properties"))
        rule_name = text(rule.get("name"))
        is_trivy = self._scanner == "Trivy"
        if is_trivy and rule_name == "License":
            return LeftOut("licenses")
        tags = [*elements(properties.get("tags")), *elements(of_rule.get("tags"))]
        named = [*self._named_cwes(result, properties), *self._named_cwes(rule, of_rule)]
        cwes = [*cwe_numbers(named, bare=True), *cwe_numbers(tags)]
        category, cwe = categorize(cwes, rule_id=rule_id, rule_name=rule_name, tool=self._name)
        if is_trivy and rule_name == "Secret":
            category = FindingCategory.HARDCODED_SECRET
        message = self._message(result, rule)
        fingerprint = None if is_shared else looked.fingerprint
        if category is FindingCategory.DEPENDENCY_VULNERABILITY and not fingerprint:
            # No field of SARIF names the package, and all packages of a manifest may be on its first line.
            fingerprint = f"{rule_id} {message.partition(chr(10))[0]}"
        short = first_text(fields(rule.get("shortDescription")).get("text"), rule_name)
        full = fields(rule.get("fullDescription")).get("text")
        description = joined(message, full, fields(rule.get("help")).get("text"), rule.get("helpUri"))
        if category is FindingCategory.HARDCODED_SECRET:
            # Messages quote what they found, and in Trivy's output the rules do.
            message, description = "", joined(short, None if is_trivy else full, rule.get("helpUri"))
        first_line = message.strip().partition("\n")[0]
        return Row(
            finding_id=made_id(rule_id, path, fingerprint or (line, region.get("startColumn"), message)),
            scanner=self._scanner,
            category=category,
            severity=self._severity(result, rule, properties, of_rule),
            title=first_text(short if line else None, first_line, short, rule_id),
            description=description,
            repo_url=self._repo_url,
            file_path=path,
            line_number=line,
            cwe_id=cwe,
            language=language_of_path(path or ""),
            rule_id=rule_id,
            fingerprint=fingerprint,
        )

    def _rule_of(self, result: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Find a result's rule by index and by id, in the driver or an extension (3.27.5 to 3.27.7, 3.52)."""
        reference = fields(result.get("rule"))
        told = first_text(result.get("ruleId"), reference.get("id"))
        index = next((i for i in (reference.get("index"), result.get("ruleIndex")) if isinstance(i, int)), -1)
        component = self._component(fields(reference.get("toolComponent")))
        rules = elements(component.get("rules"))
        if 0 <= index < len(rules):
            rule = fields(rules[index])
            return told or text(rule.get("id")), rule
        # 3.27.5: an id may go on behind that of its rule, after a slash.
        names = [] if told is None else [told, *(told[: at.start()] for at in reversed(list(re.finditer("/", told))))]
        for name in names:
            for by_id in self._rules:
                if name in by_id:
                    return told, by_id[name]
        return told, {}

    def _component(self, reference: dict[str, Any]) -> dict[str, Any]:
        index = reference.get("index")
        if isinstance(index, int) and 0 <= index < len(self._extensions):
            return self._extensions[index]
        for name in ("guid", "name"):
            for component in self._extensions:
                if reference.get(name) and reference.get(name) == component.get(name):
                    return component
        return self._driver

    def _severity(
        self, result: dict[str, Any], rule: dict[str, Any], properties: dict[str, Any], of_rule: dict[str, Any]
    ) -> str:
        score = score_of(properties.get("security-severity"))
        if score is None:
            score = score_of(of_rule.get("security-severity"))
        # 3.27.10: where neither result nor rule tells a level it is a warning.
        level = first_text(result.get("level"), fields(rule.get("defaultConfiguration")).get("level"), "warning")
        return severity_of(level, score)

    def _named_cwes(self, owner: dict[str, Any], properties: dict[str, Any]) -> Iterator[object]:
        """Give what names CWEs: a property of that name, and references to the taxonomy of CWE."""
        for name in ("cwe", "cwes", "cweId", "CWE"):
            value = properties.get(name)
            yield from value if isinstance(value, list) else [value]
        references = [fields(one) for one in elements(owner.get("taxa"))]
        references += [fields(fields(one).get("target")) for one in elements(owner.get("relationships"))]
        for reference in references:
            if self._is_cwe(fields(reference.get("toolComponent"))):
                yield reference.get("id")

    def _is_cwe(self, component: dict[str, Any]) -> bool:
        taxonomies, index = elements(self._run.get("taxonomies")), component.get("index")
        name = component.get("name")
        if not name and isinstance(index, int) and 0 <= index < len(taxonomies):
            name = fields(taxonomies[index]).get("name")
        return isinstance(name, str) and name.strip().upper() == "CWE"

    def _message(self, owner: dict[str, Any], rule: dict[str, Any]) -> str:
        """Give a result's message with its arguments put in (3.11)."""
        message = fields(owner.get("message"))
        found = first_text(message.get("text"), message.get("markdown"))
        if not found:
            name = text(message.get("id")) or ""
            strings = (fields(rule.get("messageStrings")), fields(self._driver.get("globalMessageStrings")))
            found = first_text(*(fields(one.get(name)).get("text") for one in strings)) or ""
        arguments = [text(one) or "" for one in elements(message.get("arguments"))]
        if not arguments:
            return found

        def argument(match: re.Match[str]) -> str:
            number = int(match[1])
            return arguments[number] if number < len(arguments) else match[0]

        return re.sub(r"\{(\d{1,3})\}", argument, found)

    def _path(self, location: dict[str, Any]) -> str | None:
        """Give the path of an artifact below the root of its repository, as far as the file tells that."""
        index = location.get("index")
        if not text(location.get("uri")) and isinstance(index, int) and 0 <= index < len(self._artifacts):
            location = fields(fields(self._artifacts[index]).get("location"))
        uri = text(location.get("uri"))
        if uri is None:
            return None
        path, base = path_of_uri(uri), location.get("uriBaseId")
        if isinstance(base, str) and not _is_absolute(path):
            path = posixpath.join(self._inner_path(base), path)
        return repository_path(path, self._roots)

    def _inner_path(self, base: str) -> str:
        """Give the path of a base below the outermost one, or below that which is the repository's root (3.14.14)."""
        parts: list[str] = []
        for _ in range(len(self._bases) + 1):
            described = fields(self._bases.get(base))
            outer = described.get("uriBaseId")
            if base in self._top_bases or not isinstance(outer, str):
                break
            parts.insert(0, path_of_uri(text(described.get("uri")) or ""))
            base = outer
        return posixpath.join(*parts) if parts else ""

    def _base_path(self, base: str) -> str:
        """Give the whole path of a base, absolute where its outermost one is."""
        path = ""
        for _ in range(len(self._bases) + 1):
            described = fields(self._bases.get(base))
            path = posixpath.join(path_of_uri(text(described.get("uri")) or ""), path)
            outer = described.get("uriBaseId")
            if not isinstance(outer, str):
                break
            base = outer
        return path


class _Looked(NamedTuple):
    """A result with what is found out of it: its rule, its place, its fingerprint."""

    result: dict[str, Any]
    rule_id: str | None
    rule: dict[str, Any]
    path: str | None
    region: dict[str, Any]
    fingerprint: str | None

    @property
    def line(self) -> int | None:
        return line_of(self.region.get("startLine"))

    @property
    def printed(self) -> tuple[str | None, str | None, str | None]:
        return self.rule_id, self.path, self.fingerprint


def _shared_fingerprints(found: Iterable[_Looked]) -> set[tuple[str | None, str | None, str | None]]:
    """Find the fingerprints that results of one rule in one file share on several lines: they tell no finding."""
    lines: dict[tuple[str | None, str | None, str | None], set[int | None]] = defaultdict(set)
    for one in found:
        lines[one.printed].add(one.line)
    return {printed for printed, at in lines.items() if len(at) > 1}


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", path) is not None


def _why_left_out(result: dict[str, Any]) -> LeftOut | None:
    if _is_suppressed(elements(result.get("suppressions"))):
        return LeftOut("suppressed")
    # 3.27.9: of these kinds a result tells that nothing is wrong.
    kind = result.get("kind", "fail")
    if kind in ("pass", "notApplicable", "informational"):
        return LeftOut(f"of kind {kind}")
    if result.get("baselineState") == "absent":
        return LeftOut("absent since the baseline")
    return None


def _is_suppressed(suppressions: Iterable[object]) -> bool:
    """Say whether a result is suppressed; not where that was refused or still is under review (3.27.23, 3.35.3)."""
    states = [fields(one).get("status", "accepted") for one in suppressions]
    return bool(states) and not any(state in ("underReview", "rejected") for state in states)


def _fingerprint(result: dict[str, Any], rule_id: str | None) -> str | None:
    """Give the tool's fingerprint with the rule's id, for those of two rules may be equal (3.27.16, 3.27.17).

    Of several the first by name: a further one that a later version of the tool adds changes nothing.
    """
    for kind in ("fingerprints", "partialFingerprints"):
        for name, value in sorted(fields(result.get(kind)).items()):
            if name in _NOT_OF_A_RESULT or _COLUMN in name:
                continue
            if printed := fingerprint_of(rule_id, name, value):
                return printed
    return None


def fingerprint_of(rule_id: str | None, name: str, value: object) -> str | None:
    """Write a fingerprint with its rule and its name; None for what says that there is none."""
    told = text(value)
    return f"{rule_id or ''} {name}={told}" if told and told.strip().lower() not in _NO_FINGERPRINT else None
