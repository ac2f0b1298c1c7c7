"""What Devin showed of each attempt, apart from the narrow facts in `attempts`; written for many attempts at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import Outcome
from remediation_assets.sessions.model import Attempt


@dataclass(frozen=True)
class Observation:
    """What has changed about an attempt: new values for columns of `attempts`, and its row in `observations`."""

    attempt: Attempt
    changes: dict[str, Any]
    pull_requests: str
    structured_output: str | None
    output_valid: bool | None
    raw: str
    reported_stage: str | None = None


def write_observations(tx: Transaction, seen: Sequence[Observation], *, release: bool) -> None:
    """Write what was seen in a few statements, however many attempts were seen.

    The session of an attempt that ends here is marked to be terminated, that of a success only with `release`; the
    finding's next attempt waits until a marked session is terminated.

    An attempt that has an outcome by now is not changed at all.
    """
    if not seen:
        return
    # All observations change the same columns: they are built in one place.
    columns = list(seen[0].changes)
    _stage(tx, seen, columns, release=release)
    same = (
        "s.wave_number = attempts.wave_number AND s.finding_key = attempts.finding_key AND s.attempt = attempts.attempt"
    )
    # First, or the statements below would overwrite an attempt that has ended in between.
    tx.execute(f"DELETE FROM seen s USING attempts WHERE {same} AND attempts.outcome IS NOT NULL")
    tx.execute("DELETE FROM observations o USING seen s WHERE o.finding_key = s.finding_key AND o.attempt = s.attempt")
    tx.execute(
        """
        -- Apart from `attempts` because it is wide: beside 100,000 rows that carried all this, one small change took
        -- up to a second.
        INSERT INTO observations (
            finding_key, attempt, observed_at, pull_requests, structured_output, output_valid, raw)
        SELECT finding_key, attempt, ?, pull_requests, structured_output, output_valid, raw FROM seen
        """,
        [tx.now],
    )
    assignments = ", ".join(f"{name} = s.{name}" for name in [*columns, "completed_at", "terminate_wanted_at"])
    tx.execute(f"UPDATE attempts SET {assignments}, observed_at = ? FROM seen s WHERE {same}", [tx.now])


def _stage(tx: Transaction, seen: Sequence[Observation], columns: Sequence[str], *, release: bool) -> None:
    """Put observations into the temporary table `seen`, from which a few statements write all of them."""
    typed = ", ".join(f"a.{name}" for name in columns)
    tx.execute(
        f"""
        -- An empty selection: the columns get the types of the ledger's, even if every value is null.
        CREATE OR REPLACE TEMP TABLE seen AS
        SELECT a.wave_number, a.finding_key, a.attempt, a.completed_at, a.terminate_wanted_at, {typed},
            o.pull_requests, o.structured_output, o.output_valid, o.raw
        FROM attempts a, observations o LIMIT 0
        """
    )
    rows = []
    for one in seen:
        outcome = one.changes["outcome"]
        is_unneeded = outcome is not None and (release or outcome is not Outcome.SUCCESS)
        rows.append(
            [
                one.attempt.wave_number,
                one.attempt.finding_key,
                one.attempt.attempt,
                tx.now if outcome else None,
                tx.now if is_unneeded else None,
                *one.changes.values(),
                one.pull_requests,
                one.structured_output,
                one.output_valid,
                one.raw,
            ]
        )
    names = ["wave_number", "finding_key", "attempt", "completed_at", "terminate_wanted_at", *columns]
    names += ["pull_requests", "structured_output", "output_valid", "raw"]
    tx.executemany(f"INSERT INTO seen ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)


_ENDED = ("merged", "closed")


def last_pull_request_poll(tx: Reader) -> datetime | None:
    """Return when the pull requests of ended sessions were last looked at, None if they never were."""
    at: datetime | None = tx.scalar("SELECT pull_requests_at FROM state")
    return at


def note_pull_request_poll(tx: Transaction) -> None:
    """Note that the pull requests of ended sessions are being looked at."""
    tx.execute("UPDATE state SET pull_requests_at = ?", [tx.now])


def open_pull_requests(tx: Reader, *, most: int) -> list[str]:
    """Load the sessions of successes whose pull request is neither merged nor closed, those seen longest ago first."""
    return tx.column(
        """
        -- A pull request without a known state counts as open.
        SELECT session_id FROM (
            SELECT a.session_id, coalesce(o.observed_at, a.completed_at) AS seen_at, coalesce(list_transform(
                list_filter(from_json(o.pull_requests, '[{"url": "VARCHAR", "state": "VARCHAR"}]'),
                    p -> p.url = a.pr_url), p -> lower(p.state))[1], '') AS state
            FROM attempts a JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
            WHERE a.outcome = 'success' AND a.pr_url IS NOT NULL AND a.session_id IS NOT NULL)
        WHERE NOT list_contains($ended, state) ORDER BY seen_at LIMIT $most
        """,
        {"ended": list(_ENDED), "most": most},
    )


@dataclass(frozen=True)
class _Known:
    finding_key: str
    attempt: int
    pull_requests: str | None


def note_pull_requests(tx: Transaction, session_id: str, pull_requests: str | None) -> bool:
    """Store a session's pull requests, or with None keep the known ones; return whether they have changed."""
    known = tx.one(
        _Known,
        """
        SELECT a.finding_key, a.attempt, o.pull_requests
        FROM attempts a LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        WHERE a.session_id = ?
        """,
        [session_id],
    )
    current = known.pull_requests if pull_requests is None else pull_requests
    tx.execute(
        # The time also if nothing has changed: whoever was seen longest ago comes next, and must not be first for
        # good.
        "UPDATE observations SET pull_requests = ?, observed_at = ? WHERE finding_key = ? AND attempt = ?",
        [current, tx.now, known.finding_key, known.attempt],
    )
    return current != known.pull_requests
