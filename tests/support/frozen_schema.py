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


def downgrade(ledger: Path, version: int) -> None:
    """Rewrite a ledger as an earlier version would have left it: its tables, its columns, under their former names."""
    former = ledger.with_name("former.duckdb")
    with duckdb.connect(str(former)) as connection:
        connection.execute(frozen(version))
        connection.execute("DELETE FROM state")
        connection.execute(f"ATTACH '{ledger}' AS present (READ_ONLY)")
        older = schema._columns_of(connection, "former")
        migrations = [schema._migration(since) for since in range(version, schema.SCHEMA_VERSION)]
        carried = schema._carried_over(older, schema._columns_of(connection, "present"), migrations)
        for table, names in carried.items():
            columns = ", ".join(f'"{now}" AS "{then}"' for then, now in names.items())
            connection.execute(f"INSERT INTO {table} BY NAME SELECT {columns} FROM present.{table}")
        connection.execute("UPDATE stamp SET schema_version = ?", [version])
    former.rename(ledger)


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
