"""An older ledger becomes one of today: whole, in place, and not at all where it is interrupted."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pytest

from remediation_assets.ledger import schema
from remediation_assets.ledger.errors import LedgerTooNew, LedgerUnusable
from remediation_assets.ledger.ledger import Ledger, Stamp

VERSION_1 = (Path(__file__).parent / "schema_1.sql").read_text()


@pytest.fixture
def old(ledger: Ledger) -> Ledger:
    """Give a ledger of version 1 with a wave, two attempts and what was seen of one."""
    ledger.data_dir.mkdir()
    connection = duckdb.connect(str(ledger.path))
    connection.execute(VERSION_1)
    connection.execute("INSERT INTO stamp VALUES ('0123456789ab', 1, 'mock', 'simulator', 'org-simulator', now())")
    connection.execute("UPDATE state SET plan_number = 7, watched_seconds = 12.5")
    connection.execute("INSERT INTO waves VALUES ('wave-0001', 1, 7, now(), now())")
    connection.execute("INSERT INTO rounds VALUES (1, 1, now(), 'run', 7, false, NULL, NULL)")
    for number in (1, 2):
        connection.execute(
            """
            INSERT INTO attempts (finding_key, attempt, wave_number, round, is_retry, status, playbook,
                playbook_version, created_at, session_id, pull_requests, structured_output, raw, observed_at)
            VALUES (?, 1, 1, 1, false, 'working', 'xss', 'v', now(), ?, '[]', '{"a": 1}', ?, now())
            """,
            [f"key-{number}", f"devin-{number}", json.dumps({"n": 1}) if number == 1 else None],
        )
    connection.execute("INSERT INTO session_events (timestamp, event_type, message) VALUES (now(), 'x', 'first')")
    connection.close()
    return ledger


def rows(ledger: Ledger, sql: str) -> list[Any]:
    with ledger.transaction() as tx:
        return tx.execute(sql).fetchall()


def test_an_older_ledger_is_migrated_and_nothing_of_it_is_lost(old: Ledger) -> None:
    assert old.ledger_id == "0123456789ab"
    assert rows(old, "SELECT schema_version FROM stamp") == [(schema.SCHEMA_VERSION,)]
    assert rows(old, "SELECT plan_number, watched_seconds, session_cap FROM state") == [(7, 12.5, None)]
    assert rows(old, "SELECT wave, wave_number FROM waves") == [("wave-0001", 1)]
    assert rows(old, "SELECT round, unsure FROM rounds") == [(1, False)]
    assert rows(old, "SELECT finding_key, session_id, fruitless_lookups FROM attempts ORDER BY ALL") == [
        ("key-1", "devin-1", 0),
        ("key-2", "devin-2", 0),
    ]
    assert rows(old, "SELECT finding_key, structured_output, raw FROM observations") == [
        ("key-1", '{"a": 1}', '{"n": 1}')
    ]
    with old.transaction() as tx:
        [(number,)] = tx.execute("SELECT nextval('event_ids')").fetchall()
    assert number == 2
    assert not (old.data_dir / "ledger.building.duckdb").exists()


def test_a_migrated_ledger_has_the_tables_of_a_new_one(old: Ledger, tmp_path: Path, stamp: Stamp) -> None:
    new = Ledger(tmp_path / "new", stamp)
    columns = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    assert rows(old, columns) == rows(new, columns)


def test_every_older_version_has_a_way_to_this_one() -> None:
    files = sorted(path.name for path in resources.files(schema.__name__).joinpath("migrations").iterdir())
    assert files == [f"{since:04}_to_{since + 1:04}.sql" for since in range(1, schema.SCHEMA_VERSION)]


def test_a_migration_that_breaks_off_leaves_the_old_ledger_as_it_was(
    old: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.path.read_bytes()
    monkeypatch.setattr(schema, "_migration", lambda since: "SELECT * FROM nothing_of_this_name")
    with pytest.raises(duckdb.CatalogException):
        old.verify()
    assert old.path.read_bytes() == before
    monkeypatch.undo()
    assert len(rows(old, "FROM attempts")) == 2


def test_a_ledger_of_a_later_version_is_left_alone(ledger: Ledger) -> None:
    ledger.verify()
    connection = duckdb.connect(str(ledger.path))
    connection.execute("UPDATE stamp SET schema_version = 99")
    connection.close()
    with pytest.raises(LedgerTooNew, match="upgrade this software"):
        ledger.verify()


def test_a_database_that_is_no_ledger_is_told_as_such(ledger: Ledger) -> None:
    ledger.data_dir.mkdir()
    duckdb.connect(str(ledger.path)).close()
    with pytest.raises(LedgerUnusable, match="is no ledger; restore it"):
        ledger.verify()
