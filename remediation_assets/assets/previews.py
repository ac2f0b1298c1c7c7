"""What an asset shows of its rows in the Dagster UI."""

import dagster as dg
import pandas as pd
from duckdb import DuckDBPyConnection

PREVIEW_ROWS = 20
_LONGEST_CELL = 200


def preview(tx: DuckDBPyConnection, sql: str, values: list[object] | None = None) -> dg.TableMetadataValue:
    """Run a query and give its first rows as a table; cells are plain text, so nothing in them is markup."""
    frame: pd.DataFrame = tx.execute(f"SELECT * FROM ({sql}) LIMIT {PREVIEW_ROWS}", values or []).df()
    columns = [str(name) for name in frame.columns]
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: _cell(value) for name, value in zip(columns, row, strict=True)})
            for row in frame.itertuples(index=False)
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns]),
    )


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and pd.isna(value)):
        return ""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
