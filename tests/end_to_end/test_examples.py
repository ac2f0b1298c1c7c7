"""The examples: the workflow's steps and the demo, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import CHECKOUT

FAST = {"MOCK_TIME_SCALE": "200", "POLL_INTERVAL_SECONDS": "0.1", "BLOCKED_CONFIRM_SECONDS": "0", "WAVE_SIZE": "5"}


def test_the_workflow_plans_runs_a_wave_and_keeps_the_results(tmp_path: Path) -> None:
    workflow = yaml.safe_load((CHECKOUT / "examples" / "ci" / "remediate.yml").read_text())
    given = {
        "github.workspace": str(tmp_path),
        "inputs.wave": "wave-0001",
        "inputs.findings": "sample_data/findings.csv",
        "secrets.DEVIN_API_KEY": "",
    }

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: given[found[1]], text)

    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (tmp_path / "sample_data").symlink_to(CHECKOUT / "sample_data")
    (tmp_path / "remediation_assets").symlink_to(CHECKOUT / "remediation_assets")
    outside = {name: filled(str(value)) for name, value in workflow["env"].items()}
    ran = []
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "run" not in step or step.get("name") == "Install":
                continue
            own = {name: filled(str(value)) for name, value in step.get("env", {}).items()}
            env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **FAST, **outside, **own}
            done = subprocess.run(
                ["bash", "-e", "-c", filled(step["run"])],
                cwd=tmp_path,
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (step["name"], done.stdout[-2000:], done.stderr[-2000:])
            ran.append(step["name"])
    assert ran == ["Plan", "Run the wave to its gate", "Say how it went"]
    [keep] = [step for step in workflow["jobs"]["wave"]["steps"] if step.get("name") == "Keep the results"]
    assert (tmp_path / keep["with"]["path"]).exists()
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert not re.search(r"\$\{\{ *inputs", step.get("run", "")), "an input in a script could be a command"


def test_the_demo_fails_a_gate_mends_it_and_ends_with_what_to_open(tmp_path: Path) -> None:
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
           "DEMO_HOME": str(tmp_path / "demo"), "MOCK_TIME_SCALE": "200"}  # fmt: skip
    done: Any = subprocess.run(
        ["bash", str(CHECKOUT / "examples" / "demo.sh")], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for told in (
        "to be tried again",
        "gate failed",
        "is run again",
        "20 findings fixed (100% of 20 with a result)",
        "make dashboard",
    ):
        assert told in done.stdout, told
