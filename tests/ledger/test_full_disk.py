"""A disk that is full, and a folder that may not be written to: a sentence, and nothing lost."""

import os

import pytest

from remediation_assets.ledger.errors import LedgerUnusable
from remediation_assets.ledger.ledger import Ledger
from tests.support.processes import run

# A limit on the size of files stands in for a full disk: the write fails in the same place.
WRITE_TOO_MUCH = """
import resource, sys
from pathlib import Path
from remediation_assets.ledger.errors import LedgerUnusable
from remediation_assets.ledger.ledger import Ledger, Stamp
ledger = Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", ""))
size = ledger.path.stat().st_size if ledger.path.exists() else 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
try:
    with ledger.transaction() as tx:
        tx.execute(
            "INSERT INTO scans (scan_id, source, content_hash, ingested_at, rows_in, accepted, rejected)"
            " SELECT i, repeat('x', 1000), '', now(), 0, 0, 0 FROM range(20000) t(i)"
        )
except LedgerUnusable as error:
    print(error)
"""


def test_a_full_disk_is_told_and_loses_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = 5")
    told = run(WRITE_TOO_MUCH, ledger.data_dir)
    assert "nothing of this change was kept. Free space on the disk" in told.stdout, told.stderr
    assert "Traceback" not in told.stderr
    with ledger.transaction() as tx:
        assert tx.execute("SELECT plan_number, (SELECT count(*) FROM scans) FROM state").fetchone() == (5, 0)


def test_a_disk_that_is_full_from_the_start_leaves_no_ledger_that_nobody_can_open(ledger: Ledger) -> None:
    told = run(WRITE_TOO_MUCH, ledger.data_dir)
    assert "Free space on the disk" in told.stdout, told.stderr
    ledger.verify()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_told(ledger: Ledger) -> None:
    ledger.verify()
    ledger.data_dir.chmod(0o555)
    try:
        with pytest.raises(LedgerUnusable, match="may write to"):
            ledger.verify()
    finally:
        ledger.data_dir.chmod(0o755)
