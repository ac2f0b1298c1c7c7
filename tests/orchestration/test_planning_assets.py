"""From a file to planned waves, as Dagster runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.ledger.ledger import Ledger

HEADER = "finding_id,scanner,category,severity,title,description,service_name,repo_url,file_path,line_number\n"
ROW = "F{n},semgrep,xss,high,t,d,shop,https://git.example.com/acme/shop,src/a.py,{n}\n"

Execute = Callable[..., Any]


def test_planning_the_sample_registers_its_waves(execute: Execute, instance: dg.DagsterInstance) -> None:
    finished = execute("plan_waves")
    assert finished.success
    assert instance.get_dynamic_partitions("wave") == ["wave-0001", "wave-0002", "wave-0003", "wave-0004"]
    assert finished.metadata("waves")["findings planned"] == 20


@pytest.mark.parametrize("asset", ["findings", "normalized_findings", "prioritized_findings"])
def test_each_findings_asset_shows_its_row_count_and_a_preview(execute: Execute, asset: str) -> None:
    metadata = execute("plan_waves").metadata(asset)
    assert metadata["dagster/row_count"] == 20
    assert len(metadata["preview"].records if hasattr(metadata["preview"], "records") else metadata["preview"]) == 20


def test_rows_are_accepted_or_rejected_and_kept_or_merged(execute: Execute, home: Path) -> None:
    lines = [ROW.format(n=1), ROW.format(n=2), ROW.format(n=1), ROW.format(n=3).replace("high", "terrible")]
    (home / "mixed.csv").write_text(HEADER + "".join(lines))
    finished = execute("plan_waves", findings={"path": "mixed.csv"})
    read, merged = finished.metadata("findings"), finished.metadata("normalized_findings")
    assert (read["rows in file"], read["accepted"], read["set aside"]) == (4, 3, 1)
    assert (merged["accepted"], merged["kept"], merged["merged"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist; give the path"),
        ("", "is empty; expected a CSV file"),
        ("a,b\n1,2\n", "has no column finding_id"),
        (HEADER + ROW.format(n="x") * 3, "3 of 3 rows cannot be used (bad line number: 3)"),
    ],
)
def test_an_unusable_file_fails_with_a_sentence_and_changes_nothing(
    execute: Execute, home: Path, ledger: Ledger, content: str | None, reason: str
) -> None:
    execute("plan_waves")
    if content is not None:
        (home / "bad.csv").write_text(content)
    finished = execute("plan_waves", findings={"path": "bad.csv"})
    assert not finished.success
    assert reason in finished.reason
    with ledger.transaction() as tx:
        assert tx.execute("SELECT count(*) FROM findings").fetchone() == (20,)
        assert tx.execute("SELECT count(*) FROM rejected_findings").fetchone() == (0,)


def test_the_last_file_is_read_again_if_none_is_named(execute: Execute, home: Path) -> None:
    (home / "mine.csv").write_text(HEADER + ROW.format(n=1))
    execute("plan_waves", findings={"path": "mine.csv"})
    assert execute("plan_waves").metadata("findings")["files"].records[0].data["source"] == str(home / "mine.csv")


def test_findings_path_names_the_file(execute: Execute, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mine.csv").write_text(HEADER + ROW.format(n=1))
    monkeypatch.setenv("FINDINGS_PATH", "mine.csv")
    assert execute("plan_waves").metadata("findings")["accepted"] == 1


def test_a_setting_that_does_not_parse_is_reported_in_one_sentence(
    execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAVE_SIZE", "many")
    assert "WAVE_SIZE='many' cannot be used" in execute("plan_waves").reason


def test_another_wave_size_moves_the_partitions(execute: Execute, instance: dg.DagsterInstance) -> None:
    execute("plan_waves")
    finished = execute("plan_waves", waves={"wave_size": 10})
    assert instance.get_dynamic_partitions("wave") == ["wave-0001", "wave-0002"]
    assert finished.metadata("waves")["waves removed"] == "wave-0003, wave-0004"


def test_chosen_findings_come_first_until_the_choice_is_ended(execute: Execute) -> None:
    chosen = execute("plan_waves", waves={"categories": ["hardcoded_secret"], "severities": ["critical", "high"]})
    metadata = chosen.metadata("waves")
    assert metadata["choice"] == "severity critical or high, category hardcoded_secret"
    first = [row.data for row in metadata["next findings"].records if row.data["wave"] == "wave-0001"]
    assert len(first) == metadata["chosen findings to come"] > 0
    assert {row["category"] for row in first} == {"hardcoded_secret"}
    assert (first[0]["position"], first[0]["playbook"]) == ("1", "hardcoded_secrets")
    assert set(first[0]) >= {"finding_id", "priority_score", "severity", "service_name"}
    assert metadata["chosen waves to come"] == 1
    # Nothing is said about it: the choice stands.
    assert execute("plan_waves").metadata("waves")["choice"] == metadata["choice"]
    ended = execute("plan_waves", waves={"all": True}).metadata("waves")
    assert (ended["choice"], ended["chosen waves to come"], ended["chosen findings to come"]) == ("none", 0, 0)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"severities": ["terrible"]}, "'terrible' is no severity; choose from critical, high, medium, low."),
        ({"categories": ["sqli"]}, "'sqli' is no category; choose from dependency_vulnerability, sql_injection, "),
        ({"services": ["payment-service"], "all": True}, "All findings and only those of service payment-service"),
    ],
)
def test_a_choice_that_cannot_be_fails_with_a_sentence(execute: Execute, config: dict[str, Any], reason: str) -> None:
    assert execute("plan_waves", waves=config).reason.startswith(reason)


def test_a_partition_stays_while_a_run_for_it_is_under_way(execute: Execute, instance: dg.DagsterInstance) -> None:
    execute("plan_waves")
    instance.create_run_for_job(
        defs.resolve_job_def("remediate_wave"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": "wave-0004"},
    )
    execute("plan_waves", waves={"wave_size": 10})
    assert instance.get_dynamic_partitions("wave") == ["wave-0001", "wave-0002", "wave-0004"]


def test_the_plan_of_a_wave_shows_playbook_and_prompt(execute: Execute, ledger: Ledger) -> None:
    execute("plan_waves")
    finished = execute("dispatch_wave", "wave-0001", assets=["wave_plan"])
    assert finished.metadata("wave_plan")["dagster/partition_row_count"] == 5
    with ledger.transaction() as tx:
        rows = tx.execute("SELECT playbook, prompt, finding_id FROM wave_plan ORDER BY position").fetchall()
    assert rows[0][2] == "FIND-0003"
    assert rows[0][0] == "sql_injection"
    assert all(finding_id in prompt for _, prompt, finding_id in rows)


def test_live_mode_refuses_the_samples_repositories(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_MODE", "false")
    monkeypatch.setenv("DEVIN_API_KEY", "cog_canary")
    assert "No findings file is named" in execute("plan_waves").reason
    sample = str(Path(__file__).parents[2] / "sample_data" / "findings.csv")
    reason = execute("plan_waves", findings={"path": sample}).reason
    assert "repository is on an example host: 20" in reason
