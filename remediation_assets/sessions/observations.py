"""Writing what was seen of many attempts at once: the narrow facts, and apart from them what Devin showed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from .attempts import Attempt


@dataclass(frozen=True)
class Observation:
    """What has changed of an attempt: columns of `attempts`, and the payload of `observations`.

    `ends` asks for the end of its session, which the attempt's next try then waits for.
    """

    attempt: Attempt
    changes: dict[str, Any]
    ends: bool
    pull_requests: str
    structured_output: str | None
    output_valid: bool | None
    raw: str


def write_observations(tx: DuckDBPyConnection, seen: Sequence[Observation], now: datetime) -> None:
    """Write what was seen in a few statements, however many attempts it is.

    An attempt that has an outcome by now keeps it, and everything else with it.
    """
    if not seen:
        return
    columns = list(seen[0].changes)
    typed = ", ".join(f"a.{name}" for name in columns)
    tx.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE seen AS
        SELECT a.wave_number, a.finding_key, a.attempt, a.completed_at, a.end_wanted_at, {typed},
            o.pull_requests, o.structured_output, o.output_valid, o.raw
        FROM attempts a, observations o LIMIT 0
        """
    )
    rows = []
    for one in seen:
        completed_at = now if one.changes["outcome"] else None
        rows.append(
            [
                one.attempt.wave_number,
                one.attempt.finding_key,
                one.attempt.attempt,
                completed_at,
                now if one.ends else None,
                *one.changes.values(),
                one.pull_requests,
                one.structured_output,
                one.output_valid,
                one.raw,
            ]
        )
    tx.executemany(f"INSERT INTO seen VALUES ({', '.join('?' * len(rows[0]))})", rows)
    same = (
        "s.wave_number = attempts.wave_number AND s.finding_key = attempts.finding_key AND s.attempt = attempts.attempt"
    )
    tx.execute(f"DELETE FROM seen s USING attempts WHERE {same} AND attempts.outcome IS NOT NULL")
    tx.execute("DELETE FROM observations o USING seen s WHERE o.finding_key = s.finding_key AND o.attempt = s.attempt")
    tx.execute(
        """
        INSERT INTO observations
        SELECT finding_key, attempt, ?, pull_requests, structured_output, output_valid, raw FROM seen
        """,
        [now],
    )
    assignments = ", ".join(f"{name} = s.{name}" for name in [*columns, "completed_at", "end_wanted_at"])
    tx.execute(f"UPDATE attempts SET {assignments}, observed_at = ? FROM seen s WHERE {same}", [now])
