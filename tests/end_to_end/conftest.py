"""The real thing: commands in processes of their own, on a Dagster home of their own."""

import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Page

from tests.end_to_end.browser import browser_page
from tests.support.processes import CHECKOUT

SAMPLE = str(CHECKOUT / "sample_data" / "findings.csv")

FAST = {
    "MOCK_TIME_SCALE": "200",
    "POLL_INTERVAL_SECONDS": "0.1",
    "BLOCKED_CONFIRM_SECONDS": "0",
    "PUBLISH_INTERVAL_SECONDS": "0",
    "WAVE_SIZE": "5",
}


class Shell:
    """Runs commands as a person or a CI job would, in a folder and a Dagster home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "DAGSTER_HOME": str(home), **FAST}

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        program = Path(sys.executable).with_name(command[0])
        return subprocess.Popen(
            [str(program), *command[1:]],
            cwd=self.home,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*command, **env) as process:
            try:
                out, err = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()  # else the test would wait for it for good
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def on_a_terminal(self, *command: str, answer: str = "", stdout: int | None = None) -> tuple[str, int]:
        """Run a command on a terminal of its own; return what it showed, or wrote to a pipe, and its exit code."""
        program = Path(sys.executable).with_name(command[0])
        own, its = pty.openpty()
        process = subprocess.Popen(
            [str(program), *command[1:]],
            cwd=self.home,
            env=self.env | {"TERM": "dumb"},
            stdin=its,
            stdout=its if stdout is None else stdout,
            stderr=its,
        )
        os.close(its)
        os.write(own, answer.encode())
        # What fits into a pipe is kept there until the terminal has been read to its end.
        shown = b""
        # The terminal is gone when its last user has ended.
        with suppress(OSError):
            while part := os.read(own, 65536):
                shown += part
        os.close(own)
        if process.stdout:
            shown = process.stdout.read()
        return shown.decode().replace("\r\n", "\n"), process.wait(timeout=60)

    def remediate(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `remediate`."""
        return self.run("remediate", *arguments, **env)

    def job(self, name: str, wave: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a job the way CI does."""
        tags = ["--tags", f'{{"dagster/partition": "{wave}"}}'] if wave else []
        return self.run("dagster", "job", "execute", "-m", "remediation_assets.definitions", "-j", name, *tags, **env)

    def query(self, sql: str) -> list[Any]:
        """Query the published results, as people do."""
        with duckdb.connect(str(self.data / "remediation.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def dagster_runs(self) -> list[Any]:
        """Return job and status of each run that Dagster has, the oldest first."""
        with sqlite3.connect(self.home / "history" / "runs.db") as connection:
            return connection.execute("SELECT pipeline_name, status FROM runs ORDER BY id").fetchall()

    def speed_up(self, time_scale: float) -> None:
        """Change the pace of the simulated world, which is otherwise fixed when it is made."""
        with sqlite3.connect(self.data / "simulator.sqlite") as connection:
            connection.execute("UPDATE world SET time_scale = ?", [time_scale])

    def sessions_at_devin(self) -> int:
        """Count the sessions that the simulator has."""
        world = self.data / "simulator.sqlite"
        if not world.exists():
            return 0
        with sqlite3.connect(world) as connection:
            # A program that is just starting has made the file and not its tables yet.
            made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sessions'").fetchone()
            return int(connection.execute("SELECT count(*) FROM sessions").fetchone()[0]) if made == (1,) else 0


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", tmp_path)
    return Shell(tmp_path)


@pytest.fixture
def sample() -> str:
    return SAMPLE


@pytest.fixture
def traceback_free() -> Callable[[subprocess.CompletedProcess[str]], None]:
    def check(finished: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in finished.stdout + finished.stderr
        assert 'File "' not in finished.stdout + finished.stderr

    return check


@pytest.fixture
def page() -> Iterator[Page]:
    """Open a page of the browser that is installed."""
    with browser_page() as opened:
        yield opened
