"""Any CSV, by a mapping from its columns to the fields of a finding: a small TOML file that people can correct.

[columns]            # field = column
title = "Issue"
severity = "Risk"
[constants]          # field = the same for every row
scanner = "My scanner"
[only]               # rows whose column holds one of these values
Status = ["Open"]
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediation_assets.findings.normalizing.categories import categorize, cwe_numbers
from remediation_assets.findings.normalizing.languages import language_of_package, language_of_path
from remediation_assets.findings.normalizing.packages import package_name, package_type
from remediation_assets.findings.normalizing.severities import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import LeftOut, Row, Unreadable, first_text, made_id

# For each field the names that people's columns have, the likeliest first; written as `clean_name` writes them.
_KNOWN_AS = {
    "finding_id": "finding_id id issue_id vuln_id unique_id alert_id key",
    "scanner": "scanner tool engine tool_name product",
    "category": "category",
    "severity": "severity risk priority level criticality threat",
    "cvss_score": "cvss_score cvss cvss_v3_score cvss3 cvss_base_score base_score score",
    "title": "title name issue summary finding vulnerability vulnerability_name rule_name plugin_name",
    "description": "description details message synopsis explanation",
    "repo_url": "repo_url repository repository_url repo git_url",
    "service_name": "service_name service application app component_name project project_name",
    "file_path": "file_path file path filename file_name location module_path manifest target",
    "line_number": "line_number line start_line line_no",
    "cwe_id": "cwe_id cweid cwe cwes",
    "dependency_name": "dependency_name library package package_name dependency component module artifact",
    "ecosystem": "ecosystem package_manager package_type language_type",
    "current_version": "current_version version_in_use installed_version version package_version",
    "fixed_version": "fixed_version fix_version fixed_in updated_version patched_version recommended_version",
    "language": "language",
    "rule_id": "rule_id rule check_id cve vulnerability_id plugin_id test_id",
    "fingerprint": "fingerprint",
}
FIELDS = tuple(_KNOWN_AS)
"""The fields that a mapping may fill: those of a finding, a CVSS score, and the ecosystem of a package."""

_STATES = {"status", "state", "issue_status"}
_OPEN = {"open", "new", "active", "reopened", "confirmed", "to review", "to_review"}

_NEEDED = ("title", "file_path", "scanner")


@dataclass(frozen=True)
class ColumnMapping:
    """A checked mapping."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    only: Mapping[str, Sequence[str]]


def checked(mapping: Mapping[str, Any], header: Sequence[str]) -> ColumnMapping:
    """Give a mapping that fits a file's header; raises Unreadable, saying what is wrong, for one that does not."""
    columns, constants, only = (mapping.get(name, {}) for name in ("columns", "constants", "only"))
    unknown = sorted(set(mapping) - {"columns", "constants", "only"})
    tables = all(isinstance(table, dict) for table in (columns, constants, only))
    if unknown or not tables:
        raise Unreadable("cannot be read by its mapping: expected the tables [columns], [constants] and [only]")
    strange = sorted({*columns, *constants} - set(FIELDS))
    if strange:
        raise Unreadable(f"cannot be read by its mapping: {strange[0]} is no field; there are {', '.join(FIELDS)}")
    if both := sorted(set(columns) & set(constants)):
        raise Unreadable(f"cannot be read by its mapping: {both[0]} is both a column and a constant")
    values = [*columns.values(), *constants.values(), *(one for some in only.values() for one in _list(some))]
    if not all(isinstance(value, str) for value in values):
        raise Unreadable("cannot be read by its mapping: columns and values are texts in quotes")
    absent = sorted({*columns.values(), *only} - set(header))
    if absent:
        raise Unreadable(f"has no column {absent[0]!r}, which its mapping names; it has {', '.join(header)}")
    given = {*columns, *constants}
    missing = [name for name in _NEEDED if name not in given]
    if not given & {"severity", "cvss_score"}:
        missing.append("severity or cvss_score")
    if missing:
        raise Unreadable(f"cannot be read by its mapping: it fills no {', '.join(missing)}")
    return ColumnMapping(columns, constants, {name: _list(some) for name, some in only.items()})


