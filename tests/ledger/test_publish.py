"""Publishing: people's copy of the ledger, replaced whole, read-only, never half a change."""

import os
import signal
from pathlib import Path

import duckdb
import pytest

from remediation_assets.ledger.ledger import Ledger, Stamp
from tests.support.processes import run, running

FOREIGN_WRITER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""

DIE_AFTER_COMMIT = """
import duckdb, os, signal, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("UPDATE state SET plan_number = 7")
os.kill(os.getpid(), signal.SIGKILL)
"""

READ_AGAIN_AND_AGAIN = """
import duckdb, sys
newest, problems = 0, 0
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        plan, watched = connection.execute("SELECT plan_number, watched_seconds FROM state").fetchone()
    problems += plan < newest or plan != watched
    newest = max(newest, plan)
print(problems, newest)
"""

OPENINGS = 150  # some 20 ms each; it held for 5000 as well


def write(ledger: Ledger, number: int) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = ?, watched_seconds = ?", [number, number])


def published_number(ledger: Ledger) -> int:
    with ledger.published() as connection:
        row = connection.execute("SELECT plan_number FROM state").fetchone()
    assert row is not None
    return int(row[0])


def test_what_was_written_is_published(ledger: Ledger) -> None:
    write(ledger, 1)
    assert ledger.publish(force=True)
    assert published_number(ledger) == 1


def test_nothing_is_published_before_there_is_a_ledger(ledger: Ledger) -> None:
    assert not ledger.publish(force=True)
    assert not ledger.published_path.exists()


def test_what_has_not_changed_is_not_published_again(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    before = ledger.published_path.stat().st_ino
    with ledger.transaction() as tx:
        tx.execute("FROM state").fetchall()
    assert not ledger.publish(force=True)
    assert ledger.published_path.stat().st_ino == before


def test_the_copy_is_read_only_and_as_old_as_the_ledger(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    copy, source = ledger.published_path.stat(), ledger.path.stat()
    assert copy.st_mode & 0o777 == 0o444
    assert (copy.st_mtime_ns, copy.st_size) == (source.st_mtime_ns, source.st_size)
    assert sorted(path.name for path in ledger.data_dir.glob("remediation*")) == ["remediation.duckdb"]


def test_a_change_waits_for_the_interval_unless_it_is_forced(ledger: Ledger) -> None:
    write(ledger, 1)
    assert ledger.publish()
    write(ledger, 2)
    assert not ledger.publish()
    assert published_number(ledger) == 1
    assert ledger.publish(force=True)
    assert published_number(ledger) == 2


def test_a_change_is_published_when_the_interval_is_over(ledger: Ledger, stamp: Stamp) -> None:
    write(ledger, 1)
    ledger.publish()
    write(ledger, 2)
    assert Ledger(ledger.data_dir, stamp, publish_interval=0).publish()
    assert published_number(ledger) == 2


def test_a_leftover_log_of_the_old_copy_is_not_replayed_into_the_new_one(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    left = Path(f"{ledger.published_path}.wal")
    left.write_bytes(b"a log of the old file")
    write(ledger, 2)
    assert ledger.publish(force=True)
    assert not left.exists()
    assert published_number(ledger) == 2


def test_a_leftover_of_a_killed_publication_is_replaced(ledger: Ledger) -> None:
    write(ledger, 1)
    left = ledger.data_dir / "remediation.publishing"
    left.write_bytes(b"half a copy")
    left.chmod(0o444)
    assert ledger.publish(force=True)
    assert published_number(ledger) == 1
    assert not left.exists()


def test_an_open_reader_goes_on_with_what_it_opened(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    with duckdb.connect(str(ledger.published_path), read_only=True) as reader:
        for number in (2, 3):
            write(ledger, number)
            assert ledger.publish(force=True)
            assert reader.execute("SELECT plan_number FROM state").fetchone() == (1,)
    assert published_number(ledger) == 3


@pytest.mark.parametrize(
    ("statement", "seen_later"), [("UPDATE state SET plan_number = 99", 99), ("SELECT 'only looking'", 2)]
)
def test_nothing_is_published_while_a_foreign_program_may_write(
    ledger: Ledger, statement: str, seen_later: int
) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    write(ledger, 2)
    with running(FOREIGN_WRITER, ledger.path, statement):
        assert not ledger.publish(force=True)
        assert published_number(ledger) == 1
    assert ledger.publish(force=True)
    assert published_number(ledger) == seen_later


def test_a_change_that_a_killed_process_left_in_its_log_is_published(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    assert run(DIE_AFTER_COMMIT, ledger.path).returncode == -signal.SIGKILL
    assert Path(f"{ledger.path}.wal").exists()
    assert ledger.publish(force=True)
    assert published_number(ledger) == 7


def test_a_read_only_shell_on_the_published_file_does_not_stop_the_ledger(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    with running(READ_AGAIN_AND_AGAIN.replace("for _", "sys.stdin.read()\nfor _"), ledger.published_path, 1):
        write(ledger, 2)
        assert ledger.publish(force=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only files")
def test_the_copy_refuses_writers(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    with pytest.raises(duckdb.IOException):
        duckdb.connect(str(ledger.published_path))


def test_a_reader_never_errs_and_never_sees_an_older_state_after_a_newer_one(ledger: Ledger) -> None:
    write(ledger, 1)
    ledger.publish(force=True)
    number = 1
    with running(READ_AGAIN_AND_AGAIN, ledger.published_path, OPENINGS) as reader:
        while reader.poll() is None or number < 101:
            number += 1
            write(ledger, number)
            assert ledger.publish(force=True)
        assert reader.stdout is not None
        problems, newest = map(int, reader.stdout.read().split())
    assert problems == 0
    assert newest > 20
