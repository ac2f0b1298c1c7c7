"""From a findings file to a published plan, compared with plain Python and with reading the file alone.

FINDINGS_ROWS sets the number of rows, a million by default.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.benchmarks.synthetic import write
from tests.support.processes import CHECKOUT

FEW = 1000


def figures() -> Iterator[Figure]:
    rows = int(os.environ.get("FINDINGS_ROWS", "1000000"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, few = folder / "many.csv", folder / "few.csv"
        write(many, rows)
        write(few, FEW)
        floor = min((_run("floor", many, folder) for _ in range(3)), key=lambda one: one["first"])
        python = _run("plain_python", many, folder)
        ours = min((_run("pipeline", many, folder) for _ in range(2)), key=lambda one: one["first"])
        small = _run("pipeline", few, folder)
    size = f"{rows:,} rows"
    against_floor, against_python = "one table of texts", "row by row in Python"
    yield Figure(f"{size}, file to published plan", ours["first"], "s", floor["first"], against_floor)
    for asset in ("findings", "normalized_findings", "prioritized_findings", "waves"):
        yield Figure(f"  of it {asset}", ours[f"first {asset}"], "s", floor["first"], against_floor)
    yield Figure(f"{size}, file to published plan", ours["first"], "s", python["first"], against_python)
    yield Figure(f"{size}, the same content again", ours["again"], "s", ours["first"], "the first time")
    yield Figure(f"{size}, peak memory", ours["peak MB"], "MB", floor["peak MB"], against_floor)
    yield Figure("Dagster's imports, apart", ours["imports"], "s", floor["first"], against_floor)
    yield Figure(f"wave_plan of one wave, {size}", ours["wave_plan"], "s", small["wave_plan"], f"{FEW:,} rows")
    yield Figure(f"remediate status, {size}", ours["status"], "s", small["status"], f"{FEW:,} rows")


def _run(way: str, source: Path, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [sys.executable, "-m", "tests.benchmarks.findings_steps", way, str(source), own]
        env = {"PATH": os.environ["PATH"], "HOME": own}
        done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))
