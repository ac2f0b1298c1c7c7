"""The ledger under sixteen processes that write at the same time."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from remediation_assets.ledger.ledger import Ledger, Stamp
from tests.benchmarks.figures import Figure

PROCESSES, TRANSACTIONS = 16, 50
STAMP = Stamp("mock", "simulator", "")

WRITE = """
import sys, time
from pathlib import Path
from remediation_assets.ledger.ledger import Ledger, Stamp
ledger = Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", ""))
longest = 0.0
for _ in range(int(sys.argv[2])):
    begun = time.perf_counter()
    with ledger.transaction() as tx:
        longest = max(longest, time.perf_counter() - begun)
        tx.execute("UPDATE state SET plan_number = plan_number + 1")
print(longest)
"""


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        ledger = Ledger(Path(name), STAMP)
        ledger.verify()
        begun = time.perf_counter()
        for _ in range(TRANSACTIONS):
            with ledger.transaction() as tx:
                tx.execute("UPDATE state SET plan_number = plan_number + 1")
        alone = (time.perf_counter() - begun) / TRANSACTIONS
        begun = time.perf_counter()
        command = [sys.executable, "-c", WRITE, name, str(TRANSACTIONS)]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        waits = [float(writer.communicate()[0]) for writer in writers]
        wall = time.perf_counter() - begun
        with ledger.transaction() as tx:
            assert tx.execute("SELECT plan_number FROM state").fetchone() == ((PROCESSES + 1) * TRANSACTIONS,)
    what = f"{PROCESSES} processes, {TRANSACTIONS} transactions each"
    yield Figure(f"{what}: wall", wall, "s", alone * PROCESSES * TRANSACTIONS, "one process alone")
    yield Figure(f"{what}: longest wait", max(waits), "s", alone * PROCESSES, "a turn of each")
