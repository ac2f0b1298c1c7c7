"""Any CSV, by a mapping from its columns to the fields of a finding: a small TOML file that people can correct.

[columns]            # field = column
title = "Issue"
severity = "Risk"
[constants]          # field = the same for every row
scanner = "My scanner"
[only]               # rows whose column holds one of these values
Status = ["Open"]

Two rows are the same finding if they have the same value in the column mapped to `fingerprint`. Without such a column,
`identity` decides by the other fields.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from remediation_assets.findings.vocabulary.category import categorize, cwe_numbers
from remediation_assets.findings.vocabulary.language import language_of_package, language_of_path
from remediation_assets.findings.vocabulary.package import package_name, package_type
from remediation_assets.findings.vocabulary.severity import score_of, severity_of
from remediation_assets.models import FindingCategory

from .row import Row, Skipped, Unreadable, first_text, generated_id

# For each field the names that people give its column, the likeliest first; in the spelling of `clean_name`.
_COLUMN_NAMES = {
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
FIELDS = tuple(_COLUMN_NAMES)
"""The fields that a mapping may fill: those of a finding, a CVSS score, and the ecosystem of a package."""

# Columns that say whether a finding is still open, and the values that say it is.
_STATES = {"status", "state", "issue_status"}
_OPEN = {"open", "new", "active", "reopened", "confirmed", "to review", "to_review"}

_NEEDED = ("title", "file_path", "scanner")
_SECTIONS = ("columns", "constants", "only")


@dataclass(frozen=True)
class ColumnMapping:
    """A mapping that fits the header of a file."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    only: Mapping[str, Sequence[str]]


def validated_mapping(mapping: Mapping[str, Any], header: Sequence[str]) -> ColumnMapping:
    """Return the mapping if it fits a file's header; raise Unreadable, with what is wrong, if it does not."""
    columns, constants, only = (mapping.get(name, {}) for name in _SECTIONS)
    unknown = sorted(set(mapping) - set(_SECTIONS))
    if unknown or not all(isinstance(section, dict) for section in (columns, constants, only)):
        raise Unreadable("cannot be read with its mapping: expected the tables [columns], [constants] and [only]")
    unknown = sorted({*columns, *constants} - set(FIELDS))
    if unknown:
        raise Unreadable(
            f"cannot be read with its mapping: {unknown[0]} is not a field; the fields are {', '.join(FIELDS)}"
        )
    if both := sorted(set(columns) & set(constants)):
        raise Unreadable(f"cannot be read with its mapping: {both[0]} is both a column and a constant")
    values = [*columns.values(), *constants.values(), *(one for some in only.values() for one in _list(some))]
    if not all(isinstance(value, str) for value in values):
        raise Unreadable("cannot be read with its mapping: columns and values must be texts in quotes")
    absent = sorted({*columns.values(), *only} - set(header))
    if absent:
        raise Unreadable(f"has no column {absent[0]!r}, which its mapping names; it has {', '.join(header)}")
    filled = {*columns, *constants}
    missing = [name for name in _NEEDED if name not in filled]
    if not filled & {"severity", "cvss_score"}:
        missing.append("severity or cvss_score")
    if missing:
        raise Unreadable(f"cannot be read with its mapping: it does not fill {', '.join(missing)}")
    return ColumnMapping(columns, constants, {name: _list(some) for name, some in only.items()})


