"""A findings file is planned once for each content, and never while it is being written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.orchestration.resources import GIVE_UP_TAG, Pipeline
from remediation_assets.orchestration.sensors import run_requests
from remediation_assets.orchestration.sensors.findings_file import findings_file_sensor
from remediation_assets.settings import CHECKOUT

Execute = Callable[..., Any]


class Watcher:
    """Evaluates the sensor and keeps its cursor, as the daemon does."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def tags_of(self, finished: Any) -> dict[str, str]:
        run = self.instance.get_run_by_id(finished.result.run_id)
        assert run is not None
        return dict(run.tags)

    def fail(self, request: dg.RunRequest, tags: dict[str, str]) -> None:
        """Record that the requested run has failed."""
        job = defs.resolve_job_def("plan_waves")
        run = self.instance.create_run_for_job(job, tags={**request.tags, **tags}, status=dg.DagsterRunStatus.STARTED)
        self.instance.report_run_failed(run)

    def tick(self) -> dg.RunRequest | str:
        """Return the requested run, or the reason why there is none."""
        with dg.build_sensor_context(
            instance=self.instance, resources={"pipeline": Pipeline()}, cursor=self.cursor
        ) as context:
            result = findings_file_sensor(context)
            self.cursor = context.cursor
        if isinstance(result, dg.SkipReason):
            return result.skip_message or ""
        assert isinstance(result, dg.SensorResult)
        if not result.run_requests:
            return ""
        (request,) = result.run_requests
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
    """Write the first rows of the sample to the file."""
    lines = (CHECKOUT / "sample_data" / "findings.csv").read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: rows + 1]))


def planned(watcher: Watcher, execute: Execute) -> str:
    """Tick until a run is requested, run it, and return its key."""
    assert "is new or has changed" in str(watcher.tick())
    request = watcher.tick()
    assert isinstance(request, dg.RunRequest)
    assert request.job_name == "plan_waves"
    assert execute("plan_waves", findings=request.run_config["ops"]["findings"]["config"]).success
    return request.run_key or ""


def test_it_is_off_until_a_person_turns_it_on() -> None:
    assert findings_file_sensor.default_status is dg.DefaultSensorStatus.STOPPED


@pytest.mark.usefixtures("home")
def test_without_a_file_it_says_what_is_missing(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watcher.tick() == "FINDINGS_PATH is not set; it names the file to watch."
    monkeypatch.setenv("FINDINGS_PATH", "nowhere.csv")
    assert watcher.tick() == "nowhere.csv cannot be read (No such file or directory)."


def test_each_content_is_planned_once(watcher: Watcher, file: Path, execute: Execute) -> None:
    first = planned(watcher, execute)
    assert watcher.tick() == f"{file} has not changed since it was planned."
    file.touch()
    watcher.tick()
    assert watcher.tick() == f"{file} has not changed since it was planned."
    keep(file, 10)
    second = planned(watcher, execute)
    keep(file, 20)
    third = planned(watcher, execute)
    # The sample has 20 rows, so the first content is back: that is a change, too.
    assert len({first, second, third}) == 3


def test_a_file_that_still_grows_is_left_alone(watcher: Watcher, file: Path) -> None:
    for rows in (2, 5, 9):
        keep(file, rows)
        assert "is read if the next tick sees it the same" in str(watcher.tick())


def test_a_file_that_cannot_be_used_is_tried_once(watcher: Watcher, file: Path, execute: Execute) -> None:
    file.write_text("no header that anybody knows\n")
    watcher.tick()
    request = watcher.tick()
    assert isinstance(request, dg.RunRequest)
    failed = execute("plan_waves", findings=request.run_config["ops"]["findings"]["config"])
    assert GIVE_UP_TAG in watcher.tags_of(failed)
    watcher.fail(request, {GIVE_UP_TAG: "the findings file cannot be used"})
    assert "has failed; see why in its run, then launch plan_waves." in str(watcher.tick())


def test_a_run_that_failed_before_it_had_planned_is_requested_again(
    watcher: Watcher, file: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "WAIT_SECONDS", 0.0)
    watcher.tick()
    request = watcher.tick()
    assert isinstance(request, dg.RunRequest)
    config = request.run_config["ops"]["findings"]["config"]
    assert execute("plan_waves", assets=["findings"], findings=config).success
    watcher.fail(request, {})
    again = watcher.tick()
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key
    assert execute("plan_waves", findings=config).success
    assert watcher.tick() == f"{file} has not changed since it was planned."


def test_a_folder_is_watched_with_all_its_files(
    watcher: Watcher, home: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "exports"
    folder.mkdir()
    monkeypatch.setenv("FINDINGS_PATH", str(folder))
    keep(folder / "a.csv", 5)
    first = planned(watcher, execute)
    assert watcher.tick() == f"{folder} has not changed since it was planned."
    keep(folder / "b.csv", 7)
    assert planned(watcher, execute) != first
    assert watcher.tick() == f"{folder} has not changed since it was planned."
