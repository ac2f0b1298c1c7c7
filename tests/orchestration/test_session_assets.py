"""Waves on the simulator, as Dagster runs them: dispatch, results, gate and refusal."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.escape import for_markdown
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.assets.sessions import IGNORED_GATE_TAG
from remediation_assets.orchestration.metadata import session_results_metadata
from remediation_assets.reports.waves import wave_results
from remediation_assets.sessions.steps import cancel

# Seeds whose outcome for the first five findings of the sample is known.
ALL_SUCCEED = "100"
GATE_FAILS_THEN_PASSES = "1003"
ONE_STAYS_FAILED = "1045"

Execute = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("planned")


@pytest.fixture
def planned(execute: Execute) -> None:
    assert execute("plan_waves").success


@pytest.fixture
def sessions_at_devin(home: Path) -> Callable[[], int]:
    def count() -> int:
        world = home / "data" / "simulator.sqlite"
        if not world.exists():
            return 0
        with sqlite3.connect(world) as connection:
            return int(connection.execute("SELECT count(*) FROM sessions").fetchone()[0])

    return count


@pytest.fixture
def seed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setenv("MOCK_SEED", value)


@pytest.fixture
def logged_by(instance: dg.DagsterInstance) -> Callable[[Any], list[str]]:
    def read(finished: Any) -> list[str]:
        entries = instance.all_logs(finished.result.run_id)
        return [entry.user_message for entry in entries if entry.dagster_event is None]

    return read


def test_a_wave_runs_to_its_passed_gate(
    execute: Execute, seed: Callable[[str], None], sessions_at_devin: Callable[[], int]
) -> None:
    seed(ALL_SUCCEED)
    finished = execute("remediate_wave", "wave-0001")
    assert finished.success
    assert sessions_at_devin() == 5
    metadata = finished.metadata("session_results")
    assert (metadata["dagster/partition_row_count"], metadata["succeeded"], metadata["pull requests"]) == (5, 5, 5)
    assert finished.metadata("devin_sessions")["new sessions"] == 5


def test_the_gate_reports_the_wave_of_its_partition(execute: Execute, seed: Callable[[str], None]) -> None:
    seed(ALL_SUCCEED)
    (evaluation,) = execute("remediate_wave", "wave-0001").result.get_asset_check_evaluations()
    assert evaluation.passed
    # Partitioned checks are a preview API: without this the gate of one wave would clear another's.
    assert evaluation.partition == "wave-0001"
    assert evaluation.description == (
        "wave-0001 passed: 5 of 5 succeeded, 100%, needed 70%. "
        "wave-0002 may start: launch dispatch_wave or remediate_wave for it."
    )


def test_the_gate_shows_what_a_person_needs_to_decide(execute: Execute, seed: Callable[[str], None]) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    (failed,) = execute("remediate_wave", "wave-0001").result.get_asset_check_evaluations()
    metadata = {name: value.value for name, value in failed.metadata.items()}
    assert metadata["what to do"] == "Look at the failures, then run wave-0001 again (job remediate_wave)."
    assert (metadata["success rate"], metadata["threshold"], metadata["95 % interval"]) == (0.6, 0.7, "23% to 88%")
    assert (metadata["outcome success"], metadata["outcome failed"], metadata["counted"]) == (3, 2, 5)
    rows = str(metadata["not succeeded"]).splitlines()
    assert rows[0] == r"| finding\_id | outcome | review | attempt | reason | session | pull\_request |"
    assert len(rows) == 4
    assert all(re.search(r" \| devin\\-[0-9a-f]{32} \| ", row) for row in rows[2:]), rows
    (passed,) = execute("remediate_wave", "wave-0001").result.get_asset_check_evaluations()
    history = passed.metadata["history"]
    assert isinstance(history, dg.TableMetadataValue)
    assert [(row.data["round"], row.data["verdict"]) for row in history.records] == [("1", "failed"), ("2", "passed")]


def test_a_wave_that_overruled_its_gate_leaves_a_trace(
    execute: Execute, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    finished = execute("remediate_wave", "wave-0002", devin_sessions={"ignore_gate": True})
    run = instance.get_run_by_id(finished.result.run_id)
    assert run is not None
    assert run.tags[IGNORED_GATE_TAG] == "wave-0002"
    with ledger.transaction() as tx:
        assert tx.execute("SELECT ignored_gate FROM gate_results").fetchall() == [(True,)]


def test_results_carry_numbers_that_plot_and_links_to_follow(execute: Execute, seed: Callable[[str], None]) -> None:
    seed(ALL_SUCCEED)
    metadata = execute("remediate_wave", "wave-0001").metadata("session_results")
    assert (metadata["success rate"], metadata["pull requests"], metadata["sessions"]) == (1.0, 5, 5)
    assert metadata["ACUs"] > 0
    assert metadata["ACUs per success"] == pytest.approx(metadata["ACUs"] / 5)
    assert metadata["minutes to a pull request (median)"] > 0
    assert str(metadata["links"]).count("[pull\\_request](<https://git.example.com/") == 5
    columns = {column.name: column.type for column in metadata["dagster/column_schema"].columns}
    assert (columns["outcome"], columns["attempt"]) == ("VARCHAR", "INTEGER")
    assert metadata["dagster/table_name"] == "remediation.main.session_results"


def test_only_sessions_of_the_real_devin_are_links(
    execute: Execute, seed: Callable[[str], None], ledger: Ledger
) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    finished = execute("remediate_wave", "wave-0001")
    (gate,) = finished.result.get_asset_check_evaluations()
    tables = [
        finished.metadata("devin_sessions")["sessions"],
        finished.metadata("session_results")["links"],
        gate.metadata["not succeeded"].value,
    ]
    assert [text.count("app.devin.ai") for text in tables] == [0, 0, 0]
    with ledger.transaction() as tx:
        [session_id] = tx.column("SELECT session_id FROM session_results WHERE position = 1")
        assert all(for_markdown(session_id) in text for text in tables[:2])
        tx.execute("UPDATE stamp SET mode = 'live'")
        live = session_results_metadata(tx, "wave-0001", wave_results(tx, "wave-0001"))
        tx.execute("UPDATE stamp SET mode = 'mock'")
    assert live["links"].value.count("[session](<https://app.devin.ai/sessions/") == 5


def test_the_run_that_collects_logs_what_happened_before_it(
    execute: Execute, seed: Callable[[str], None], ledger: Ledger, logged_by: Callable[[Any], list[str]]
) -> None:
    seed(ALL_SUCCEED)
    execute("remediate_wave", "wave-0001")
    logged = logged_by(execute("collect_wave", "wave-0001"))
    with ledger.transaction() as tx:
        # The start and the end of the whole run are events of no wave.
        events = tx.column("SELECT message FROM session_events WHERE wave_number = 1 ORDER BY event_id")
    assert len(events) > 5
    assert [line for line in logged if line in events] == events


def test_a_run_that_waits_logs_each_change_once(
    execute: Execute, seed: Callable[[str], None], ledger: Ledger, logged_by: Callable[[Any], list[str]]
) -> None:
    seed(ALL_SUCCEED)
    logged = logged_by(execute("remediate_wave", "wave-0001"))
    with ledger.transaction() as tx:
        events = [row[0] for row in tx.execute("SELECT message FROM session_events ORDER BY event_id").fetchall()]
    assert [line for line in logged if line in events] == events


def test_a_failed_gate_fails_the_run_and_keeps_the_next_wave_from_starting(
    execute: Execute, seed: Callable[[str], None], sessions_at_devin: Callable[[], int]
) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    finished = execute("remediate_wave", "wave-0001")
    assert not finished.success
    (evaluation,) = finished.result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "3 of 5 succeeded, 60%, needed 70%" in (evaluation.description or "")
    refused = execute("remediate_wave", "wave-0002")
    assert refused.reason.startswith("wave-0002 is refused and not started: wave-0001 has not passed its gate (3 of 5")
    # A round that misses its gate is not retried, and nothing was started for the next wave.
    assert sessions_at_devin() == 5


def test_a_refused_wave_says_so_at_its_partition_and_is_neither_passed_nor_failed(
    execute: Execute, instance: dg.DagsterInstance, seed: Callable[[str], None]
) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    execute("remediate_wave", "wave-0001")
    refused = execute("remediate_wave", "wave-0002")
    assert not refused.success
    key = dg.AssetKey("devin_sessions")
    [record] = instance.fetch_observations(dg.AssetRecordsFilter(key, asset_partitions=["wave-0002"]), limit=5).records
    observation = record.asset_observation
    assert observation is not None
    assert observation.metadata["refused"].value == refused.reason
    assert refused.reason.startswith("wave-0002 is refused and not started: wave-0001 has not passed its gate")
    assert (
        instance.fetch_observations(dg.AssetRecordsFilter(key, asset_partitions=["wave-0001"]), limit=5).records == []
    )
    # The check has no result, so the UI shows its execution as failed, and no verdict.
    assert refused.result.get_asset_check_evaluations() == []


def test_a_wave_is_refused_while_the_one_before_has_not_been_run(
    execute: Execute, sessions_at_devin: Callable[[], int]
) -> None:
    finished = execute("remediate_wave", "wave-0002")
    assert "wave-0001 has not been run to its end" in finished.reason
    assert sessions_at_devin() == 0


def test_ignoring_the_gate_starts_the_wave_and_leaves_a_trace(execute: Execute, ledger: Ledger) -> None:
    finished = execute("dispatch_wave", "wave-0002", devin_sessions={"ignore_gate": True})
    assert finished.metadata("devin_sessions")["gate overruled"] is True
    execute("collect_wave", "wave-0002")
    with ledger.transaction() as tx:
        assert tx.execute("SELECT wave, ignored_gate FROM gate_results").fetchall() == [("wave-0002", True)]


def test_running_a_failed_wave_again_takes_only_what_did_not_succeed(
    execute: Execute, seed: Callable[[str], None], sessions_at_devin: Callable[[], int]
) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    execute("remediate_wave", "wave-0001")
    again = execute("remediate_wave", "wave-0001")
    assert again.success
    assert again.metadata("devin_sessions")["round"] == 2
    assert sessions_at_devin() == 5 + 2
    assert execute("dispatch_wave", "wave-0002").success


def test_failures_of_a_passing_wave_are_retried(execute: Execute, seed: Callable[[str], None], ledger: Ledger) -> None:
    seed(ONE_STAYS_FAILED)
    finished = execute("remediate_wave", "wave-0001")
    assert finished.success
    with ledger.transaction() as tx:
        rows = tx.execute("SELECT attempt, outcome FROM session_results WHERE outcome != 'success'").fetchall()
    assert rows == [(3, "failed")]


def test_a_wave_that_succeeded_starts_nothing_when_run_again(
    execute: Execute, seed: Callable[[str], None], sessions_at_devin: Callable[[], int]
) -> None:
    seed(ALL_SUCCEED)
    execute("remediate_wave", "wave-0001")
    again = execute("remediate_wave", "wave-0001")
    assert again.success
    assert again.metadata("devin_sessions")["new sessions"] == 0
    assert sessions_at_devin() == 5


def test_a_round_that_is_not_collected_continues_without_new_sessions(
    execute: Execute, seed: Callable[[str], None], sessions_at_devin: Callable[[], int]
) -> None:
    seed(ALL_SUCCEED)
    execute("dispatch_wave", "wave-0001")
    assert sessions_at_devin() == 5
    assert execute("remediate_wave", "wave-0001").success
    assert sessions_at_devin() == 5


def test_results_alone_say_that_they_open_no_round(
    execute: Execute, seed: Callable[[str], None], logged_by: Callable[[Any], list[str]]
) -> None:
    seed(GATE_FAILS_THEN_PASSES)
    assert "note" not in execute("remediate_wave", "wave-0001").metadata("session_results")
    alone = execute("collect_wave", "wave-0001")
    shown = "This run opened no round and shows the results of round"
    note = f"{shown} 1 once more; the job remediate_wave runs wave-0001 again."
    assert alone.metadata("session_results")["note"] == note
    assert note in logged_by(alone)
    assert "note" not in execute("remediate_wave", "wave-0001").metadata("session_results")
    # All have succeeded by now.
    nothing_left = execute("remediate_wave", "wave-0001").metadata("session_results")["note"]
    assert nothing_left == f"{shown} 2 once more; nothing of wave-0001 is left to run again."


def test_dispatch_and_collect_make_the_same_results(execute: Execute, seed: Callable[[str], None]) -> None:
    seed(ALL_SUCCEED)
    assert execute("dispatch_wave", "wave-0001").success
    collected = execute("collect_wave", "wave-0001")
    assert collected.success
    assert collected.metadata("session_results")["succeeded"] == 5


@pytest.mark.parametrize("job", ["remediate_wave", "dispatch_wave", "collect_wave"])
def test_an_unknown_wave_is_an_error_before_any_session_is_started(
    execute: Execute, sessions_at_devin: Callable[[], int], job: str
) -> None:
    finished = execute(job, "wave-0099")
    assert "wave-0099 is not a wave of the plan (there are 4 waves" in finished.reason
    assert sessions_at_devin() == 0


@pytest.mark.parametrize("job", ["remediate_wave", "collect_wave"])
def test_a_run_without_a_wave_says_how_to_name_one(execute: Execute, job: str) -> None:
    assert "The run names no wave; launch it for a partition" in execute(job).reason


def test_a_wave_that_only_the_ledger_has_is_registered_with_dagster(
    execute: Execute, instance: dg.DagsterInstance, seed: Callable[[str], None]
) -> None:
    seed(ALL_SUCCEED)
    instance.delete_dynamic_partition("wave", "wave-0001")
    assert execute("remediate_wave", "wave-0001").success
    assert instance.has_dynamic_partition("wave", "wave-0001")


def test_collecting_a_wave_that_was_never_dispatched_says_so(execute: Execute) -> None:
    assert "wave-0001 has never been dispatched" in execute("collect_wave", "wave-0001").reason


def test_a_stale_plan_is_not_dispatched(execute: Execute, sessions_at_devin: Callable[[], int]) -> None:
    execute("dispatch_wave", "wave-0001", assets=["wave_plan"])
    execute("plan_waves", waves={"wave_size": 3})
    finished = execute("dispatch_wave", "wave-0001", assets=["devin_sessions"])
    assert "materialize wave_plan first" in finished.reason
    assert sessions_at_devin() == 0


def test_an_empty_wave_does_not_pass_its_gate(execute: Execute, ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.execute("DELETE FROM wave_findings WHERE wave_number = 1")
    finished = execute("remediate_wave", "wave-0001")
    # It keeps nobody back, so its run does not fail; and it has not passed.
    assert finished.success
    (evaluation,) = finished.result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (evaluation.description or "").startswith("wave-0001 not judged: no outcome that counts, needed 70%. ")


def test_a_stopped_wave_fails_its_run(execute: Execute, ledger: Ledger) -> None:
    execute("dispatch_wave", "wave-0001")
    with ledger.transaction() as tx:
        cancel.stop(tx, None)
    finished = execute("collect_wave", "wave-0001")
    # With ERROR, or a CI job would take a wave of which nothing counts for one that passed.
    assert not finished.success
    (evaluation,) = finished.result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (evaluation.description or "").startswith("wave-0001 not judged: no outcome that counts, needed 70%. ")


def test_live_results_never_mix_with_mock_ones(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_MODE", "false")
    monkeypatch.setenv("DEVIN_API_KEY", "cog_canary")
    reason = execute("remediate_wave", "wave-0001").reason
    assert "holds mock results of simulator, not live results of https://api.devin.ai" in reason
    assert "canary" not in reason
