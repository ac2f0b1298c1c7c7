"""SARIF 2.1.0, as most scanners write it: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

Two results are the same finding if they have the same fingerprint from the tool. Without a usable fingerprint, two
results in code are the same finding if they have the same line, and two about dependencies if they have the same rule
and the same first line of the message. The numbers in comments are sections of the standard.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from remediation_assets.findings.vocabulary.category import categorize, cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_path
from remediation_assets.findings.vocabulary.path import path_of_uri, repository_path
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import (
    Item,
    Note,
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

VERSION = "2.1.0"

# One name for the editions of a scanner, the same as in its own JSON.
_NAMES = {"semgrep oss": "Semgrep", "semgrep pro": "Semgrep", "semgrep": "Semgrep", "trivy": "Trivy"}

# What Semgrep writes in place of a fingerprint for users who are not logged in.
_NO_FINGERPRINT = {"requires login"}

# Partial fingerprints that do not identify a result: those of a commit, which gitleaks writes, and the column, which
# changes with every indentation.
_UNUSABLE_FINGERPRINTS = {"commitSha", "email", "author", "date", "commitMessage"}
_COLUMN = "StartColumn"

_Identity = tuple[str | None, str | None, str | None]
"""Rule, path and fingerprint of a result."""


def recognizes(document: Any) -> bool:
    """Whether a document is meant as SARIF, of any version or spelling."""
    return isinstance(document, dict) and "runs" in document and ("version" in document or "$schema" in document)


def read(document: dict[str, Any]) -> Iterator[Item]:
    """Yield the findings of all runs; raise Unreadable for another version and for a run without results."""
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
        # The innermost first. The root of a machine is not that of a repository.
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
            # 3.14.23: null or absent if the tool could not start; an empty list if it found nothing.
            raise Unreadable(f"has no results in its run {self._number + 1}: {self._name} did not finish; run it again")
        for invocation in elements(self._run.get("invocations")):
            if fields(invocation).get("executionSuccessful") is False:
                yield Note(f"{self._name} reports that it did not succeed; findings may be missing")
        # All results come before the first row: only together they show which fingerprints are usable.
        results = [self._parse(result) for result in self._results()]
        shared = _shared_identities(results)
        for result in results:
            yield _why_skipped(result.json) or self._row(result, is_shared=result.identity in shared)

    def _results(self) -> Iterator[dict[str, Any]]:
        for number, result in enumerate(objects(self._run, "results", optional=False)):
            if not any(name in result for name in ("message", "ruleId", "rule", "ruleIndex", "locations")):
                found = ", ".join(sorted(result)[:6])
                raise Unreadable(f"has a result that is not one of SARIF, at {number}: its fields are {found}")
            if "rule_id" in result or "rule_index" in result:
                raise Unreadable("writes SARIF's names with underscores (rule_id); export it as SARIF 2.1.0")
            yield result

    def _parse(self, result: dict[str, Any]) -> "_Result":
        rule_id, rule = self._rule_of(result)
        location = fields(next(iter(elements(result.get("locations"))), None))
        physical = fields(location.get("physicalLocation"))
        region = fields(physical.get("region"))
        path = self._path(fields(physical.get("artifactLocation")))
        return _Result(result, rule_id, rule, path, region, _fingerprint(result, rule_id))

    def _row(self, result: "_Result", *, is_shared: bool) -> Item:
        rule_name = text(result.rule.get("name"))
        if self._scanner == "Trivy" and rule_name == "License":
            return Skipped("licenses")
        category, cwe = self._category(result, rule_name)
        message = self._message(result)
        fingerprint = None if is_shared else result.fingerprint
        if category is FindingCategory.DEPENDENCY_VULNERABILITY and not fingerprint:
            # No field of SARIF names the package, and all packages of a manifest may be on its first line.
            fingerprint = f"{result.rule_id} {message.partition(chr(10))[0]}"
        short = first_text(fields(result.rule.get("shortDescription")).get("text"), rule_name)
        full = fields(result.rule.get("fullDescription")).get("text")
        help_text, help_uri = fields(result.rule.get("help")).get("text"), result.rule.get("helpUri")
        description = paragraphs(message, full, help_text, help_uri)
        if category is FindingCategory.HARDCODED_SECRET:
            # A message quotes the secret that was found, and so does a rule in Trivy's output.
            message, description = "", paragraphs(short, None if self._scanner == "Trivy" else full, help_uri)
        line, first_line = result.line, message.strip().partition("\n")[0]
        place = fingerprint or (line, result.region.get("startColumn"), message)
        return Row(
            finding_id=generated_id(result.rule_id, result.path, place),
            scanner=self._scanner,
            category=category,
            severity=self._severity(result),
            title=first_text(short if line else None, first_line, short, result.rule_id),
            description=description,
            repo_url=self._repo_url,
            file_path=result.path,
            line_number=line,
            cwe_id=cwe,
            language=language_of_path(result.path or ""),
            rule_id=result.rule_id,
            fingerprint=fingerprint,
        )

    def _category(self, result: "_Result", rule_name: str | None) -> tuple[FindingCategory, str | None]:
        tags = [*elements(result.properties.get("tags")), *elements(result.rule_properties.get("tags"))]
        named = [
            *self._named_cwes(result.json, result.properties),
            *self._named_cwes(result.rule, result.rule_properties),
        ]
        # A property that is named after CWE may hold a bare number; a tag is a CWE only if it says so.
        cwes = [*cwe_numbers(named, bare=True), *cwe_numbers(tags)]
        category, cwe = categorize(cwes, rule_id=result.rule_id, rule_name=rule_name, tool=self._name)
        if self._scanner == "Trivy" and rule_name == "Secret":
            category = FindingCategory.HARDCODED_SECRET
        return category, cwe

    def _rule_of(self, result: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Return a result's rule id and rule, found by index or by id, in the driver or an extension.

        See 3.27.5 to 3.27.7 and 3.52.
        """
        reference = fields(result.get("rule"))
        rule_id = first_text(result.get("ruleId"), reference.get("id"))
        index = next((i for i in (reference.get("index"), result.get("ruleIndex")) if isinstance(i, int)), -1)
        component = self._component(fields(reference.get("toolComponent")))
        rules = elements(component.get("rules"))
        if 0 <= index < len(rules):
            rule = fields(rules[index])
            return rule_id or text(rule.get("id")), rule
        # 3.27.5: a result's id may be longer than that of its rule, by parts after a slash.
        name = rule_id or ""
        while name:
            for by_id in self._rules:
                if name in by_id:
                    return rule_id, by_id[name]
            name = name.rpartition("/")[0]
        return rule_id, {}

    def _component(self, reference: dict[str, Any]) -> dict[str, Any]:
        index = reference.get("index")
        if isinstance(index, int) and 0 <= index < len(self._extensions):
            return self._extensions[index]
        for name in ("guid", "name"):
            for component in self._extensions:
                if reference.get(name) and reference.get(name) == component.get(name):
                    return component
        return self._driver

    def _severity(self, result: "_Result") -> str:
        score = score_of(result.properties.get("security-severity"))
        if score is None:
            score = score_of(result.rule_properties.get("security-severity"))
        # 3.27.10: if neither result nor rule has a level, it is a warning.
        default = fields(result.rule.get("defaultConfiguration")).get("level")
        level = first_text(result.json.get("level"), default, "warning")
        return severity_of(level, score)

    def _named_cwes(self, owner: dict[str, Any], properties: dict[str, Any]) -> Iterator[object]:
        """Yield the values that name CWEs: properties such as `cwe`, and references to the taxonomy of CWE."""
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

    def _message(self, result: "_Result") -> str:
        """Return a result's message with its arguments put in (3.11)."""
        message = fields(result.json.get("message"))
        found = first_text(message.get("text"), message.get("markdown"))
        if not found:
            name = text(message.get("id")) or ""
            strings = (fields(result.rule.get("messageStrings")), fields(self._driver.get("globalMessageStrings")))
            found = first_text(*(fields(one.get(name)).get("text") for one in strings)) or ""
        arguments = [text(one) or "" for one in elements(message.get("arguments"))]
        if not arguments:
            return found

        def argument(match: re.Match[str]) -> str:
            number = int(match[1])
            return arguments[number] if number < len(arguments) else match[0]

        return re.sub(r"\{(\d{1,3})\}", argument, found)

    def _path(self, location: dict[str, Any]) -> str | None:
        """Return an artifact's path relative to its repository's root, as far as the file describes that root."""
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
        """Return a base's path relative to the outermost base, or to the base of the repository's root (3.14.14)."""
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
        """Return the whole path of a base; it is absolute if the outermost base is."""
        path = ""
        for _ in range(len(self._bases) + 1):
            described = fields(self._bases.get(base))
            path = posixpath.join(path_of_uri(text(described.get("uri")) or ""), path)
            outer = described.get("uriBaseId")
            if not isinstance(outer, str):
                break
            base = outer
        return path


