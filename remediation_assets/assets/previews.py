"""What an asset shows of its rows in the Dagster UI."""

import dagster as dg
import pandas as pd
from duckdb import DuckDBPyConnection

PREVIEW_ROWS = 20
_LONGEST_CELL = 200


def preview(tx: DuckDBPyConnection, sql: str, values: list[object] | None = None) -> dg.TableMetadataValue:
    """Run a query and give its first rows as a table; cells are plain text, so nothing in them is markup."""
    cursor = tx.execute(f"SELECT * FROM ({sql}) LIMIT {PREVIEW_ROWS}", values or [])
    columns = [column[0] for column in cursor.description or ()]
    # As objects, for pandas' own types would turn an empty whole number into a fraction.
    frame = pd.DataFrame(cursor.fetchall(), columns=columns, dtype=object)
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: _cell(value) for name, value in zip(columns, row, strict=True)})
            for row in frame.itertuples(index=False)
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns]),
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
