"""People query the published results at any moment, and never stop the pipeline."""

import subprocess
import sys
from typing import Any

READER = """
import duckdb, os, sys, time
path, times = sys.argv[1], int(sys.argv[2])
deadline = time.monotonic() + 60
while not os.path.exists(path) and time.monotonic() < deadline:
    time.sleep(0.01)
newest = 0
for _ in range(times):
    connection = duckdb.connect(path, read_only=True)
    (events,) = connection.execute("SELECT coalesce(max(event_id), 0) FROM session_events").fetchone()
    connection.execute("SELECT count(*) FROM session_results").fetchone()
    connection.close()
    assert events >= newest, "an older state after a newer one"
    newest = events
print(newest)
"""

OPEN_SHELL = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
connection.execute("SELECT count(*) FROM session_events").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


def test_a_thousand_reads_and_an_open_shell_disturb_nothing(shell: Any, sample: str) -> None:
    shell.remediate("plan", sample)
    published = str(shell.data / "remediation.duckdb")
    forgotten = subprocess.Popen(
        [sys.executable, "-c", OPEN_SHELL, published], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert forgotten.stdout is not None
    assert forgotten.stdout.readline() == "open\n"
    run = shell.start("remediate", "run", sample, MOCK_TIME_SCALE="15")
    reader = subprocess.run(
        [sys.executable, "-c", READER, published, "1000"], capture_output=True, text=True, timeout=120
    )
    out, err = run.communicate(timeout=120)
    forgotten.communicate()
    assert reader.returncode == 0, reader.stderr
    assert int(reader.stdout) > 0, "no event was seen, so nothing was read while the wave ran"
    assert run.returncode == 0, err
    assert "wave-0004 round 1 settled, gate passed" in out
