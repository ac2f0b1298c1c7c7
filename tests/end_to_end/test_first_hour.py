"""The first hour of a new user: the commands of the README in a plain shell, and those that they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import CHECKOUT

PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def in_a_shell(script: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script as somebody types it who has activated nothing."""
    python = Path(sys.base_prefix) / "bin" / "python3"
    # As a person has it, a home folder and a plain path; the tests' own environment has ours on it.
    plain = {"PATH": PLAIN_PATH, "HOME": env.get("HOME", str(cwd)), "PYTHON": str(python), "LANG": "C.UTF-8"}
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=cwd,
        env=plain | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.fixture
def commands() -> str:
    """Return the commands of the README's first hour as a script."""
    text = (CHECKOUT / "README.md").read_text()
    [block] = re.findall(r"<!-- first hour -->\n```sh\n(.*?)```\n<!-- /first hour -->", text, re.DOTALL)
    return str(block)


def test_the_commands_of_the_readme_work_in_their_order(commands: str, tmp_path: Path) -> None:
    done = in_a_shell(f"set -x\n{commands}", CHECKOUT, DAGSTER_HOME=str(tmp_path / "home"), HOME=str(tmp_path))
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    lines = done.stdout.splitlines()
    assert any(line.startswith("20 findings fixed (100% of 20 with a result)") for line in lines)
    # By hand: only the critical ones were run, and then the others are planned again.
    [ends] = [line for line in lines if line.startswith("The chosen findings (severity critical) end here: wave-0002")]
    assert "plan sample_data/findings.csv --all` and `" in ends
    fixed = [line for line in lines if line.startswith("4 findings fixed (100% of 4 with a result), 16 not started")]
    assert len(fixed) == 1
    assert [line.split()[:2] for line in lines[-5:]] == [
        ["wave-0001", "4"],
        ["wave-0002", "5"],
        ["wave-0003", "5"],
        ["wave-0004", "5"],
        ["wave-0005", "1"],
    ]


def test_what_is_printed_without_activating_anything_can_be_typed(tmp_path: Path) -> None:
    fast = {"MOCK_TIME_SCALE": "200", "POLL_INTERVAL_SECONDS": "0.1", "BLOCKED_CONFIRM_SECONDS": "0", "WAVE_SIZE": "20"}
    env = fast | {"DAGSTER_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "MOCK_SEED": "1003"}
    first = in_a_shell(".venv/bin/remediate run sample_data/findings.csv --wave-size 5", CHECKOUT, **env)
    assert first.returncode == 3
    # Without the variables of this shell: the command brings its home along.
    others = {name: value for name, value in env.items() if name != "DAGSTER_HOME"}
    results = re.search(r"^Results: (.*)$", first.stdout, re.MULTILINE)
    assert results
    assert results[1].startswith(f"DAGSTER_HOME={tmp_path / 'home'} .venv/bin/remediate query ")
    asked = in_a_shell(results[1], CHECKOUT, **others)
    assert asked.returncode == 0, asked.stderr
    assert len(asked.stdout.splitlines()) == 1 + 5
    again = re.search(r"`([^`]* run [^`]*--wave wave-0001)`", first.stderr)
    assert again
    mended = in_a_shell(again[1], CHECKOUT, **others)
    assert mended.returncode == 0, mended.stderr
    activate = re.search(r"^To type `remediate` alone: (.*)$", first.stdout, re.MULTILINE)
    assert activate
    typed = in_a_shell(f"{activate[1]} && remediate status", CHECKOUT, **env)
    assert typed.returncode == 0, typed.stderr
