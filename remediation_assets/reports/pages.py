"""The queries behind the dashboard's lists and figures, on the published results.

They return rows as dictionaries, which templates render. Lists are filtered, sorted and paged by the database. The
queries of a single finding or session are in `details.py`, those of a single wave in `wave_page.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import FindingCategory, Severity
from remediation_assets.planning.waves import wave_of_name
from remediation_assets.sessions.store.attempts import OPEN

from .details import ATTEMPT_STATUS, MINUTES, Row, pull_request_states, report, review_rows

PAGE = 50

STATUSES = (
    *("pending", "dispatched", "working", "blocked", "success", "failed", "timeout"),
    *("stopped", "vanished", "rejected", "reopened"),
)

_OF_ATTEMPTS = """
LEFT JOIN last_reviewed_attempts a ON a.finding_key = p.finding_key"""

_SEVERITY_RANK = "CASE {} " + " ".join(f"WHEN '{word}' THEN {rank}" for rank, word in enumerate(Severity)) + " END"

# People count: FIND-2 comes before FIND-10. Runs of digits are compared as numbers of equal length.
_NATURAL_ID = """list_transform(
    regexp_extract_all(lower(p.finding_id), '[0-9]+|[^0-9]+'),
    part -> CASE WHEN regexp_full_match(part, '[0-9]+')
        THEN lpad(part, greatest(20, length(part))::INTEGER, '0') ELSE part END)"""

# The only orders that reach the SQL: a request's word is looked up here and never put into a query.
_FINDING_ORDERS = {
    "rank": "p.priority_rank",
    "finding": f"{_NATURAL_ID}, p.priority_rank",
    "severity": f"{_SEVERITY_RANK.format('p.severity')}, p.priority_rank",
    "title": "p.title, p.priority_rank",
    "service": "p.service_name, p.priority_rank",
    "category": "p.category, p.priority_rank",
    "status": "status, p.priority_rank",
}

_SESSION_ORDERS = {
    "started": "a.created_at DESC, p.finding_id",
    "finding": f"{_NATURAL_ID}, a.attempt",
    "service": "p.service_name, a.created_at DESC",
    "status": f"({ATTEMPT_STATUS}), a.created_at DESC",
    "duration": "minutes DESC NULLS LAST, a.created_at DESC",
}


@dataclass(frozen=True)
class Listing:
    """One page of a list: its rows, the total over all pages, and how it is sorted; not every list can be sorted."""

    rows: Sequence[Row]
    total: int
    page: int
    sort: str = ""
    sorts: Sequence[str] = ()

    @property
    def pages(self) -> int:
        """Return the number of pages, at least one."""
        return max(1, -(-self.total // PAGE))

    @property
    def first(self) -> int:
        """Return the position of the page's first row in the whole list, from 1; 0 if the page is empty."""
        return (self.page - 1) * PAGE + 1 if self.total else 0

    @property
    def last(self) -> int:
        """Return the position of the page's last row in the whole list; 0 if the page is empty."""
        return min(self.page * PAGE, self.total)


def recorded_mode(reader: Reader) -> str | None:
    """Return the mode that the results were recorded in, `mock` or `live`; None if nothing is recorded yet."""
    mode: str | None = reader.scalar("SELECT any_value(mode) FROM stamp")
    return mode


def frame(reader: Reader, poll_interval_seconds: float, now: datetime) -> Row:
    """Return what every page shows around its content: pending reviews, holds, and the last poll.

    `unfollowed_since` is the time of the last poll if sessions are live and that poll was more than five poll intervals
    ago, and more than a minute; else it is None.
    """
    [row] = reader.records(
        f"""
        SELECT (SELECT count(*) FROM ({_PENDING_REVIEWS})) AS pending_reviews,
            (SELECT count(*) FROM attempts WHERE {OPEN}) AS live,
            (SELECT last_poll_at FROM state) AS last_poll_at,
            (SELECT max("timestamp") FROM session_events) AS last_event_at
        """,
    )
    holds = reader.records("SELECT kind, reason, set_at FROM holds WHERE lifted_at IS NULL ORDER BY hold_id")
    polled = row["last_poll_at"]
    # A minute at least: with a short interval, one slow step is no reason to worry people.
    overdue = timedelta(seconds=max(60.0, 5 * poll_interval_seconds))
    row["unfollowed_since"] = polled if row["live"] and polled and now - polled > overdue else None
    return row | {"holds": holds}


