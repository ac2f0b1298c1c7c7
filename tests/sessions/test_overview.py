"""Which waves a person is shown."""

from datetime import UTC, datetime

import duckdb
import pytest

from remediation_assets.ledger import schema
from remediation_assets.ledger.transaction import Reader
from remediation_assets.reports.waves import waves_around_the_work

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("waves", "collected", "shown", "earlier", "later"),
    [
        (0, 0, [], 0, 0),
        (2, 0, [1, 2], 0, 0),
        (2, 2, [1, 2], 0, 0),
        (9000, 0, [1, 2, 3, 4], 0, 8996),
        (9000, 100, [*range(95, 105)], 94, 8896),
        (9000, 9000, [*range(8995, 9001)], 8994, 0),
    ],
)
def test_of_many_waves_those_around_the_work_are_shown(
    waves: int, collected: int, shown: list[int], earlier: int, later: int
) -> None:
    connection = duckdb.connect()
    schema.create(connection)
    connection.execute(
        "INSERT INTO waves SELECT 'wave-' || n, n, 1, ?, NULL, false FROM range(1, ? + 1) r(n)", [NOW, waves]
    )
    connection.execute("INSERT INTO wave_findings SELECT 'k' || wave_number, wave_number, 1 FROM waves")
    connection.execute(
        "INSERT INTO rounds (wave_number, round, opened_at, plan_number, ignored_gate, settled_at, collected_at) "
        "SELECT n, 1, $now, 1, false, $now, $now FROM range(1, $count + 1) r(n)",
        {"now": NOW, "count": collected},
    )
    found = waves_around_the_work(Reader(connection))
    assert [state.wave for state in found.states] == [f"wave-{number}" for number in shown]
    assert {state.findings for state in found.states} <= {1}
    assert (found.earlier, found.later) == (earlier, later)
