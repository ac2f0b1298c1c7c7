"""A findings file that is new or has changed is planned once for each content, and never half written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.resources import Pipeline
from remediation_assets.sensors.findings_file import findings_file_sensor
from remediation_assets.settings import CHECKOUT

Execute = Callable[..., Any]


class Watcher:
    """Ticks the sensor, which remembers what it saw."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> dg.RunRequest | str:
        """Give the run that is asked for, or why there is none."""
        with dg.build_sensor_context(
            instance=self.instance, resources={"pipeline": Pipeline()}, cursor=self.cursor
        ) as context:
            result = findings_file_sensor(context)
            self.cursor = context.cursor
        if isinstance(result, dg.SkipReason):
            return result.skip_message or ""
        assert isinstance(result, dg.SensorResult)
        (request,) = result.run_requests or [""]
        return request


@pytest.fixture
def watcher(instance: dg.DagsterInstance) -> Watcher:
    return Watcher(instance)


@pytest.fixture
def file(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = home / "export.csv"
    shutil.copy(CHECKOUT / "sample_data" / "findings.csv", path)
    monkeypatch.setenv("FINDINGS_PATH", str(path))
    return path


def keep(path: Path, rows: int) -> None:
    """Let the file have so many of the sample's rows."""
    lines = (CHECKOUT / "sample_data" / "findings.csv").read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: rows + 1]))


def planned(watcher: Watcher, execute: Execute) -> str:
    """Tick until a run is asked for, run it, and give its key."""
    assert "is new or has changed" in str(watcher.tick())
    request = watcher.tick()
    assert isinstance(request, dg.RunRequest)
    assert request.job_name == "plan_waves"
    assert execute("plan_waves", findings=request.run_config["ops"]["findings"]["config"]).success
    return request.run_key or ""


def test_it_is_off_until_a_person_turns_it_on() -> None:
    assert findings_file_sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_without_a_file_it_says_what_is_missing(watcher: Watcher, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watcher.tick() == "FINDINGS_PATH is not set; it names the file to watch."
    monkeypatch.setenv("FINDINGS_PATH", "nowhere.csv")
    assert watcher.tick() == "nowhere.csv cannot be read (No such file or directory)."


def test_each_content_is_planned_once(watcher: Watcher, file: Path, execute: Execute) -> None:
    first = planned(watcher, execute)
    assert watcher.tick() == f"{file} has not changed since it was read."
    file.touch()
    watcher.tick()
    assert watcher.tick() == f"{file} has not changed since it was read."
    keep(file, 10)
    second = planned(watcher, execute)
    keep(file, 20)
    third = planned(watcher, execute)
    # The content of the first time has come back: that is a change as well.
    assert len({first, second, third}) == 3


def test_a_file_that_still_grows_is_left_alone(watcher: Watcher, file: Path) -> None:
    for rows in (2, 5, 9):
        keep(file, rows)
        assert "is read if the next tick sees it the same" in str(watcher.tick())


def test_a_file_that_cannot_be_used_is_tried_once(watcher: Watcher, file: Path, instance: dg.DagsterInstance) -> None:
    file.write_text("no header that anybody knows\n")
    watcher.tick()
    request = watcher.tick()
    assert isinstance(request, dg.RunRequest)
    job = defs.resolve_job_def("plan_waves")
    instance.report_run_failed(instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED))
    assert watcher.tick() == ""
