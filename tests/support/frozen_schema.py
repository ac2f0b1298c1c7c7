"""The schema of each version as a file, `tests/ledger/schema_N.sql`, from which migrations are tested.

`python -m tests.support.frozen_schema` writes the file of the current version; those of earlier versions never change.
"""

from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.ledger import schema

FOLDER = Path(__file__).parents[1] / "ledger"


def frozen(version: int) -> str:
    """Return the SQL that creates an empty ledger of a version."""
    return (FOLDER / f"schema_{version}.sql").read_text(encoding="utf-8")


def statements(connection: DuckDBPyConnection) -> list[str]:
    """Return the SQL of each sequence, table and view of the open database, each after those that it depends on."""
    rows = connection.execute(
        """
        SELECT sql FROM (
            SELECT 1 AS place, sequence_oid AS oid, sql, database_name FROM duckdb_sequences()
            UNION ALL SELECT 2, table_oid, sql, database_name FROM duckdb_tables() WHERE NOT internal
            UNION ALL SELECT 3, view_oid, sql, database_name FROM duckdb_views() WHERE NOT internal)
        WHERE database_name = current_database()
        ORDER BY place, oid
        """
    ).fetchall()
    return [sql.strip() for (sql,) in rows]


def main() -> None:
    """Write the file of the current version."""
    connection = duckdb.connect()
    schema.create(connection)
    head = f"-- The ledger as version {schema.SCHEMA_VERSION} made it, frozen: what a migration has to start from."
    tail = "INSERT INTO state DEFAULT VALUES;"
    text = "\n\n".join([head, *statements(connection), tail])
    (FOLDER / f"schema_{schema.SCHEMA_VERSION}.sql").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
