"""Many processes on one ledger: nothing fails, nothing is lost, and readers see whole and ever newer states."""

import subprocess
import sys
import time
from pathlib import Path

from remediation_assets.ledger.ledger import Ledger
from tests.support.processes import CHECKOUT, running

WRITERS, TRANSACTIONS = 16, 50

# Each transaction changes two tables, so that half of it could be seen.
WRITE = """
import sys
from pathlib import Path
from remediation_assets.ledger.ledger import Ledger, Stamp
ledger = Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", ""), publish_interval=0.05)
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = plan_number + 1")
        tx.execute(
            "INSERT INTO scans (scan_id, source, content_hash, ingested_at, rows_in, accepted, rejected)"
            " SELECT plan_number, '', '', now(), 0, 0, 0 FROM state"
        )
    ledger.publish()
"""

READ = """
import sys
from pathlib import Path
from remediation_assets.ledger.ledger import Ledger, Stamp
ledger = Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", ""))
last = reads = 0
print("ready", flush=True)
while not Path(sys.argv[2]).exists():
    with ledger.published() as connection:
        number, rows = connection.execute("SELECT plan_number, (SELECT count(*) FROM scans) FROM state").fetchone()
    assert number == rows, f"half a change: {number} and {rows}"
    assert number >= last, f"an older state after a newer one: {number} after {last}"
    last, reads = number, reads + 1
print(reads)
"""

SHELL = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SELECT count(*) FROM scans").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


def test_sixteen_writers_two_readers_a_shell_and_a_death_leave_nothing_lost(ledger: Ledger, tmp_path: Path) -> None:
    ledger.verify()
    ledger.publish(force=True)
    done = tmp_path / "done"
    with (
        running(SHELL, ledger.published_path),
        running(READ, ledger.data_dir, done) as first,
        running(READ, ledger.data_dir, done) as second,
    ):
        with running(WRITE, ledger.data_dir, 1_000_000) as victim:
            command = [sys.executable, "-c", WRITE, str(ledger.data_dir), str(TRANSACTIONS)]
            writers = [
                subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for _ in range(WRITERS)
            ]
            time.sleep(1)
            victim.kill()
        told = [writer.communicate(timeout=300)[1] for writer in writers]
        assert [(writer.returncode, words) for writer, words in zip(writers, told, strict=True)] == [(0, "")] * WRITERS
        done.touch()
        reads = [int((reader.stdout and reader.stdout.readline()) or 0) for reader in (first, second)]
    assert min(reads) > 10
    with ledger.transaction() as tx:
        number, rows = tx.execute("SELECT plan_number, (SELECT count(*) FROM scans) FROM state").fetchone() or (0, 0)
    assert number == rows > WRITERS * TRANSACTIONS
