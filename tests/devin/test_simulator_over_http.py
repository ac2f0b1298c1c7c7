"""`remediate simulator` as people run it: in a process of its own, with faults, and killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support import processes

pytestmark = pytest.mark.slow

SESSIONS = "/v3/organizations/org-simulator/sessions"
COMMAND = [str(Path(sys.executable).with_name("remediate")), "simulator"]


@contextmanager
def simulator(data: Path, *options: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    with (
        processes.simulator(data, *options) as served,
        httpx.Client(base_url=served.origin, headers={"Authorization": "Bearer cog_test"}) as http,
    ):
        yield http, served.process


def test_a_simulator_that_is_killed_and_started_again_has_lost_nothing(tmp_path: Path) -> None:
    with simulator(tmp_path) as (http, process):
        made = [http.post(SESSIONS, json={"prompt": "Fix it", "tags": ["t"]}).json()["session_id"] for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    with simulator(tmp_path) as (http, process):
        listed = [item["session_id"] for item in http.get(SESSIONS, params={"tags": "t"}).json()["items"]]
        assert http.get("/simulator/faults").status_code == 404
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert listed == made[::-1]


def test_faults_are_chosen_at_the_start_and_changed_through_the_control_endpoint(tmp_path: Path) -> None:
    with simulator(tmp_path, "--fault", "quota=1", "--fault", "list_lag=60", "--control") as (http, _):
        assert http.post(SESSIONS, json={"prompt": "Fix it", "tags": ["t"]}).status_code == 200
        refused = http.post(SESSIONS, json={"prompt": "Fix that", "tags": ["t"]})
        assert (refused.status_code, refused.json()) == (402, {"detail": "Your organization is out of quota"})
        assert http.get(SESSIONS).json()["items"] == []
        assert http.get("/simulator/faults").json() == {"faults": ["list_lag=60", "quota=1"]}
        http.put("/simulator/faults", json={"faults": ["lost_answer=1"]})
        with pytest.raises(httpx.RemoteProtocolError):
            http.post(SESSIONS, json={"prompt": "Fix that", "tags": ["t"]})
        assert len(http.get(SESSIONS).json()["items"]) == 2


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--fault", "nonsense=1"], 1, "Error: There is no fault 'nonsense'"),
        (["--port", "70000"], 2, "--port"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path, options: list[str], status: int, words: str) -> None:
    env = {"PATH": os.environ["PATH"], "REMEDIATION_DATA_DIR": str(tmp_path)}
    finished = subprocess.run([*COMMAND, *options], capture_output=True, text=True, env=env, timeout=60)
    assert (finished.returncode, words in finished.stderr) == (status, True)
    assert "Traceback" not in finished.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with simulator(tmp_path) as (http, _):
        env = {"PATH": os.environ["PATH"], "REMEDIATION_DATA_DIR": str(tmp_path)}
        command = [*COMMAND, "--port", str(http.base_url.port)]
        finished = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert finished.returncode == 1
    assert "cannot be used (Address already in use); choose another with --port." in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_world_that_is_served_is_not_deleted_and_one_is_served_once(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "REMEDIATION_DATA_DIR": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "home")}
    with simulator(tmp_path) as (http, process):
        http.post(SESSIONS, json={"prompt": "Fix it"})
        for command in ([COMMAND[0], "reset"], [*COMMAND, "--port", "0"]):
            told = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
            assert (told.returncode, f"simulator.lock is held by process {process.pid}" in told.stderr) == (1, True)
        assert len(http.get(SESSIONS).json()["items"]) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_faults_that_are_asked_for_replace_those_of_an_older_world(tmp_path: Path) -> None:
    with simulator(tmp_path, "--fault", "quota=0") as (http, _):
        assert http.post(SESSIONS, json={"prompt": "Fix it"}).status_code == 402
    with simulator(tmp_path, "--fault", "slow=0") as (http, _):
        assert http.post(SESSIONS, json={"prompt": "Fix it"}).status_code == 200
