"""What an asset shows of its rows in the Dagster UI."""

from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd
from duckdb import DuckDBPyConnection

from remediation_assets.escaping import for_markdown, is_plain_url, markdown_link

OWNERS = ["team:security"]

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


def published_table(tx: DuckDBPyConnection, name: str) -> dict[str, Any]:
    """Give the metadata by which the UI knows a table of the published results: its name and its columns."""
    columns = tx.execute(f"SELECT column_name, column_type FROM (DESCRIBE {name})").fetchall()
    return {
        "dagster/table_name": f"remediation.main.{name}",
        "dagster/column_schema": dg.TableSchema(columns=[dg.TableColumn(*column) for column in columns]),
    }


def links(
    tx: DuckDBPyConnection, sql: str, values: list[object] | None = None, *, most: int = PREVIEW_ROWS
) -> dg.MetadataValue[str]:
    """Make a Markdown table of a query's rows in which URLs are links; whatever else is in a cell stays text."""
    cursor = tx.execute(f"SELECT * FROM ({sql}) LIMIT {most + 1}", values or [])
    columns = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    if not rows:
        return dg.MetadataValue.text("none")
    lines = [f"| {' | '.join(for_markdown(column) for column in columns)} |", "|---" * len(columns) + "|"]
    for row in rows[:most]:
        cells = [_link_or_text(name, value) for name, value in zip(columns, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > most:
        lines.append("\nand more, in `session_results`.")
    return dg.MetadataValue.md("\n".join(lines))


def _link_or_text(column: str, value: object) -> str:
    text = _cell(value)
    return (markdown_link(text, column) if is_plain_url(text) else "") or for_markdown(text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
