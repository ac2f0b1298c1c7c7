"""Every page of the dashboard over HTTP with 100,000 findings and 10,000 sessions: median time and size."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from remediation_assets.connect import open_ledger
from remediation_assets.settings import Settings
from tests.benchmarks.figures import Figure
from tests.support import synthetic_ledger

FINDINGS, SESSIONS, VISITS = 100_000, 10_000, 15
WANTED_MS, WANTED_KB = 200.0, 300.0

PAGES = (
    *("/", "/findings", "/findings?sort=status", "/findings?severity=high&text=finding+9", "/findings?page=1500"),
    *("/findings?status=failed", "/sessions", "/sessions?sort=status&page=100", "/sessions/devin-005000"),
    *("/review", "/waves"),
)


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(_env_file=None, remediation_data_dir=str(folder / "data"))
        synthetic_ledger.fill(open_ledger(settings), settings, folder, findings=FINDINGS, sessions=SESSIONS)
        env = {"PATH": os.environ["PATH"], "HOME": name, "REMEDIATION_DATA_DIR": str(folder / "data")}
        command = [str(Path(sys.executable).with_name("remediate")), "dashboard", "--port", "0"]
        with subprocess.Popen(command, env=env, cwd=name, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                with httpx.Client(base_url=process.stdout.readline().split()[-1], timeout=60) as client:
                    for page in PAGES:
                        yield from _page(client, page)
            finally:
                process.kill()


def _page(client: httpx.Client, page: str) -> Iterator[Figure]:
    seconds, size = [], 0
    for _ in range(VISITS):
        begun = time.perf_counter()
        answer = client.get(page)
        seconds.append(time.perf_counter() - begun)
        answer.raise_for_status()
        size = len(answer.content)
    yield Figure(page, statistics.median(seconds) * 1000, "ms", WANTED_MS, "wanted")
    yield Figure(f"{page}, sent", size / 1000, "KB", WANTED_KB, "wanted")
