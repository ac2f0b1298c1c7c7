"""An older ledger becomes one of the present version: completely, or not at all if that is interrupted."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from remediation_assets.ledger import schema
from remediation_assets.ledger.errors import LedgerTooNew, LedgerUnusable
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.models import EventType
from tests.support.frozen_schema import frozen, statements

OLDER = range(1, schema.SCHEMA_VERSION)

# Columns that a migration from this version moves elsewhere instead of copying them by name.
MOVED = {1: {f"attempts.{name}" for name in ("pull_requests", "structured_output", "output_valid", "raw")}}

VALUES = {
    "VARCHAR": "'text'",
    "INTEGER": "41",
    "INTEGER[]": "[1, 2]",
    "BIGINT": "42",
    "DOUBLE": "4.5",
    "BOOLEAN": "true",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ '2026-01-02 03:04:05+00'",
}


@pytest.fixture
def old(ledger: Ledger) -> Ledger:
    """Return a ledger of version 1 with a wave, two attempts and what Devin showed of one."""
    ledger.data_dir.mkdir()
    connection = duckdb.connect(str(ledger.path))
    connection.execute(frozen(1))
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


def a_row_in_every_table(connection: DuckDBPyConnection, version: int) -> dict[str, list[str]]:
    """Fill a ledger of a version, every column of it, and return the columns of each table."""
    connection.execute(frozen(version))
    connection.execute("DELETE FROM state")
    tables: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    for table, column, kind in connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (table_name)"
        " WHERE NOT internal ORDER BY table_name, column_index"
    ).fetchall():
        tables.setdefault(table, []).append(column)
        values.setdefault(table, []).append(str(version) if column == "schema_version" else VALUES[kind])
    for table in tables:
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join(values[table])})")
    return tables


def rows(ledger: Ledger, sql: str) -> list[Any]:
    with ledger.transaction() as tx:
        return tx.execute(sql).fetchall()


def test_an_older_ledger_is_migrated_and_nothing_of_it_is_lost(old: Ledger) -> None:
    assert old.ledger_id == "0123456789ab"
    assert rows(old, "SELECT schema_version FROM stamp") == [(schema.SCHEMA_VERSION,)]
    assert rows(old, "SELECT plan_number, watched_seconds, session_cap FROM state") == [(7, 12.5, None)]
    assert rows(old, "SELECT wave, wave_number FROM waves") == [("wave-0001", 1)]
    assert rows(old, "SELECT round, unconfirmed FROM rounds") == [(1, False)]
    assert rows(old, "SELECT finding_key, session_id, lookups_not_found FROM attempts ORDER BY ALL") == [
        ("key-1", "devin-1", 0),
        ("key-2", "devin-2", 0),
    ]
    assert rows(old, "SELECT finding_key, structured_output, raw FROM observations") == [
        ("key-1", '{"a": 1}', '{"n": 1}')
    ]
    with old.transaction() as tx:
        tx.record(EventType.HOLD_LIFTED, "second")
        number = tx.scalar("SELECT max(event_id) FROM session_events")
    assert number == 2
    assert not (old.data_dir / "ledger.building.duckdb").exists()


def test_a_migrated_ledger_has_the_tables_of_a_new_one(old: Ledger, tmp_path: Path, stamp: Stamp) -> None:
    new = Ledger(tmp_path / "new", stamp)
    columns = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    assert rows(old, columns) == rows(new, columns)


def test_every_older_version_has_a_way_to_this_one() -> None:
    files = sorted(path.name for path in resources.files(schema.__name__).joinpath("migrations").iterdir())
    assert files == [f"{since:04}_to_{since + 1:04}.sql" for since in range(1, schema.SCHEMA_VERSION)]


def test_the_schema_is_the_one_that_its_version_stands_for() -> None:
    # A ledger keeps the tables and views that it was created with: whoever changes them raises SCHEMA_VERSION, adds a
    # migration, and writes the new version down with `python -m tests.support.frozen_schema`.
    with duckdb.connect() as present, duckdb.connect() as expected:
        schema.create(present)
        expected.execute(frozen(schema.SCHEMA_VERSION))
        assert statements(present) == statements(expected)


@pytest.mark.parametrize("version", OLDER)
def test_every_column_of_an_older_ledger_is_carried_over(tmp_path: Path, version: int) -> None:
    old = tmp_path / "old.duckdb"
    with duckdb.connect(str(old)) as connection:
        tables = a_row_in_every_table(connection, version)
    before = old.read_bytes()
    with duckdb.connect() as new:
        schema.create_from(new, old, version)
        assert schema.version_of(new) == schema.SCHEMA_VERSION
        present = schema._columns_of(new, "memory")
        carried = schema._carried_over(tables, present, [schema._migration(v) for v in range(version, OLDER.stop)])
        lost = {f"{table}.{name}" for table in tables for name in tables[table] if name not in carried[table]}
        assert lost == MOVED.get(version, set())
        new.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        for table, names in carried.items():
            for former, name in names.items():
                if former != "schema_version":
                    [value] = new.execute(f'SELECT "{former}" FROM old.{table}').fetchall()
                    assert new.execute(f'SELECT "{name}" FROM {table}').fetchall() == [value], (table, name)
    assert old.read_bytes() == before


def test_a_renamed_column_keeps_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "old.duckdb"
    with duckdb.connect(str(old)) as connection:
        schema.create(connection)
        connection.execute(
            "INSERT INTO stamp VALUES ('id', ?, 'mock', 'simulator', '', now())", [schema.SCHEMA_VERSION]
        )
        connection.execute("INSERT INTO waves VALUES ('wave-0001', 1, 7, now(), now(), false)")
    migrations = {
        schema.SCHEMA_VERSION: "-- renamed: waves.plan_number -> plan\nUPDATE waves SET plan_id = plan_id + 1;",
        schema.SCHEMA_VERSION + 1: "-- Why.\n-- renamed: waves.plan -> plan_id",
    }
    monkeypatch.setattr(schema, "_migration", migrations.__getitem__)
    monkeypatch.setattr(schema, "_TABLES", schema._TABLES.replace("plan_number", "plan_id"))
    monkeypatch.setattr(schema, "_VIEWS", "")
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 2)
    with duckdb.connect() as new:
        schema.create_from(new, old, schema.SCHEMA_VERSION - 2)
        assert new.execute("SELECT wave, plan_id FROM waves").fetchall() == [("wave-0001", 8)]


@pytest.mark.parametrize("line", ["-- renamed: scans.set_aside to rejected", "-- renamed set_aside -> rejected"])
def test_a_rename_that_cannot_be_read_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        schema._renames(f"-- Why.\n{line}\n")


def test_a_migration_that_breaks_off_leaves_the_old_ledger_as_it_was(
    old: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.path.read_bytes()
    monkeypatch.setattr(schema, "_migration", lambda _since: "SELECT * FROM nothing_of_this_name")
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
