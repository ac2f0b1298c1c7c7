"""Fixtures: a Dagster home for each test, fast settings, and a real instance to run assets on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.connect import open_ledger
from remediation_assets.definitions import defs
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.settings import load_settings

FAST = {
    "MOCK_TIME_SCALE": "1000",
    "POLL_INTERVAL_SECONDS": "0.02",
    "BLOCKED_CONFIRM_SECONDS": "0",
    "PUBLISH_INTERVAL_SECONDS": "0",
    "WAVE_SIZE": "5",
}


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def reason(self) -> str:
        """Return the message of the first failure."""
        for event in self.result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data
                return (data.user_failure_data and data.user_failure_data.description) or str(data.error)
        return ""

    def metadata(self, asset: str) -> dict[str, Any]:
        """Return the values of an asset's metadata."""
        (materialization,) = self.result.asset_materializations_for_node(asset)
        return {name: value.value for name, value in materialization.metadata.items()}


Execute = Callable[..., Finished]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:  # noqa: ARG001  # for what it sets
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def ledger(home: Path) -> Ledger:  # noqa: ARG001  # for what it sets
    return open_ledger(load_settings())


@pytest.fixture
def execute(instance: dg.DagsterInstance) -> Execute:
    """Return a function that runs a job, or some of its assets, to the end without raising if it fails."""

    def run(job: str, wave: str | None = None, assets: Sequence[str] = (), **config: dict[str, Any]) -> Finished:
        tags = {"dagster/partition": wave} if wave else None
        return Finished(
            defs.resolve_job_def(job).execute_in_process(
                instance=instance,
                tags=tags,
                asset_selection=[dg.AssetKey(name) for name in assets] or None,
                run_config={"ops": {name: {"config": values} for name, values in config.items()}},
                raise_on_error=False,
            )
        )

    return run


def tick_of(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    """Evaluate a sensor once, as the daemon does."""
    with dg.build_sensor_context(instance=instance, resources={"pipeline": Pipeline()}) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def skipped(result: dg.SensorResult | dg.SkipReason) -> str:
    assert isinstance(result, dg.SkipReason), result
    return result.skip_message or ""


def fail(instance: dg.DagsterInstance, job: str, tags: Mapping[str, str]) -> None:
    """Record a failed run of a job."""
    definition = defs.resolve_job_def(job)
    instance.report_run_failed(instance.create_run_for_job(definition, tags=tags, status=dg.DagsterRunStatus.STARTED))