class _Result(NamedTuple):
    """A result with its rule, its place and its fingerprint."""

    json: dict[str, Any]
    rule_id: str | None
    rule: dict[str, Any]
    path: str | None
    region: dict[str, Any]
    fingerprint: str | None

    @property
    def line(self) -> int | None:
        return line_of(self.region.get("startLine"))

    @property
    def properties(self) -> dict[str, Any]:
        return fields(self.json.get("properties"))

    @property
    def rule_properties(self) -> dict[str, Any]:
        return fields(self.rule.get("properties"))

    @property
    def identity(self) -> _Identity:
        return self.rule_id, self.path, self.fingerprint


def _shared_identities(results: Iterable[_Result]) -> set[_Identity]:
    """Return each identity that results on several lines share: its fingerprint does not identify a single finding."""
    lines: dict[_Identity, set[int | None]] = defaultdict(set)
    for result in results:
        lines[result.identity].add(result.line)
    return {identity for identity, found in lines.items() if len(found) > 1}


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\")) or re.match(r"^[A-Za-z]:", path) is not None


def _why_skipped(result: dict[str, Any]) -> Skipped | None:
    if _is_suppressed(elements(result.get("suppressions"))):
        return Skipped("suppressed")
    # 3.27.9: a result of one of these kinds says that nothing is wrong.
    kind = result.get("kind", "fail")
    if kind in ("pass", "notApplicable", "informational"):
        return Skipped(f"of kind {kind}")
    if result.get("baselineState") == "absent":
        return Skipped("absent since the baseline")
    return None


def _is_suppressed(suppressions: Iterable[object]) -> bool:
    """Whether all suppressions of a result hold: none was rejected or is under review (3.27.23, 3.35.3)."""
    states = [fields(one).get("status", "accepted") for one in suppressions]
    return bool(states) and not any(state in ("underReview", "rejected") for state in states)


def _fingerprint(result: dict[str, Any], rule_id: str | None) -> str | None:
    """Return the tool's fingerprint with the rule's id, for two rules may share a fingerprint (3.27.16, 3.27.17).

    Of several fingerprints the first by name is used, so that a later version of the tool can add one without effect.
    """
    for kind in ("fingerprints", "partialFingerprints"):
        for name, value in sorted(fields(result.get(kind)).items()):
            if name in _UNUSABLE_FINGERPRINTS or _COLUMN in name:
                continue
            if fingerprint := fingerprint_of(rule_id, name, value):
                return fingerprint
    return None


def fingerprint_of(rule_id: str | None, name: str, value: object) -> str | None:
    """Return a fingerprint with its rule and its name, or None if the value says that there is none."""
    written = text(value)
    return f"{rule_id or ''} {name}={written}" if written and written.strip().lower() not in _NO_FINGERPRINT else None
