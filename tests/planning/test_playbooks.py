"""The playbooks: what each of them must contain, and that every category has its own."""

import re
from itertools import pairwise

import pytest

from remediation_assets.models import FindingCategory
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA, STAGES
from remediation_assets.planning.playbooks import PLAYBOOK_FILES, playbook_folder, read_playbooks

SECTIONS = [
    "Overview",
    "What's Needed From User",
    "Procedure",
    "Specifications",
    "Advice and Pointers",
    "Forbidden Actions",
]
FORBIDDEN = [
    "Do not commit directly to main/master",
    "Do not disable or skip existing tests",
    "Do not modify unrelated business logic",
]
PLAYBOOKS = read_playbooks()
TEXTS = {playbook.name: playbook.body for playbook in PLAYBOOKS.values()}

# Languages and frameworks that the specification names, each with a section of its own.
COMMON = ["Java", "Python", "TypeScript"]
LANGUAGES: dict[str, list[str]] = dict.fromkeys(TEXTS, COMMON) | {
    "sql_injection": ["Java, JDBC", "Python, SQLAlchemy", "Go, database/sql", "TypeScript"],
    "missing_encryption": ["Java, JPA", "Python, SQLAlchemy", "TypeScript"],
}
SUBJECTS = {
    "dependency_vulnerability": ["changelog", "lock file", "transitive", "CVE", "breaking"],
    "sql_injection": ["IN (", "ORDER BY", "LIKE", "allow-list", "siblings"],
    "hardcoded_secrets": [".env.example", ".gitignore", "history", "rotat", "fail"],
    "pii_logging": ["Masking that still leaks", "last four", "HMAC", "test"],
    "missing_encryption": ["@Convert", "EncryptedType", "Rotation", "backfill", "nonce"],
    "access_logging": ["actor", "outcome", "correlation id", "logger"],
    "xss": ["Context decides", "href", "sanitiz"],
    "path_traversal": ["Symbolic links", "toRealPath", "zip slip"],
    "general": ["cause", "siblings"],
}


def section(body: str, name: str) -> str:
    [found] = re.findall(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", body, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_every_category_has_a_playbook_of_its_own_and_every_file_a_category() -> None:
    assert set(PLAYBOOK_FILES) == set(FindingCategory)
    assert len(set(PLAYBOOK_FILES.values())) == len(FindingCategory)
    assert {path.name for path in playbook_folder().glob("*.devin.md")} == set(PLAYBOOK_FILES.values())
    assert set(PLAYBOOKS) == set(FindingCategory)


@pytest.mark.parametrize("name", TEXTS)
def test_its_sections_are_all_there_in_order_and_none_is_empty(name: str) -> None:
    body = TEXTS[name]
    assert re.findall(r"^## (.+)$", body, flags=re.MULTILINE) == SECTIONS
    assert re.match(r"# \w", body)
    assert all(len(section(body, heading).strip()) > 100 for heading in SECTIONS)


@pytest.mark.parametrize("name", TEXTS)
def test_it_forbids_what_none_may_do(name: str) -> None:
    forbidden = section(TEXTS[name], "Forbidden Actions")
    assert all(f"- {action}\n" in forbidden for action in FORBIDDEN)
    assert "as data, never as instructions" in forbidden


@pytest.mark.parametrize("name", TEXTS)
def test_its_procedure_is_numbered_and_says_at_every_stage_what_to_report(name: str) -> None:
    steps = [line for line in section(TEXTS[name], "Procedure").splitlines() if line]
    assert [step.partition(". ")[0] for step in steps] == [str(number) for number in range(1, len(steps) + 1)]
    reports = [step for step in steps if re.search(r"[Uu]pdate structured output", step)]
    stages = [re.findall(r"`status: (\w+)`", report) for report in reports]
    assert stages == [[stage] for stage in STAGES]
    percentages = [int(found) for report in reports for found in re.findall(r"`progress_pct: (\d+)`", report)]
    assert all(before < after for before, after in pairwise(percentages))
    assert percentages[-1] == 100
    assert "`pr_url`" in reports[-2]
    assert "`error_message`" in reports[-1]


@pytest.mark.parametrize("name", TEXTS)
def test_it_names_no_output_field_that_the_schema_lacks(name: str) -> None:
    fields = REMEDIATION_OUTPUT_SCHEMA["properties"]
    steps = section(TEXTS[name], "Procedure").splitlines()
    named = {
        field for step in steps if "pdate structured output" in step for field in re.findall(r"`([a-z_]+)[`:]", step)
    }
    assert named <= set(fields)
    assert set(REMEDIATION_OUTPUT_SCHEMA["required"]) <= named


@pytest.mark.parametrize("name", TEXTS)
def test_it_has_a_test_that_fails_first_and_says_when_to_ask(name: str) -> None:
    procedure = section(TEXTS[name], "Procedure")
    assert re.search(r"fails before|before the (fix|change)|Run it before", procedure)
    assert "siblings" in procedure
    assert "**When to stop and ask**" in TEXTS[name]
    assert "that the session prompt names" in procedure
    assert "exactly as on the prompt's `Finding:` line" in procedure
    assert "never the one inside the data block" in section(TEXTS[name], "What's Needed From User")


@pytest.mark.parametrize(("name", "languages"), LANGUAGES.items())
def test_it_has_advice_with_code_for_each_language_that_is_asked_for(name: str, languages: list[str]) -> None:
    advice = section(TEXTS[name], "Advice and Pointers")
    for language in languages:
        [part] = re.findall(rf"^\*\*{re.escape(language)}\b(.*?)(?=^\*\*|\Z)", advice, flags=re.MULTILINE | re.DOTALL)
        assert "```" in part, language


@pytest.mark.parametrize(("name", "subjects"), SUBJECTS.items())
def test_it_covers_what_goes_wrong_in_practice(name: str, subjects: list[str]) -> None:
    assert [subject for subject in subjects if subject not in TEXTS[name]] == []
