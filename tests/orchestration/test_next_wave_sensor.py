"""The next wave starts by itself only if a person turned the sensor on, and only after a gate that passed."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.sensors import run_requests
from remediation_assets.orchestration.sensors.next_wave import next_wave_sensor
from tests.orchestration.conftest import fail, skipped, tick_of

ALL_SUCCEED = "100"
GATE_FAILS_THEN_PASSES = "1003"

Execute = Callable[..., Any]
Tick = Callable[[], dg.SensorResult | dg.SkipReason]


@pytest.fixture
def tick(instance: dg.DagsterInstance) -> Tick:
    return lambda: tick_of(next_wave_sensor, instance)


def requested(result: dg.SensorResult | dg.SkipReason) -> dg.RunRequest:
    assert isinstance(result, dg.SensorResult), result
    (request,) = result.run_requests or []
    return request


def test_it_is_off_until_a_person_turns_it_on() -> None:
    assert next_wave_sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_the_first_wave_is_left_to_a_person(execute: Execute, tick: Tick) -> None:
    assert skipped(tick()) == "Nothing is planned yet."
    execute("plan_waves")
    assert skipped(tick()) == "No wave has been started; launch dispatch_wave for the first."


def test_the_wave_after_a_passed_gate_is_dispatched_once(
    execute: Execute, tick: Tick, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    execute("plan_waves")
    execute("dispatch_wave", "wave-0001")
    assert skipped(tick()) == "wave-0001 is under way."
    execute("collect_wave", "wave-0001")
    request = requested(tick())
    assert (request.job_name, request.partition_key) == ("dispatch_wave", "wave-0002")
    # Dagster takes a key once, so asking again for the same starts nothing.
    assert requested(tick()).run_key == request.run_key
    assert ledger.ledger_id in (request.run_key or "")
    execute("dispatch_wave", "wave-0002")
    assert skipped(tick()) == "wave-0002 is under way."


def test_after_a_failed_gate_the_sensor_gives_the_reason_that_a_run_would_give(
    execute: Execute, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", GATE_FAILS_THEN_PASSES)
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    reason = skipped(tick())
    assert reason.startswith(
        "wave-0002 is refused and not started: wave-0001 has not passed its gate (3 of 5 succeeded"
    )
    assert reason == execute("dispatch_wave", "wave-0002").reason
    assert execute("remediate_wave", "wave-0001").success
    assert requested(tick()).partition_key == "wave-0002"


def test_after_the_last_wave_there_is_none(execute: Execute, tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    monkeypatch.setenv("WAVE_SIZE", "100")
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    assert skipped(tick()) == "Every wave has been started."


def test_what_a_person_stopped_or_paused_does_not_continue_by_itself(
    execute: Execute, tick: Tick, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    with ledger.transaction() as tx:
        tx.execute("UPDATE rounds SET stopped_at = now()")
    assert "wave-0001 was stopped by a person" in skipped(tick())
    with ledger.transaction() as tx:
        tx.execute("UPDATE rounds SET stopped_at = NULL")
        tx.execute("INSERT INTO holds VALUES (1, 'person', 'lunch', now(), NULL, NULL, NULL)")
    assert skipped(tick()).startswith("wave-0002 is not started: dispatching is on hold (person)")


def test_a_dispatch_that_failed_is_tried_again_a_few_times(
    execute: Execute, tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    monkeypatch.setattr(run_requests, "WAIT_SECONDS", 0.0)
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    keys = set()
    for _ in range(3):
        request = requested(tick())
        keys.add(request.run_key)
        fail(instance, "dispatch_wave", request.tags)
    assert len(keys) == 3
    assert "has failed; see why in its run, then launch dispatch_wave." in skipped(tick())


def test_a_dispatch_that_a_person_cancelled_is_not_launched_again(
    execute: Execute, tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    monkeypatch.setattr(run_requests, "WAIT_SECONDS", 0.0)
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    job = defs.resolve_job_def("dispatch_wave")
    run = instance.create_run_for_job(job, tags=requested(tick()).tags, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_canceled(run)
    assert "was cancelled, so it is not launched again" in skipped(tick())


def test_a_wave_that_was_planned_again_is_requested_again(
    execute: Execute, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SEED", ALL_SUCCEED)
    execute("plan_waves")
    execute("remediate_wave", "wave-0001")
    before = requested(tick()).run_key
    monkeypatch.setenv("WAVE_SIZE", "4")
    execute("plan_waves")
    assert requested(tick()).run_key != before
