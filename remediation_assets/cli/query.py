"""`remediate query`: SQL on the published results."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from remediation_assets.connect import open_ledger
from remediation_assets.errors import RemediationError
from remediation_assets.escape import for_csv, plain
from remediation_assets.settings import load_settings

from .options import ExampleCommand
from .output import report_errors

_BATCH = 1000


@click.command(
    cls=ExampleCommand,
    example='remediate query "SELECT severity, count(*) FROM normalized_findings GROUP BY ALL"',
)
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="Print each row as a JSON object on a line of its own.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV that is safe to open in a spreadsheet.")
@report_errors
def query(sql: str, as_json: bool, as_csv: bool) -> None:
    """Run SQL on the published results and print the answer: a table on a terminal, tab-separated lines in a pipe.

    The results are opened for reading only. docs/cookbook.md has questions that people ask.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    ledger = open_ledger(load_settings())
    with ledger.published() as connection:
        try:
            # SQL could otherwise read and write any file that the user can.
            connection.execute("SET enable_external_access = false")
            cursor = connection.execute(sql)
            # DuckDB returns no cursor if there is no statement.
            if cursor is None:
                raise RemediationError("The query is empty; give SQL, such as 'SELECT * FROM waves'.")
            names = [column[0] for column in cursor.description or ()]
            write = _json if as_json else _csv if as_csv else _table if sys.stdout.isatty() else _lines
            write(names, lambda: cursor.fetchmany(_BATCH))
        except duckdb.Error as error:
            raise RemediationError(f"The query failed: {_reason(error)}") from None


Fetch = Callable[[], Sequence[Sequence[Any]]]


def _json(names: Sequence[str], fetch: Fetch) -> None:
    while rows := fetch():
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), default=_text, ensure_ascii=False))


def _csv(names: Sequence[str], fetch: Fetch) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(for_csv, names))
    while rows := fetch():
        writer.writerows([for_csv(_text(value)) for value in row] for row in rows)


def _lines(names: Sequence[str], fetch: Fetch) -> None:
    click.echo("\t".join(map(plain, names)))
    while rows := fetch():
        for row in rows:
            click.echo("\t".join(plain(_text(value)) for value in row))


def _table(names: Sequence[str], fetch: Fetch) -> None:
    table, count = Table(), 0
    for name in names:
        table.add_column(Text(plain(name)), overflow="fold")
    while rows := fetch():
        for row in rows:
            count += 1
            # The rest is counted but not kept, for a table is measured in memory before it is printed.
            if count <= _BATCH:
                table.add_row(*(Text(plain(_text(value))) for value in row))
    Console(highlight=False).print(table)
    if count > _BATCH:
        click.echo(f"The first {_BATCH} of {count} rows; a pipe gets all of them.")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _reason(error: duckdb.Error) -> str:
    # The message continues with the statement and a caret under the mistake, which need several lines.
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("LINE")]
    return plain(" ".join(line for line in lines[:2] if line != "^")).rstrip(".") + "."
