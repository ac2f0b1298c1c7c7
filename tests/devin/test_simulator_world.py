"""The world's file: one Devin for all processes, and durable."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.simulator.world.faults import Faults
from remediation_assets.simulator.world.store import WorldUnusable
from remediation_assets.simulator.world.world import World
from tests.support.clock import Clock

ENTER = """
import json, sys
from pathlib import Path
from remediation_assets.simulator.world.store import WorldUnusable
from remediation_assets.simulator.world.world import World
world = World(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), lambda: float(sys.argv[4]))
for number in range(int(sys.argv[5])):
    world.create_session("org-1", "Fix it", tags=["wave", f"attempt-{sys.argv[6]}-{number}"])
found = world.sessions("org-1", ["wave"], 1000, None)
print(json.dumps({"seed": world.seed, "scale": world.time_scale, "sessions": [
    [s.session_id, s.tags[1], s.shows.status, s.shows.output, s.shows.pull_request] for s in found]}))
"""


def enter(path: Path, seed: int, scale: float, now: float, creates: int, name: str) -> subprocess.Popen[str]:
    arguments = [str(path), str(seed), str(scale), str(now), str(creates), name]
    return subprocess.Popen(
        [sys.executable, "-c", ENTER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.slow
def test_processes_that_make_the_world_together_share_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "simulator.sqlite"
    processes = [enter(path, seed, 1.0, 0.0, 5, str(seed)) for seed in range(6)]
    seeds = {told_by(process)["seed"] for process in processes}
    world = World(path, min(seeds), 1.0)
    found = world.sessions("org-1", ["wave"], 1000, None)
    world.close()
    assert len(seeds) == 1
    assert sorted(s.tags[1] for s in found) == sorted(f"attempt-{s}-{n}" for s in range(6) for n in range(5))


def test_another_process_sees_the_same_sessions_with_the_worlds_seed_and_time_scale(
    world: World, tmp_path: Path, clock: Clock
) -> None:
    for number in range(10):
        world.create_session("org-1", "Fix it", tags=["wave", f"attempt-{number}"])
    clock.move(60)
    told = told_by(enter(tmp_path / "simulator.sqlite", 99, 500.0, clock.seconds(), 0, ""))
    here = world.sessions("org-1", ["wave"], 1000, None)
    assert (told["seed"], told["scale"]) == (7, 1.0)
    assert told["sessions"] == [
        [s.session_id, s.tags[1], s.shows.status, s.shows.output, s.shows.pull_request] for s in here
    ]


def test_other_settings_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "simulator.sqlite"
    World(path, 7, 2.0, faults=Faults(["slow=1"])).close()
    with caplog.at_level(logging.WARNING):
        World(path, 7, 2.0, faults=Faults(["slow=1.0"])).close()
        assert caplog.messages == []
        for _ in range(3):
            World(path, 8, 1.0).close()
    (message,) = caplog.messages
    assert "MOCK_SEED=7, MOCK_TIME_SCALE=2 and MOCK_FAULTS=slow=1 and keeps" in message


def test_a_world_that_is_left_and_entered_again_has_lost_nothing(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "simulator.sqlite"
    world = World(path, 7, 1.0, clock.seconds)
    session = world.create_session("org-1", "Fix it", title="A fix", tags=["a"])
    world.send_message(session, "Hello")
    playbook = world.playbooks.create("org-1", "T", "B", None)
    world.close()
    world = World(path, 7, 1.0, clock.seconds)
    again = world.session("org-1", session.session_id)
    assert again is not None
    assert again.tags == ("a",)
    assert [text for _, source, text in world.conversation(again) if source == "user"] == ["Hello"]
    assert world.playbooks.get("org-1", playbook.playbook_id) == playbook
    world.close()


@pytest.mark.slow
def test_a_process_that_is_killed_loses_no_session_it_made(tmp_path: Path) -> None:
    path = tmp_path / "simulator.sqlite"
    program = ENTER + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    arguments = [str(path), "7", "1", "0", "5", "killed"]
    killed = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
    assert killed.returncode == -9
    world = World(path, 7, 1.0)
    assert len(world.sessions("org-1", ["wave"], 1000, None)) == 5
    world.close()


def test_a_file_that_is_no_world_is_an_error_for_people(tmp_path: Path) -> None:
    path = tmp_path / "simulator.sqlite"
    path.write_text("This is no database at all, but long enough to be looked at as one.\n" * 20)
    with pytest.raises(WorldUnusable, match="`remediate reset` to begin another world"):
        World(path, 7, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_of_2000_sessions_15_in_100_fail_and_all_others_have_a_pull_request_in_time(
    tmp_path: Path, clock: Clock, scale: float
) -> None:
    world = World(tmp_path / "simulator.sqlite", 7, scale, clock.seconds)
    for number in range(2000):
        world.create_session("org-1", "Fix it", tags=[f"attempt-{number}"])
    clock.move(22.9 / scale)  # the earliest is stuck after 23 simulated seconds, the last is done after 53
    assert all(session.shows.is_at_work for session in world.sessions("org-1", [], 2000, None))
    clock.move(30.2 / scale)
    ended = [session.shows for session in world.sessions("org-1", [], 2000, None)]
    world.close()
    assert not any(shows.is_at_work for shows in ended)
    failed = sum(shows.pull_request is None for shows in ended)
    assert abs(failed - 300) < 2.576 * math.sqrt(2000 * 0.15 * 0.85)
    assert all((shows.output or {})["status"] == ("completed" if shows.pull_request else "testing") for shows in ended)
