"""How long people wait for the commands, compared with the start of Python itself."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from remediation_assets.connect import open_ledger
from remediation_assets.settings import Settings
from tests.benchmarks.figures import Figure
from tests.support import synthetic_ledger

TIMES = 7
WANTED = {"--help": 0.4, "status": 1.0}


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(_env_file=None, remediation_data_dir=str(folder / "data"))
        synthetic_ledger.fill(open_ledger(settings), settings, folder, findings=1000, sessions=100)
        env = {"PATH": os.environ["PATH"], "HOME": name, "REMEDIATION_DATA_DIR": str(folder / "data")}
        floor = _seconds([sys.executable, "-c", "pass"], env)
        for argument, wanted in WANTED.items():
            seconds = _seconds([str(Path(sys.executable).with_name("remediate")), argument], env)
            yield Figure(f"remediate {argument}", seconds, "s", floor, "python -c pass")
            yield Figure(f"remediate {argument}", seconds, "s", wanted, "wanted")


def _seconds(command: list[str], env: dict[str, str]) -> float:
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        subprocess.run(command, env=env, cwd=env["HOME"], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)
