"""Four unattended waves: the time between them, compared with each wave's longest session."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.end_to_end.unattended import ALL_SUCCEED_AT_ONCE, handovers, run_unattended

POLL_SECONDS, TIME_SCALE = 5, 2.0


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "DAGSTER_HOME": name,
            "MOCK_SEED": str(ALL_SUCCEED_AT_ONCE),
            "MOCK_TIME_SCALE": str(TIME_SCALE),
            "POLL_INTERVAL_SECONDS": str(POLL_SECONDS),
            "WAVE_SIZE": "5",
        }
        run_unattended(home, env, patience_seconds=600)
        found = handovers(home / "data", seed=ALL_SUCCEED_AT_ONCE, time_scale=TIME_SCALE)
    worst = max(found, key=lambda handover: handover.beyond)
    what = f"its longest session; poll {POLL_SECONDS} s"
    parts = {
        "between two waves, beyond the longest session": worst.beyond,
        "  of it until a poll saw the end and settled": worst.noticed,
        "  of it until the queued run had collected": worst.collected,
        "  of it until the next wave's first session": worst.followed,
    }
    for label, seconds in parts.items():
        yield Figure(label, seconds, "s", worst.longest, what)