# Successes with a pull request that nobody has reviewed.
_PENDING_REVIEWS = """
SELECT a.finding_key, a.attempt FROM last_attempts a
SEMI JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
ANTI JOIN reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt
WHERE a.outcome = 'success' AND a.pr_url IS NOT NULL"""


def overview(reader: Reader) -> Row:
    """Return the figures of the four cards and the latest sessions.

    `working`, `fixed` and `failed` count findings by their latest attempt, so no finding is counted twice.
    """
    severities = dict(reader.execute("SELECT severity, count(*) FROM normalized_findings GROUP BY ALL").fetchall())
    [counts] = reader.records(
        """
        SELECT count(*) FILTER (outcome IS NULL AND session_id IS NOT NULL) AS working,
            count(*) FILTER (is_fixed) AS fixed,
            count(*) FILTER (is_failed) AS failed
        FROM session_results
        """,
    )
    done = counts["fixed"] + counts["failed"]
    return counts | {
        "severities": {str(severity): severities.get(str(severity), 0) for severity in Severity},
        "findings": sum(severities.values()),
        "rate": counts["fixed"] / done if done else None,
        "sessions": sessions(reader, {}, page=1, limit=10).rows,
    }


def findings(reader: Reader, filters: Mapping[str, str], *, page: int, sort: str = "rank") -> Listing:
    """Return a page of the findings that match the filters: severity, category, service, status, wave, text."""
    conditions = {
        "severity": "p.severity = $severity",
        "category": "p.category = $category",
        "service": "p.service_name = $service",
        "status": f"({ATTEMPT_STATUS}) = $status",
        "wave": "p.finding_key IN ("
        "SELECT finding_key FROM wave_findings JOIN waves USING (wave_number) WHERE wave = $wave)",
        # Not LIKE, which would take % and _ in what people type for wildcards.
        "text": "contains(lower(concat_ws(' ', p.finding_id, p.title, p.file_path, p.rule_id, p.dependency_name)), "
        "lower($text))",
    }
    values = _values(filters, conditions)
    where = " AND ".join(conditions[name] for name in values) or "true"
    order = _FINDING_ORDERS.get(sort, _FINDING_ORDERS["rank"])
    # Attempts are joined before paging only if the filter or the order needs them; otherwise to the page's rows alone.
    joins = _OF_ATTEMPTS if "status" in values or sort == "status" else ""
    status = ATTEMPT_STATUS if joins else "NULL"
    total = reader.scalar(f"SELECT count(*) FROM prioritized_findings p {joins} WHERE {where}", values)
    page = page_within(page, total)
    rows = reader.records(
        f"""
        -- The page's keys first: wide columns are then read for its rows only.
        WITH chosen AS (
            SELECT p.finding_key, {status} AS status, row_number() OVER (ORDER BY {order}) AS place
            FROM prioritized_findings p {joins}
            WHERE {where} ORDER BY {order} LIMIT {PAGE} OFFSET {(page - 1) * PAGE})
        SELECT p.finding_key, p.finding_id, p.title, p.service_name, p.category, p.severity, p.priority_score,
            p.file_path, {ATTEMPT_STATUS} AS status, a.session_id, a.attempt
        FROM chosen c JOIN prioritized_findings p ON p.finding_key = c.finding_key {_OF_ATTEMPTS}
        ORDER BY c.place
        """,
        values,
    )
    return Listing(rows, total, page, sort if sort in _FINDING_ORDERS else "rank", tuple(_FINDING_ORDERS))


def services(reader: Reader) -> list[str]:
    """Return the services that have findings, by name; at most 200, those with the most findings."""
    rows = reader.execute(
        """
        -- Bounded, because every page of the list carries the choice, and thousands of services are none.
        SELECT service_name FROM (
            SELECT service_name, count(*) AS findings FROM normalized_findings GROUP BY ALL
            ORDER BY findings DESC LIMIT 200)
        ORDER BY ALL
        """
    ).fetchall()
    return [name for (name,) in rows]


