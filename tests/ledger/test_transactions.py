"""Transactions of the ledger: all or nothing, whatever happens inside, and only for those it belongs to."""

import signal
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from remediation_assets.ledger.errors import (
    LedgerMismatch,
    LedgerTooNew,
    LedgerUnusable,
    NothingPublished,
    TransactionLost,
)
from remediation_assets.ledger.ledger import Ledger, Stamp
from tests.support.processes import run

DIE_INSIDE = """
import os, signal, sys
from pathlib import Path
from remediation_assets.ledger.ledger import Ledger, Stamp
with Ledger(Path(sys.argv[1]), Stamp("mock", "simulator", "")).transaction() as tx:
    tx.execute("UPDATE state SET plan_number = 7")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def plan_number(ledger: Ledger) -> int:
    with ledger.transaction() as tx:
        row = tx.execute("SELECT plan_number FROM state").fetchone()
    assert row is not None
    return int(row[0])


def test_a_transaction_that_ends_is_kept(ledger: Ledger, stamp: Stamp) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = 7")
    assert plan_number(ledger) == 7
    assert plan_number(Ledger(ledger.data_dir, stamp)) == 7


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, duckdb.Error])
def test_a_transaction_that_raises_leaves_nothing(ledger: Ledger, error: type[BaseException]) -> None:
    def write_and_raise() -> None:
        with ledger.transaction() as tx:
            tx.execute("UPDATE state SET plan_number = 7")
            raise error

    with pytest.raises(error):
        write_and_raise()
    assert plan_number(ledger) == 0


def test_the_error_of_a_failed_statement_is_the_one_that_is_raised(ledger: Ledger) -> None:
    def write_and_fail() -> None:
        with ledger.transaction() as tx:
            tx.execute("UPDATE state SET plan_number = 7")
            tx.execute("FROM no_such_table")

    with pytest.raises(duckdb.CatalogException, match="no_such_table"):
        write_and_fail()
    assert plan_number(ledger) == 0


def test_a_failed_statement_that_is_swallowed_loses_the_transaction_aloud(ledger: Ledger) -> None:
    def insert_twice() -> None:
        insert = (
            "INSERT INTO rounds BY NAME SELECT 1 AS wave_number, 1 AS round, now() AS opened_at,"
            " 1 AS plan_number, FALSE AS ignored_gate"
        )
        with ledger.transaction() as tx:
            tx.execute(insert)
            with suppress(duckdb.ConstraintException):
                tx.execute(insert)

    with pytest.raises(TransactionLost, match=r"nothing was written: .*aborted"):
        insert_twice()
    with ledger.transaction() as tx:
        assert tx.execute("FROM rounds").fetchall() == []


def test_times_come_back_in_utc(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        row = tx.execute("SELECT '2027-01-15 12:00:00+02'::TIMESTAMPTZ").fetchone()
    assert row is not None
    assert row[0].isoformat() == "2027-01-15T10:00:00+00:00"


def test_a_ledger_has_an_id_of_its_own_for_ever(ledger: Ledger, stamp: Stamp, tmp_path: Path) -> None:
    assert Ledger(ledger.data_dir, stamp).ledger_id == ledger.ledger_id
    assert Ledger(tmp_path / "other", stamp).ledger_id != ledger.ledger_id


def test_a_deleted_ledger_begins_anew(ledger: Ledger) -> None:
    before = ledger.ledger_id
    ledger.publish(force=True)
    ledger.delete()
    assert not ledger.path.exists()
    assert not ledger.published_path.exists()
    assert ledger.ledger_id != before


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (Stamp("live", "simulator", "org-1"), "live results of simulator"),
        (Stamp("mock", "https://api.devin.ai", "org-1"), "mock results of https://api.devin.ai"),
        (Stamp("mock", "simulator", "org-2"), "org-2"),
    ],
)
def test_a_ledger_refuses_the_results_of_others(tmp_path: Path, other: Stamp, named: str) -> None:
    mine = Ledger(tmp_path, Stamp("mock", "simulator", "org-1"))
    mine.belong_to("org-1")
    with mine.transaction() as tx:
        tx.execute("UPDATE state SET plan_number = 7")
    with (
        pytest.raises(LedgerMismatch, match="set REMEDIATION_DATA_DIR") as caught,
        Ledger(tmp_path, other).transaction(),
    ):
        pytest.fail("it was opened")
    assert named in str(caught.value)
    assert "mock results of simulator org-1" in str(caught.value)
    assert plan_number(mine) == 7


@pytest.mark.parametrize(("made_with", "opened_with"), [("", "org-1"), ("org-1", ""), ("org-1", "org-1"), ("", "")])
def test_an_organisation_that_is_not_set_fits_any(tmp_path: Path, made_with: str, opened_with: str) -> None:
    made = Ledger(tmp_path, Stamp("mock", "simulator", made_with)).ledger_id
    assert Ledger(tmp_path, Stamp("mock", "simulator", opened_with)).ledger_id == made


def test_a_ledger_of_a_later_version_is_refused(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE stamp SET schema_version = 99")
    with pytest.raises(LedgerTooNew, match="upgrade this software"):
        plan_number(ledger)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_file_that_is_no_ledger_is_an_error_that_names_it(ledger: Ledger, content: bytes) -> None:
    ledger.data_dir.mkdir()
    ledger.path.write_bytes(content)
    with pytest.raises(LedgerUnusable, match=r"ledger\.duckdb cannot be opened"):
        plan_number(ledger)
    assert ledger.path.read_bytes() == content


def test_a_damaged_ledger_is_an_error_at_once(tmp_path: Path, stamp: Stamp) -> None:
    ledger = Ledger(tmp_path, stamp, lock_timeout=0.1)
    assert plan_number(ledger) == 0
    with ledger.path.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 5000)
    with pytest.raises(LedgerUnusable, match="Corrupt"):
        plan_number(ledger)


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_set(tmp_path: Path, stamp: Stamp) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnusable, match="set REMEDIATION_DATA_DIR"):
        plan_number(Ledger(tmp_path / "file" / "data", stamp))


def test_results_that_were_never_published_cannot_be_read(ledger: Ledger) -> None:
    with pytest.raises(NothingPublished, match=r"remediation\.duckdb does not exist yet"), ledger.published():
        pytest.fail("it was opened")


def test_what_a_killed_creation_left_is_replaced(ledger: Ledger) -> None:
    ledger.data_dir.mkdir()
    building = ledger.data_dir / "ledger.building.duckdb"
    building.write_bytes(b"half a database")
    Path(f"{building}.wal").write_bytes(b"half a log")
    assert plan_number(ledger) == 0
    assert sorted(path.name for path in ledger.data_dir.glob("*.duckdb*")) == ["ledger.duckdb"]


def test_a_process_killed_inside_a_transaction_leaves_the_ledger_as_it_was(ledger: Ledger) -> None:
    before = ledger.ledger_id
    killed = run(DIE_INSIDE, ledger.data_dir)
    assert killed.returncode == -signal.SIGKILL
    assert plan_number(ledger) == 0
    assert ledger.ledger_id == before


def test_a_file_can_be_read_beside_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    beside = tmp_path / "it's beside.duckdb"
    with duckdb.connect(str(beside)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 42 AS number")
    with ledger.transaction(attach={"beside": beside}) as tx:
        assert tx.execute("SELECT number FROM beside.numbers").fetchone() == (42,)


def test_a_staging_folder_is_gone_afterwards(ledger: Ledger) -> None:
    with ledger.staging() as folder:
        (folder / "staging.duckdb").write_bytes(b"staged")
        assert folder.parent == ledger.data_dir
    assert list(ledger.data_dir.iterdir()) == []
