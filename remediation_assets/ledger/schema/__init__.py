"""The ledger's tables and views, and their version.

Their SQL is beside this module: `tables.sql`, `views.sql`, and a file in `migrations/` for each step from one version
to the next. Opening, locking and replacing the ledger's file belongs to `ledger.py`.
"""

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import get_args

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.models import Finding, Outcome

SCHEMA_VERSION = 6

_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE"}


def sql_type(annotation: object) -> str:
    """Return the DuckDB type of a field: text for an enum, the inner type for an optional field."""
    if isinstance(annotation, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if isinstance(annotation, type):
        for python_type, name in _TYPES.items():
            if issubclass(annotation, python_type):
                return name
    raise TypeError(f"no column type for {annotation!r}")


FINDING_COLUMNS: dict[str, str] = {
    name: sql_type(field.annotation) for name, field in Finding.model_fields.items() if name != "priority_score"
}
"""Columns of a finding as it is read: name to DuckDB type, in the model's order."""

_PLACEHOLDERS = {
    "{finding_columns}": ", ".join(f"{name} {kind}" for name, kind in FINDING_COLUMNS.items()),
    "{finding_names}": ", ".join(FINDING_COLUMNS),
    "{f.finding_names}": ", ".join(f"f.{name}" for name in FINDING_COLUMNS),
    "{p.finding_names}": ", ".join(f"p.{name}" for name in FINDING_COLUMNS),
    "{counted_outcome}": (
        f"CASE WHEN a.outcome = '{Outcome.SUCCESS}' AND r.verdict != 'approved' THEN '{Outcome.FAILED}'"
        " ELSE a.outcome END"
    ),
    "{unanswerable_outcomes}": ", ".join(f"'{outcome}'" for outcome in Outcome if not outcome.answerable),
}


def _read(name: str) -> str:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    # Not str.format: the views contain JSON, whose braces it would take for placeholders.
    for placeholder, sql in _PLACEHOLDERS.items():
        text = text.replace(placeholder, sql)
    return text


# Read with the module, not when a ledger is created: a long-running process must not pick up the files of a newer
# version that was installed under it, and stamp their tables with its own version.
_TABLES = _read("tables.sql")
_VIEWS = _read("views.sql")

_OLD = "old"
_RENAMED = re.compile(r"-- renamed: (?P<table>\w+)\.(?P<former>\w+) -> (?P<present>\w+)")


def version_of(connection: DuckDBPyConnection) -> int | None:
    """Return the schema version of a database, or None if it is not a ledger."""
    try:
        row = connection.execute("SELECT schema_version FROM stamp").fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None


def create(connection: DuckDBPyConnection) -> None:
    """Create every table and view in an empty database; `stamp` is left without a row."""
    connection.execute(_TABLES)
    connection.execute("INSERT INTO state DEFAULT VALUES")
    connection.execute(_VIEWS)


def create_from(connection: DuckDBPyConnection, old: Path, version: int) -> None:
    """Create every table and view in an empty database and copy the rows of an older ledger, which is not changed.

    All columns are copied by their names, under the new name if a migration has a line such as
    `-- renamed: scans.set_aside -> rejected`. Then the statements of the migrations run, oldest first. They can read
    the old ledger as `old`. The tables that they write are those of the present version, even if the migration leads
    to an earlier one: whoever renames a column adapts the older migrations that mention it.
    """
    migrations = [_migration(since) for since in range(version, SCHEMA_VERSION)]
    quoted = str(old).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS {_OLD} (READ_ONLY)")
    connection.execute(_TABLES)
    [(new,)] = connection.execute("SELECT current_database()").fetchall()
    old_columns, new_columns = _columns_of(connection, _OLD), _columns_of(connection, new)
    for table, carried in _carried_over(old_columns, new_columns, migrations).items():
        columns = ", ".join(f'"{former}" AS "{present}"' for former, present in carried.items())
        connection.execute(f"INSERT INTO {table} BY NAME SELECT {columns} FROM {_OLD}.{table}")
    for migration in migrations:
        connection.execute(migration)
    connection.execute("UPDATE stamp SET schema_version = ?", [SCHEMA_VERSION])
    connection.execute(_VIEWS)
    connection.execute(f"DETACH {_OLD}")


def _migration(since: int) -> str:
    return _read(f"migrations/{since:04}_to_{since + 1:04}.sql")


def _carried_over(
    old: dict[str, list[str]], new: dict[str, list[str]], migrations: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return, for each table, the old columns to copy, each with its present name.

    A name is followed from migration to migration, so a column may be renamed more than once. A rename has no effect
    if the old ledger does not have the column yet.
    """
    names = {(table, column): column for table, columns in old.items() for column in columns}
    for migration in migrations:
        renames = _renames(migration)
        names = {(table, former): renames.get((table, name), name) for (table, former), name in names.items()}
    carried: dict[str, dict[str, str]] = {}
    for (table, former), present in names.items():
        if present in new.get(table, ()):
            carried.setdefault(table, {})[former] = present
    return carried


def _renames(migration: str) -> dict[tuple[str, str], str]:
    """Return the new names of the columns that a migration renames; raise ValueError for a line it cannot read."""
    renames = {}
    for line in migration.splitlines():
        if line.startswith("-- renamed"):
            found = _RENAMED.fullmatch(line)
            if not found:
                # Ignored, it would lose the column without a word.
                raise ValueError(f"{line!r} is not of the form '-- renamed: table.former -> present'")
            renames[found["table"], found["former"]] = found["present"]
    return renames


def _columns_of(connection: DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    rows = connection.execute(
        """
        SELECT table_name, list(column_name)
        FROM duckdb_columns()
        -- It has the columns of views, too.
        SEMI JOIN duckdb_tables() USING (database_name, table_name)
        WHERE database_name = ? AND NOT internal
        GROUP BY table_name
        """,
        [database],
    ).fetchall()
    return dict(rows)