def proposed(
    header: Sequence[str], sample: Sequence[Mapping[str, str]], clean: Mapping[str, str], scanner: str
) -> dict[str, Any]:
    """Propose a mapping from the header and some rows: for each field the likeliest column, each column once.

    `clean` gives each column's name in our spelling; `scanner` is taken where no column tells it.
    """
    by_name = {clean[name]: name for name in reversed(header)}
    columns: dict[str, str] = {}
    for field, names in _KNOWN_AS.items():
        column = next((by_name[name] for name in names.split() if name in by_name), None)
        if column is not None and column not in columns.values():
            columns[field] = column
    mapping: dict[str, Any] = {"columns": columns, "constants": {}, "only": {}}
    for name in header:
        values = {row.get(name, "").strip() for row in sample}
        if clean[name] in _STATES and (kept := sorted(value for value in values if value.lower() in _OPEN)):
            mapping["only"][name] = kept
    if "scanner" not in columns:
        mapping["constants"]["scanner"] = scanner
    if "dependency_name" in columns and "category" not in columns:
        mapping["constants"]["category"] = str(FindingCategory.DEPENDENCY_VULNERABILITY)
    return mapping


@dataclass(frozen=True)
class Record:
    """A record of the file: where it starts, its fields; `why_not` where it has too few or too many."""

    line: int
    values: dict[str, str]
    raw: str
    why_not: str = ""


def records(plain: Path, header: Sequence[str], delimiter: str) -> Iterator[Record]:
    """Read a file's records after its header, blank ones left out."""
    with plain.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise Unreadable(f"has a quote that is not closed, or a field too long, at line {line}") from None
            if values:
                few, many = len(values) < len(header), len(values) > len(header)
                why = "missing columns" if few else "too many columns" if many else ""
                yield Record(line, dict(zip(header, values, strict=False)), delimiter.join(values), why)


def row_of(record: Record, mapping: ColumnMapping) -> Row | LeftOut:
    """Give the finding of a record, or why it is none."""
    for column, kept in mapping.only.items():
        if record.values[column].strip() not in kept:
            return LeftOut(f"{column} {record.values[column].strip()!r}")
    told = {field: record.values[column].strip() for field, column in mapping.columns.items()}
    told |= mapping.constants
    cwes = cwe_numbers([told.get("cwe_id", "")], bare=True)
    rule_id, ecosystem = told.get("rule_id") or None, told.get("ecosystem")
    category, cwe = categorize(cwes, rule_id=rule_id, tool=told.get("scanner", ""))
    path, dependency = told.get("file_path", ""), told.get("dependency_name", "")
    line = told.get("line_number") or None
    return Row(
        finding_id=told.get("finding_id") or made_id(rule_id, path, line, told.get("title")),
        scanner=told.get("scanner"),
        category=_our_category(told.get("category", "")) or category,
        severity=_severity(told.get("severity"), told.get("cvss_score", "")),
        title=told.get("title"),
        description=told.get("description", ""),
        repo_url=told.get("repo_url"),
        service_name=told.get("service_name"),
        file_path=path,
        line_number=None if line == "0" else line,
        cwe_id=cwe,
        dependency_name=package_name(ecosystem, dependency) or None,
        current_version=told.get("current_version"),
        fixed_version=told.get("fixed_version"),
        language=first_text(
            told.get("language"), language_of_path(path), language_of_package(package_type(ecosystem) or "")
        ),
        rule_id=rule_id,
        fingerprint=told.get("fingerprint"),
    )


def _our_category(told: str) -> str | None:
    """Give a category of ours that a column names; None for words of others, which are not guessed from."""
    word = told.lower().replace(" ", "_").replace("-", "_")
    return word if word in set(FindingCategory) else None


def _severity(word: str | None, told: str) -> str:
    """Give the severity of a score or else a word; a score that cannot be read, where there is no word, as it is."""
    score = score_of(told.replace(",", ".") if told.count(",") == 1 else told)
    return severity_of(word or (told if told.strip("0.,") else None), score)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
