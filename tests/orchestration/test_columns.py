"""Every column of every table in the UI says what it means."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from remediation_assets.orchestration.columns import DESCRIPTIONS, OF_TABLE
from remediation_assets.orchestration.jobs import ASSETS


@pytest.fixture
def shown(execute: Callable[..., Any]) -> dict[str, list[dg.TableColumn]]:
    """Run planning and a wave; return the columns of each table that an asset or the gate shows."""
    runs = [execute("plan_waves").result, execute("remediate_wave", "wave-0001").result]
    return dict(tables(runs))


def tables(runs: list[dg.ExecuteInProcessResult]) -> Iterator[tuple[str, list[dg.TableColumn]]]:
    events = [event for run in runs for event in run.get_asset_materialization_events()]
    described: list[Any] = [event.materialization for event in events]
    described += [check for run in runs for check in run.get_asset_check_evaluations()]
    for one in described:
        for name, value in one.metadata.items():
            key = f"{one.asset_key.to_user_string()}, {name}"
            if isinstance(value, dg.TableMetadataValue):
                yield key, list(value.schema.columns)
            elif isinstance(value.value, dg.TableSchema):
                yield key, list(value.value.columns)


def test_every_column_is_described_and_every_description_is_of_a_column(
    shown: dict[str, list[dg.TableColumn]],
) -> None:
    assert {f"{key.to_user_string()}, dagster/column_schema" for asset in ASSETS for key in asset.keys} <= set(shown)
    columns = [(table, column) for table, several in shown.items() for column in several]
    assert [f"{table}: {column.name}" for table, column in columns if not column.description] == []
    written = [*DESCRIPTIONS.values(), *(text for of_one in OF_TABLE.values() for text in of_one.values())]
    assert [text for text in written if text not in {column.description for _, column in columns}] == []
    # Otherwise one of two equal texts could be left over unnoticed.
    assert len(written) == len(set(written))


def test_a_name_with_two_meanings_has_two_descriptions(shown: dict[str, list[dg.TableColumn]]) -> None:
    of_line = {
        column.description
        for table in ("findings, dagster/column_schema", "findings, rejected")
        for column in shown[table]
        if column.name == "line_number"
    }
    assert len(of_line) == 2
