"""Other Python processes, for tests in which processes are the point."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script beside the test: wait until it prints `ready`, and at the end close its input and wait for it."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()  # else a script that never ends would hold up the tests, and the machine after them
                raise


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script and wait for it."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False, timeout=60)


@dataclass(frozen=True)
class ServedSimulator:
    """The simulated Devin over HTTP."""

    origin: str
    process: subprocess.Popen[str]


@contextmanager
def simulator(data: Path, *options: str, **env: str) -> Iterator[ServedSimulator]:
    """Serve the world of a data directory on a free port, as `remediate simulator` does."""
    command = [str(Path(sys.executable).with_name("remediate")), "simulator", "--port", "0", *options]
    env = {"PATH": os.environ["PATH"], "REMEDIATION_DATA_DIR": str(data), **env}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield ServedSimulator(process.stdout.readline().split()[3].rstrip(";"), process)
        finally:
            process.kill()
