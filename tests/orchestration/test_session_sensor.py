"""The sensor follows what a person opened and collects what has settled; it opens nothing itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.locks import held
from remediation_assets.orchestration import checks
from remediation_assets.orchestration.sensors import run_requests
from remediation_assets.orchestration.sensors.devin_sessions import devin_session_sensor
from remediation_assets.sessions.steps.cancel import pause, resume, stop
from tests.orchestration.conftest import skipped, tick_of

ALL_SUCCEED = "100"

SETTLED_ROUND = """
INSERT INTO rounds BY NAME
SELECT ? AS wave_number, 1 AS round, now() AS opened_at, 1 AS plan_number, false AS ignored_gate, now() AS settled_at
"""

Execute = Callable[..., Any]
Tick = Callable[[], dg.SensorResult | dg.SkipReason]


@pytest.fixture
def tick(instance: dg.DagsterInstance) -> Tick:
    return lambda: tick_of(devin_session_sensor, instance)


def test_without_a_plan_there_is_nothing_to_do(tick: Tick) -> None:
    assert skipped(tick()) == "Nothing is planned yet."


def test_a_plan_alone_starts_nothing(execute: Execute, tick: Tick) -> None:
    execute("plan_waves")
    assert skipped(tick()) == "No wave is under way."


def test_a_dispatched_wave_is_brought_to_its_end_and_collected_once(
    execute: Execute, tick: Tick, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    execute("plan_waves")
    execute("dispatch_wave", "wave-0001")
    for _ in range(200):
        result = tick()
        if isinstance(result, dg.SensorResult):
            break
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    assert request.partition_key == "wave-0001"
    # Dagster never takes a key twice, so it names the ledger: one that was reset starts again at round 1.
    assert request.run_key == f"{ledger.ledger_id}-wave-0001-round-1-try-1"
    assert execute("collect_wave", "wave-0001").success
    assert skipped(tick()) == "No wave is under way."
    with ledger.transaction() as tx:
        assert tx.execute("SELECT count(*) FROM attempts").fetchone() == (5,)


def test_a_collection_that_failed_is_requested_again_a_few_times(
    execute: Execute, tick: Tick, ledger: Ledger, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute("plan_waves")
    with ledger.transaction() as tx:
        tx.execute(SETTLED_ROUND, [1])
    keys = []
    for _ in range(3):
        result = tick()
        assert isinstance(result, dg.SensorResult)
        (request,) = result.run_requests or []
        keys.append(request.run_key)
        run = instance.create_run_for_job(
            defs.resolve_job_def("collect_wave"), tags=request.tags, status=dg.DagsterRunStatus.STARTED
        )
        instance.report_run_failed(run)
        # Not in the next tick: an outage of a minute must not use up all tries.
        monkeypatch.setattr(run_requests, "WAIT_SECONDS", 60.0)
        if len(keys) < run_requests.TRIES:
            assert "has failed; it is tried again in a while." in skipped(tick())
        monkeypatch.setattr(run_requests, "WAIT_SECONDS", 0.0)
    assert len(set(keys)) == 3
    assert "has failed; see why in its run, then launch collect_wave." in skipped(tick())


def test_what_has_settled_is_collected_although_devin_cannot_be_polled(
    execute: Execute, tick: Tick, ledger: Ledger, home: Path
) -> None:
    execute("plan_waves")
    execute("dispatch_wave", "wave-0001")
    with ledger.transaction() as tx:
        tx.execute(SETTLED_ROUND, [2])
    for path in (home / "data").glob("simulator.sqlite*"):
        path.unlink()
    (home / "data" / "simulator.sqlite").write_bytes(b"no database at all" * 100)
    result = tick()
    assert isinstance(result, dg.SensorResult)
    assert [request.partition_key for request in result.run_requests or []] == ["wave-0002"]


def test_a_tick_beside_another_process_says_who_is_at_work(execute: Execute, tick: Tick, ledger: Ledger) -> None:
    execute("plan_waves")
    execute("dispatch_wave", "wave-0001")
    with held(ledger.data_dir / "advance.lock", timeout=0):
        assert "advance.lock is held by process" in skipped(tick())


def test_a_setting_that_does_not_parse_is_a_skip_with_its_reason(tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_RETRIES", "-1")
    assert "MAX_RETRIES='-1' cannot be used" in skipped(tick())


@pytest.mark.parametrize("job", ["remediate_wave", "collect_wave", "__ASSET_JOB"])
def test_a_round_that_a_waiting_run_will_collect_is_left_to_it(
    execute: Execute, tick: Tick, ledger: Ledger, instance: dg.DagsterInstance, job: str
) -> None:
    execute("plan_waves")
    with ledger.transaction() as tx:
        tx.execute(SETTLED_ROUND, [1])
    waiting = instance.create_run_for_job(
        defs.resolve_job_def(job) if job != "__ASSET_JOB" else defs.resolve_implicit_global_asset_job_def(),
        tags={"dagster/partition": "wave-0001"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert f"wave-0001 is collected by {job} {waiting.run_id[:8]}." in skipped(tick())
    instance.report_run_failed(waiting)
    result = tick()
    assert isinstance(result, dg.SensorResult)
    assert [request.partition_key for request in result.run_requests or []] == ["wave-0001"]


def test_a_run_that_only_dispatches_collects_nothing(
    execute: Execute, tick: Tick, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    execute("plan_waves")
    with ledger.transaction() as tx:
        tx.execute(SETTLED_ROUND, [1])
    tags = {"dagster/partition": "wave-0001"}
    job = defs.resolve_job_def("dispatch_wave")
    instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    result = tick()
    assert isinstance(result, dg.SensorResult)
    assert len(result.run_requests or []) == 1


def test_a_wave_that_was_stopped_before_its_first_session_runs_again_after_another_plan(
    execute: Execute, tick: Tick, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    execute("plan_waves")
    with ledger.transaction() as tx:
        pause(tx, "lunch")
    execute("dispatch_wave", "wave-0001")
    with ledger.transaction() as tx:
        assert stop(tx, None) == 5
    result = tick()
    assert isinstance(result, dg.SensorResult)
    assert not execute("collect_wave", "wave-0001").success
    with ledger.transaction() as tx:
        resume(tx)
    monkeypatch.setenv("WAVE_SIZE", "4")
    assert execute("plan_waves").success
    # The verdict belongs to the wave as it was cut, so the wave stands, and a new round takes its findings.
    assert execute("remediate_wave", "wave-0001").success
    with ledger.transaction() as tx:
        rounds = tx.execute("SELECT round, passed, findings FROM gate_results ORDER BY round").fetchall()
    assert rounds == [(1, False, 5), (2, True, 5)]


def test_a_collection_that_breaks_off_has_not_collected(
    execute: Execute, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    monkeypatch.setattr(run_requests, "WAIT_SECONDS", 0.0)
    execute("plan_waves")
    execute("dispatch_wave", "wave-0001")
    with monkeypatch.context() as broken:
        broken.setattr(checks, "last_verdict", lambda *_: 1 / 0)
        assert not execute("remediate_wave", "wave-0001").success
    result = tick()
    assert isinstance(result, dg.SensorResult)
    assert [request.partition_key for request in result.run_requests or []] == ["wave-0001"]
    assert execute("collect_wave", "wave-0001").success
    assert skipped(tick()) == "No wave is under way."
