"""`dagster dev` as a process of its own, and what a test does with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

REPOSITORY = {"repositoryLocationName": "remediation_assets.definitions", "repositoryName": "__repository__"}


class ServedUi:
    """A Dagster UI that is served, with a client for its GraphQL."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._http = httpx.Client(base_url=origin, timeout=30)

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        answer = self._http.post("/graphql", json={"query": query, "variables": variables or {}}).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def loaded(self) -> bool:
        """Whether the webserver answers and has our code."""
        with suppress(httpx.HTTPError):
            found = self.graphql("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
            return bool(found["repositoriesOrError"]["nodes"])
        return False


class DagsterDev(ServedUi):
    """`dagster dev` as `make dev` starts it: webserver, daemon and code server, and what a test does with it."""

    def __init__(self, origin: str, instance: dg.DagsterInstance, group: int) -> None:
        super().__init__(origin)
        self.instance = instance
        self._group = group

    def kill(self) -> None:
        """Kill webserver, daemon, code server and the runs they started, all at once."""
        os.killpg(self._group, signal.SIGKILL)

    def runs(self, job: str, wave: str | None = None) -> list[dg.DagsterRun]:
        """Return the runs of a job, or of one wave of it, the newest first."""
        tags = {"dagster/partition": wave} if wave else {}
        return list(self.instance.get_runs(dg.RunsFilter(job_name=job, tags=tags)))

    def launch(self, job: str, wave: str | None = None) -> str:
        """Launch a job as the UI does; gives the id of its run."""
        tags = [{"key": "dagster/partition", "value": wave}] if wave else []
        selector = REPOSITORY | {"jobName": job}
        answer = self.graphql(
            """
            mutation ($params: ExecutionParams!) {
              launchRun(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
              }
            }
            """,
            {"params": {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}},
        )["launchRun"]
        return str(answer["run"]["runId"])

    def turn_on(self, sensor: str) -> None:
        """Turn a sensor on, as the switch in the UI does."""
        selector = REPOSITORY | {"sensorName": sensor}
        answer = self.graphql(
            """
            mutation ($selector: SensorSelector!) {
              startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } }
            }
            """,
            {"selector": selector},
        )
        assert answer["startSensor"]["__typename"] == "Sensor", answer

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def status_of(self, run_id: str) -> dg.DagsterRunStatus:
        return self.run(run_id).status


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something has become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it has started in its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def served_ui(command: str, cwd: Path, env: Mapping[str, str]) -> Iterator[ServedUi]:
    """Serve the UI by a command as it is typed in a shell, on a free port; end the whole group of its processes."""
    port = free_port()
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {command} -p {port}"],
        cwd=cwd,
        env=dict(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ui = ServedUi(f"http://127.0.0.1:{port}")
        wait_until(ui.loaded, seconds=180)
        yield ui
    finally:
        end_group(process)


@contextmanager
def dagster_dev(home: Path, env: Mapping[str, str]) -> Iterator[DagsterDev]:
    """Run `dagster dev` on a free port; ends the whole group of its processes."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "remediation_assets.definitions"]
    # Opened first: Dagster makes its databases on first use, and two processes that do so at once can fail.
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        instance.get_dynamic_partitions("wave")
        with (home / "dagster-dev.log").open("a") as log:
            process = subprocess.Popen(
                [*command, "-p", str(port)],
                cwd=home,
                env=dict(env),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            dev = DagsterDev(f"http://127.0.0.1:{port}", instance, process.pid)
            wait_until(dev.loaded, seconds=180)  # with other tests beside it on two cores
            yield dev
        finally:
            end_group(process)