def propose(
    header: Sequence[str], sample: Sequence[Mapping[str, str]], clean_names: Mapping[str, str], scanner: str
) -> dict[str, Any]:
    """Propose a mapping from the header and some rows: for each field the likeliest column, each column once.

    `clean_names` has each column's name in our spelling; `scanner` is used if no column names the scanner.
    """
    # Reversed, so that the first of several columns with one clean name is the one that stays.
    by_name = {clean_names[name]: name for name in reversed(header)}
    columns: dict[str, str] = {}
    for field, names in _COLUMN_NAMES.items():
        column = next((by_name[name] for name in names.split() if name in by_name), None)
        if column is not None and column not in columns.values():
            columns[field] = column
    mapping: dict[str, Any] = {"columns": columns, "constants": {}, "only": {}}
    for name in header:
        values = {row.get(name, "").strip() for row in sample}
        if clean_names[name] in _STATES and (kept := sorted(value for value in values if value.lower() in _OPEN)):
            mapping["only"][name] = kept
    if "scanner" not in columns:
        mapping["constants"]["scanner"] = scanner
    if "dependency_name" in columns and "category" not in columns:
        mapping["constants"]["category"] = str(FindingCategory.DEPENDENCY_VULNERABILITY)
    return mapping


@dataclass(frozen=True)
class Record:
    """A record of the file: the line it starts at, and its values by column.

    `malformed` is the reason if the record has too few or too many values.
    """

    line: int
    values: dict[str, str]
    raw: str
    malformed: str = ""


def records(file: TextIO, header: Sequence[str], delimiter: str) -> Iterator[Record]:
    """Yield a CSV file's records after its header, without the blank ones; raise Unreadable for an open quote."""
    # Strict, because a quote that is not closed would swallow the records after it.
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    is_header = True
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Unreadable(f"has a quote that is not closed, or a field too long, at line {line}") from None
        if is_header:
            is_header = False
        elif values:
            few, many = len(values) < len(header), len(values) > len(header)
            malformed = "missing columns" if few else "too many columns" if many else ""
            yield Record(line, dict(zip(header, values, strict=False)), delimiter.join(values), malformed)


def row_of(record: Record, mapping: ColumnMapping) -> Row | Skipped:
    """Return the finding of a record, or why it is skipped."""
    for column, kept in mapping.only.items():
        if record.values[column].strip() not in kept:
            return Skipped(f"{column} {record.values[column].strip()!r}")
    values = {field: record.values[column].strip() for field, column in mapping.columns.items()}
    values |= mapping.constants
    cwes = cwe_numbers([values.get("cwe_id", "")], bare=True)
    rule_id, ecosystem = values.get("rule_id") or None, values.get("ecosystem")
    category, cwe = categorize(cwes, rule_id=rule_id, tool=values.get("scanner", ""))
    path, dependency = values.get("file_path", ""), values.get("dependency_name", "")
    line = values.get("line_number") or None
    return Row(
        finding_id=values.get("finding_id") or generated_id(rule_id, path, line, values.get("title")),
        scanner=values.get("scanner"),
        category=_our_category(values.get("category", "")) or category,
        severity=_severity(values.get("severity"), values.get("cvss_score", "")),
        title=values.get("title"),
        description=values.get("description", ""),
        repo_url=values.get("repo_url"),
        service_name=values.get("service_name"),
        file_path=path,
        line_number=None if line == "0" else line,
        cwe_id=cwe,
        dependency_name=package_name(ecosystem, dependency) or None,
        current_version=values.get("current_version"),
        fixed_version=values.get("fixed_version"),
        language=first_text(
            values.get("language"), language_of_path(path), language_of_package(package_type(ecosystem) or "")
        ),
        rule_id=rule_id,
        fingerprint=values.get("fingerprint"),
    )


def _our_category(value: str) -> str | None:
    """Return the category that a value names, None if it is not one of ours: nothing is guessed from other words."""
    word = value.lower().replace(" ", "_").replace("-", "_")
    return word if word in set(FindingCategory) else None


def _severity(word: str | None, written_score: str) -> str:
    """Return the severity of a score, or else of a word.

    If the score cannot be read and there is no word, the score is returned as it is, and the row is then rejected.
    """
    score = score_of(written_score.replace(",", ".") if written_score.count(",") == 1 else written_score)
    # Zero is what exports write for a finding that was never scored.
    return severity_of(word or (written_score if written_score.strip("0.,") else None), score)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
