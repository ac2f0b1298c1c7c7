"""The plan of one wave: its rows, its playbooks, and when it may change."""

from pathlib import Path
from typing import Any

import pytest

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import FindingCategory
from remediation_assets.planning.playbooks import PLAYBOOK_FILES, PlaybookText, playbook_folder, read_playbooks
from remediation_assets.planning.wave_plan import UnknownWave, find_wave, plan_sessions
from remediation_assets.settings import Settings
from tests.support.clock import NOON
from tests.support.samples import ingest_file, plan, rank, row, rows, write

SECTIONS = ("## Procedure", "## Specifications", "## Advice and Pointers", "## Forbidden Actions")


@pytest.fixture
def planned(ledger: Ledger, settings: Settings, tmp_path: Path) -> Ledger:
    """Return a ledger with two waves, one of four findings and one of a single finding."""
    fields = [row(1, category="sql_injection"), row(2), row(3, category="other"), *rows(5)[3:]]
    ingest_file(ledger, write(tmp_path / "findings.csv", fields))
    rank(ledger, settings)
    plan(ledger, settings)
    return ledger


def stored(ledger: Ledger, columns: str) -> list[tuple[Any, ...]]:
    with ledger.transaction() as tx:
        return tx.execute(f"SELECT {columns} FROM wave_plan ORDER BY wave_number, position").fetchall()


def plan_again(ledger: Ledger, wave: str = "wave-0001", body: str | None = None) -> int:
    playbooks = read_playbooks()
    if body is not None:
        playbooks = {category: PlaybookText(old.name, body) for category, old in playbooks.items()}
    ledger_id = ledger.ledger_id
    with ledger.transaction() as tx:
        return plan_sessions(tx, wave, playbooks, ledger_id=ledger_id, draw_delimiter=lambda: "drawn")


def test_each_finding_of_a_wave_has_its_row(planned: Ledger) -> None:
    assert stored(planned, "wave, position, finding_id, category, playbook, priority_score") == [
        ("wave-0001", 1, "F-1", "sql_injection", "sql_injection", 65.0),
        ("wave-0001", 2, "F-2", "xss", "xss", 60.0),
        ("wave-0001", 3, "F-4", "xss", "xss", 60.0),
        ("wave-0001", 4, "F-5", "xss", "xss", 60.0),
        ("wave-0002", 1, "F-3", "other", "general", 50.0),
    ]


def test_a_row_names_the_plan_and_the_playbook_it_was_made_with(planned: Ledger) -> None:
    versions = {playbook.name: playbook.version for playbook in read_playbooks().values()}
    with planned.transaction() as tx:
        numbers = dict(tx.execute("SELECT wave, plan_number FROM waves").fetchall())
        kept = dict(tx.execute("SELECT playbook, playbook_version FROM playbook_versions").fetchall())
    for wave, number, playbook, version in stored(planned, "wave, plan_number, playbook, playbook_version"):
        assert (number, version) == (numbers[wave], versions[playbook])
        assert kept[playbook] == version


def test_a_prompt_is_that_of_the_findings_next_attempt(planned: Ledger) -> None:
    for finding_id, prompt in stored(planned, "finding_id, prompt"):
        assert f"Finding: {finding_id}\nLedger {planned.ledger_id}, attempt 1\n" in prompt


def test_planning_a_wave_again_replaces_its_rows_and_no_others(planned: Ledger) -> None:
    assert plan_again(planned, body="Another text.") == 4
    changed = [version for _, version in stored(planned, "wave, playbook_version")]
    assert len(changed) == 5
    assert len(set(changed[:4])) == 1
    assert changed[4] == read_playbooks()[FindingCategory.OTHER].version


def test_a_frozen_wave_keeps_what_is_stored(planned: Ledger) -> None:
    before = stored(planned, "*")
    with planned.transaction() as tx:
        tx.execute("UPDATE waves SET frozen_at = ?", [NOON])
    assert plan_again(planned, body="Another text.") == 4
    assert stored(planned, "*") == before


def test_an_edited_playbook_is_another_version_beside_the_old_one(planned: Ledger) -> None:
    plan_again(planned, body="Another text.")
    plan_again(planned, body="Another text.")
    with planned.transaction() as tx:
        bodies = tx.execute("SELECT body FROM playbook_versions WHERE playbook = 'xss'").fetchall()
    assert sorted(bodies) == sorted([("Another text.",), (read_playbooks()[FindingCategory.XSS].body,)])


def test_a_wave_that_does_not_exist_is_an_error_that_names_those_that_do(planned: Ledger) -> None:
    with planned.transaction() as tx, pytest.raises(UnknownWave) as caught:
        find_wave(tx, "wave-0009")
    assert str(caught.value) == (
        "wave-0009 is not a wave of the plan (there are 2 waves, wave-0001 to wave-0002); name one of its waves."
    )


def test_any_wave_is_an_error_if_nothing_is_planned(ledger: Ledger) -> None:
    with ledger.transaction() as tx, pytest.raises(UnknownWave, match="nothing is planned yet"):
        plan_sessions(tx, "wave-0001", read_playbooks(), ledger_id="id")


@pytest.mark.parametrize("category", FindingCategory)
def test_every_category_has_a_playbook_with_what_devin_expects(category: FindingCategory) -> None:
    playbook = read_playbooks()[category]
    assert playbook.body.startswith("# ")
    assert [section for section in SECTIONS if section not in playbook.body.splitlines()] == []
    steps = playbook.body.split("## Procedure")[1].split("\n## ")[0]
    numbers = [line.split(".")[0] for line in steps.splitlines() if line[:1].isdigit()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) > 3
    assert playbook.title == f"Remediation: {playbook.name} ({playbook.version})"


def test_no_two_categories_share_a_playbook_and_no_file_is_left_over() -> None:
    assert sorted(PLAYBOOK_FILES.values()) == sorted(path.name for path in playbook_folder().glob("*.devin.md"))
    assert set(PLAYBOOK_FILES) == set(FindingCategory)


def test_a_playbooks_version_is_its_text() -> None:
    assert PlaybookText("a", "text").version == PlaybookText("b", "text").version == "982d9e3eb996"
    assert PlaybookText("a", "text ").version != PlaybookText("a", "text").version
