"""Who waits for the ledger, for how long, and the error when that was too long."""

import threading
import time

import pytest

from remediation_assets.ledger.errors import LedgerBusy
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.locks import LockHeld, held, holder_of
from tests.support.processes import running

HOLD_LEDGER = """
import sys
from pathlib import Path
from remediation_assets.ledger.ledger import Ledger, Stamp
with Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", "")).transaction() as tx:
    tx.execute("UPDATE state SET plan_number = plan_number + 1")
    print("ready", flush=True)
    sys.stdin.read()
"""

FOREIGN_SHELL = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


def impatient(ledger: Ledger, stamp: Stamp) -> Ledger:
    return Ledger(ledger.data_dir, stamp, lock_timeout=0.1)


def add_one(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = plan_number + 1")


def plan_number(ledger: Ledger) -> int:
    with ledger.transaction() as tx:
        row = tx.execute("SELECT plan_number FROM state").fetchone()
    assert row is not None
    return int(row[0])


def test_a_process_waits_for_another_and_then_sees_its_change(ledger: Ledger, stamp: Stamp) -> None:
    add_one(ledger)
    with running(HOLD_LEDGER, ledger.data_dir) as other:
        with pytest.raises(LedgerBusy, match=rf"ledger\.lock is held by process {other.pid} on "):
            add_one(impatient(ledger, stamp))
        assert other.stdin is not None
        threading.Timer(0.1, other.stdin.close).start()
        assert plan_number(ledger) == 2


def test_a_process_that_dies_frees_the_ledger(ledger: Ledger) -> None:
    add_one(ledger)
    with running(HOLD_LEDGER, ledger.data_dir) as other:
        other.kill()
        assert plan_number(ledger) == 1


def test_a_foreign_program_on_the_ledger_is_waited_for_and_then_named(ledger: Ledger, stamp: Stamp) -> None:
    add_one(ledger)
    with running(FOREIGN_SHELL, ledger.path) as other:
        with pytest.raises(LedgerBusy, match="is open in another program") as caught:
            add_one(impatient(ledger, stamp))
        assert str(other.pid) in str(caught.value)
        assert "close it. To look at results, open remediation.duckdb with `duckdb -readonly`." in str(caught.value)
        assert other.stdin is not None
        threading.Timer(0.1, other.stdin.close).start()
        assert plan_number(ledger) == 1


def test_whoever_waits_for_a_foreign_program_says_which_it_is(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    add_one(ledger)
    with running(FOREIGN_SHELL, ledger.path) as other:
        assert other.stdin is not None
        threading.Timer(1.0, other.stdin.close).start()
        assert plan_number(ledger) == 1
    [message] = caplog.messages
    assert message.startswith(f"Waiting for another program to close {ledger.path}: ")
    assert f"PID {other.pid}" in message


def test_threads_of_one_process_take_turns(ledger: Ledger) -> None:
    add_one(ledger)

    def add_five() -> None:
        for _ in range(5):
            add_one(ledger)

    threads = [threading.Thread(target=add_five) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plan_number(ledger) == 21


def test_a_transaction_inside_another_is_refused_and_not_waited_for_in_vain(ledger: Ledger, stamp: Stamp) -> None:
    add_one(ledger)
    begun = time.monotonic()
    with ledger.transaction(), pytest.raises(LedgerBusy):
        add_one(impatient(ledger, stamp))
    assert time.monotonic() - begun < 5


def test_a_lock_that_is_held_is_told_at_once_where_nobody_wants_to_wait(ledger: Ledger) -> None:
    ledger.data_dir.mkdir()
    path = ledger.data_dir / "some.lock"
    with (
        held(path, timeout=0),
        pytest.raises(LockHeld, match=r"some\.lock is held by process"),
        held(path, timeout=0),
    ):
        pytest.fail("held twice")
    with held(path, timeout=0):
        assert path.exists()
    assert path.exists()


def test_a_holder_that_left_no_readable_note_is_another_process(ledger: Ledger) -> None:
    ledger.data_dir.mkdir()
    path = ledger.data_dir / "some.lock"
    assert holder_of(path) == "another process"
    path.with_suffix(".holder").write_text("[]")
    assert holder_of(path) == "another process"