def categories() -> list[str]:
    """Return all categories."""
    return [str(category) for category in FindingCategory]


def severities() -> list[str]:
    """Return all severities, worst first."""
    return [str(severity) for severity in Severity]


def sessions(
    reader: Reader, filters: Mapping[str, str], *, page: int, sort: str = "started", limit: int = PAGE
) -> Listing:
    """Return a page of the attempts that match the filters: status, wave, text."""
    conditions = {
        "status": f"({ATTEMPT_STATUS}) = $status",
        "wave": "p.wave = $wave",
        "text": "contains(lower(concat_ws(' ', p.finding_id, p.title, p.service_name, a.session_id)), lower($text))",
    }
    values = _values(filters, conditions)
    where = " AND ".join(conditions[name] for name in values) or "true"
    joined = f"""
        FROM reviewed_attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        WHERE {where}"""
    total = reader.scalar(f"SELECT count(*) {joined}", values)
    page = page_within(page, total)
    order = _SESSION_ORDERS.get(sort, _SESSION_ORDERS["started"])
    rows = reader.records(
        f"""
        SELECT p.finding_key, p.finding_id, p.title, p.service_name, p.severity, p.wave, a.attempt, a.session_id,
            {ATTEMPT_STATUS} AS status, a.outcome, coalesce(a.dispatched_at, a.created_at) AS started_at,
            a.completed_at,
            {MINUTES} AS minutes, a.pr_url
        {joined} ORDER BY {order} LIMIT {int(limit)} OFFSET {(page - 1) * PAGE}
        """,
        values,
    )
    return Listing(rows, total, page, sort if sort in _SESSION_ORDERS else "started", tuple(_SESSION_ORDERS))


def reviews(reader: Reader, *, page: int) -> Row:
    """Return a page of the pull requests that wait for a review, worst severity first, and the latest reviews."""
    total = reader.scalar(f"SELECT count(*) FROM ({_PENDING_REVIEWS})")
    page = page_within(page, total)
    rows = reader.records(
        f"""
        SELECT p.finding_key, p.finding_id, p.title, p.service_name, p.severity, p.category, p.file_path, p.wave,
            a.attempt, a.session_id, a.pr_url, a.completed_at, o.structured_output, o.pull_requests
        FROM ({_PENDING_REVIEWS}) w
        JOIN attempts a ON a.finding_key = w.finding_key AND a.attempt = w.attempt
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        ORDER BY {_SEVERITY_RANK.format("p.severity")}, a.completed_at, p.finding_key
        LIMIT {PAGE} OFFSET {(page - 1) * PAGE}
        """,
    )
    for row in rows:
        row["report"] = report(row["structured_output"])
        row["pr_states"] = pull_request_states(row["pull_requests"])
    return {
        "waiting": Listing(rows, total, page),
        "reviewed": review_rows(reader, "true", [], limit=20),
    }


def waves(reader: Reader, *, page: int) -> Row:
    """Return the latest gate results and holds, newest first, and which page of waves to show.

    The listing `plan` has no rows: the caller loads the states of the page's waves with `reports.waves`.
    """
    gates = reader.records(
        """
        SELECT wave, round, decided_at, succeeded, answerable, rate, threshold, verdict, ignored_gate
        FROM gate_results ORDER BY decided_at DESC, wave DESC LIMIT 50
        """,
    )
    holds = reader.records("SELECT kind, reason, set_at, lifted_at FROM holds ORDER BY hold_id DESC LIMIT 20")
    total = reader.scalar("SELECT count(*) FROM waves")
    page = page_within(page, total)
    return {"gates": gates, "holds": holds, "plan": Listing((), total, page)}


def _values(filters: Mapping[str, str], conditions: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the filters that are set; a wave by its name, however a person wrote it."""
    values = {name: value for name, value in filters.items() if name in conditions and value}
    if "wave" in values:
        # What names no wave stays as it is, and matches none.
        values["wave"] = wave_of_name(values["wave"]) or values["wave"]
    return values


def page_within(page: int, total: int) -> int:
    """Return the page to show of a list: the page itself, or the first or last one if there is no such page."""
    # A list may have become shorter since the address of a page was made.
    return min(max(1, page), max(1, -(-total // PAGE)))
