"""The ledger's tables and views, and the version they have.

Columns of findings are taken from the `Finding` model, never typed twice. Wide finding rows are
stored once; later steps keep narrow tables, and views give people the wide form.
"""

from pathlib import Path
from types import UnionType
from typing import get_args

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.models import Finding, Outcome

SCHEMA_VERSION = 4

_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE"}


def sql_type(annotation: object) -> str:
    """Give the DuckDB type of a field: enums are text, optional fields their inner type."""
    if isinstance(annotation, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if isinstance(annotation, type):
        for python_type, name in _TYPES.items():
            if issubclass(annotation, python_type):
                return name
    raise TypeError(f"no column type for {annotation!r}")


FINDING_COLUMNS: dict[str, str] = {
    name: sql_type(field.annotation) for name, field in Finding.model_fields.items() if name != "priority_score"
}
"""Columns of a finding as it is read: name to DuckDB type, in the model's order."""

_wide = ", ".join(f"{name} {kind}" for name, kind in FINDING_COLUMNS.items())
_names = ", ".join(FINDING_COLUMNS)
_f_names = ", ".join(f"f.{name}" for name in FINDING_COLUMNS)
_p_names = ", ".join(f"p.{name}" for name in FINDING_COLUMNS)

_UNANSWERABLE = ", ".join(f"'{outcome}'" for outcome in Outcome if not outcome.answerable)

_TABLES = f"""
CREATE TABLE stamp (
    ledger_id VARCHAR NOT NULL, schema_version INTEGER NOT NULL, mode VARCHAR NOT NULL,
    api_origin VARCHAR NOT NULL, org_id VARCHAR NOT NULL, created_at TIMESTAMPTZ NOT NULL);

-- One row. watched_seconds counts only time between successful polls with no hold: the clock of timeouts.
-- session_cap is the account's own limit of sessions not ended, as far as its refusals told it.
-- planned_scan_id is the newest scan that had been read when waves were last cut. findings_version is raised
-- whenever findings change; merged_version and ranked_as tell for which of them, and by which weights, what follows
-- was last made.
CREATE TABLE state (
    watched_seconds DOUBLE NOT NULL DEFAULT 0, last_poll_at TIMESTAMPTZ, current_source VARCHAR,
    plan_number INTEGER NOT NULL DEFAULT 0, session_cap INTEGER, planned_scan_id INTEGER,
    findings_version INTEGER NOT NULL DEFAULT 0, merged_version INTEGER, ranked_as VARCHAR,
    -- When the pull requests of ended sessions were last looked at.
    pull_requests_at TIMESTAMPTZ);

CREATE TABLE scans (
    scan_id INTEGER NOT NULL, source VARCHAR NOT NULL, content_hash VARCHAR NOT NULL, rules VARCHAR,
    ingested_at TIMESTAMPTZ NOT NULL, rows_in BIGINT NOT NULL, accepted BIGINT NOT NULL, set_aside BIGINT NOT NULL,
    -- When a file with this content was read last, which is then recognised and not brought in again.
    last_read_at TIMESTAMPTZ,
    -- Of the findings of its sources, against what was known of them before; NULL where that was not counted.
    new_findings BIGINT, unchanged_findings BIGINT, gone_findings BIGINT,
    -- What kind of file it was, and how much of it is no open finding, as JSON by reason.
    format VARCHAR, left_out VARCHAR);

-- Whose findings stand: the scans that last read a scanner's findings in a repository, several where files were
-- read together. Rows of older
-- scans stay until the next merging has replaced what points to them.
CREATE TABLE sources (scanner VARCHAR, repo_url VARCHAR, scan_id INTEGER, first_scan_id INTEGER);
CREATE TABLE finding_rows (scan_id INTEGER, row_number BIGINT, finding_key VARCHAR, {_wide});
CREATE TABLE rejected_findings (
    scan_id INTEGER NOT NULL, source VARCHAR NOT NULL, line_number BIGINT, finding_id VARCHAR, reason VARCHAR NOT NULL,
    raw VARCHAR);
CREATE TABLE kept_findings (finding_key VARCHAR, scan_id INTEGER, row_number BIGINT, position BIGINT);
CREATE TABLE finding_scores (finding_key VARCHAR, priority_score DOUBLE, priority_rank BIGINT);

CREATE TABLE waves (
    wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, plan_number INTEGER NOT NULL, planned_at TIMESTAMPTZ NOT NULL,
    frozen_at TIMESTAMPTZ);
CREATE TABLE wave_findings (finding_key VARCHAR, wave_number INTEGER, position INTEGER);
CREATE TABLE wave_plan (
    wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, position INTEGER NOT NULL, plan_number INTEGER NOT NULL,
    finding_key VARCHAR NOT NULL, {_wide}, priority_score DOUBLE,
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, prompt VARCHAR NOT NULL);
CREATE TABLE playbook_versions (
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, title VARCHAR NOT NULL, body VARCHAR NOT NULL,
    playbook_id VARCHAR, uploaded_at TIMESTAMPTZ);

CREATE TABLE rounds (
    wave_number INTEGER NOT NULL, round INTEGER NOT NULL, opened_at TIMESTAMPTZ NOT NULL, run_id VARCHAR,
    plan_number INTEGER NOT NULL, ignored_gate BOOLEAN NOT NULL, settled_at TIMESTAMPTZ, collected_at TIMESTAMPTZ,
    -- Whether a creation had no plain answer; then a whole list, begun late enough, must show that none is double.
    unsure BOOLEAN NOT NULL DEFAULT false, last_post_at TIMESTAMPTZ, audited_at TIMESTAMPTZ,
    stopped_at TIMESTAMPTZ,
    UNIQUE (wave_number, round));
CREATE TABLE attempts (
    finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL,
    is_retry BOOLEAN NOT NULL, status VARCHAR NOT NULL, outcome VARCHAR,
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, created_at TIMESTAMPTZ NOT NULL,
    claimed_at TIMESTAMPTZ, claimed_by VARCHAR, request VARCHAR, request_hash VARCHAR,
    unknown_since TIMESTAMPTZ, fruitless_lookups INTEGER NOT NULL DEFAULT 0,
    session_id VARCHAR, session_url VARCHAR, dispatched_at TIMESTAMPTZ, watched_from DOUBLE,
    api_status VARCHAR, api_detail VARCHAR, blocked_since TIMESTAMPTZ, missing_since TIMESTAMPTZ,
    halted_at TIMESTAMPTZ, wake_wanted_at TIMESTAMPTZ, woken_at TIMESTAMPTZ,
    pr_url VARCHAR, acus_consumed DOUBLE, observed_at TIMESTAMPTZ, observed_hash VARCHAR,
    error_message VARCHAR, completed_at TIMESTAMPTZ, cancel_wanted_at TIMESTAMPTZ,
    end_wanted_at TIMESTAMPTZ, end_error VARCHAR, session_ended_at TIMESTAMPTZ,
    UNIQUE (finding_key, attempt));
-- What Devin showed last, one row an attempt. Apart from `attempts`: rows this wide would make every small
-- change of an attempt cost what all attempts there ever were weigh.
CREATE TABLE observations (
    finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, observed_at TIMESTAMPTZ NOT NULL,
    pull_requests VARCHAR, structured_output VARCHAR, output_valid BOOLEAN, raw VARCHAR NOT NULL);
-- Second sessions of one attempt, which should not exist; each is terminated.
CREATE TABLE extra_sessions (
    session_id VARCHAR NOT NULL, wave_number INTEGER NOT NULL, finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL, end_error VARCHAR, ended_at TIMESTAMPTZ, UNIQUE (session_id));
CREATE TABLE gate_results (
    wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL, decided_at TIMESTAMPTZ NOT NULL,
    findings INTEGER NOT NULL, succeeded INTEGER NOT NULL, answerable INTEGER NOT NULL, rate DOUBLE,
    threshold DOUBLE NOT NULL, interval_low DOUBLE, interval_high DOUBLE, passed BOOLEAN NOT NULL,
    ignored_gate BOOLEAN NOT NULL, UNIQUE (wave_number, round));
-- What people said of pull requests; rows are only ever added. verdict: approved, rejected, and reopened, by which
-- the next round of the wave takes the finding again.
CREATE TABLE reviews (
    review_id BIGINT NOT NULL, finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL,
    pr_url VARCHAR, verdict VARCHAR NOT NULL, reviewer VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    reviewed_at TIMESTAMPTZ NOT NULL, UNIQUE (review_id));
CREATE TABLE holds (
    hold_id INTEGER NOT NULL, kind VARCHAR NOT NULL, reason VARCHAR NOT NULL, set_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ, probe_at TIMESTAMPTZ, lifted_at TIMESTAMPTZ);
CREATE TABLE session_events (
    event_id BIGINT NOT NULL, "timestamp" TIMESTAMPTZ NOT NULL,
    event_type VARCHAR NOT NULL,
    message VARCHAR NOT NULL, wave_number INTEGER, finding_key VARCHAR, attempt INTEGER, details VARCHAR);
"""

_VIEWS = f"""
CREATE VIEW findings AS
SELECT finding_key, {_names}, scan_id, row_number
FROM finding_rows SEMI JOIN sources USING (scanner, repo_url, scan_id);

CREATE VIEW normalized_findings AS
SELECT k.finding_key, {_f_names}, k.position
FROM kept_findings k JOIN finding_rows f ON f.scan_id = k.scan_id AND f.row_number = k.row_number;

CREATE VIEW duplicate_findings AS
SELECT f.finding_key, {_f_names}, f.scan_id, f.row_number, k.scan_id AS kept_scan_id, k.row_number AS kept_row_number
FROM findings f JOIN kept_findings k ON k.finding_key = f.finding_key
WHERE (f.scan_id, f.row_number) != (k.scan_id, k.row_number);

CREATE VIEW prioritized_findings AS
SELECT n.*, s.priority_score, s.priority_rank
FROM normalized_findings n JOIN finding_scores s ON s.finding_key = n.finding_key;

CREATE VIEW last_attempts AS
SELECT * FROM attempts QUALIFY row_number() OVER (PARTITION BY finding_key ORDER BY attempt DESC) = 1;

-- What was last said of each attempt's pull request.
CREATE VIEW last_reviews AS
SELECT * FROM reviews QUALIFY row_number() OVER (PARTITION BY finding_key, attempt ORDER BY review_id DESC) = 1;

CREATE VIEW session_results AS
SELECT p.wave, p.wave_number, p.position, p.finding_key, {_p_names}, p.priority_score,
    coalesce(a.attempt, 0) AS attempt, a.round, coalesce(a.status, 'pending') AS status, a.outcome,
    a.session_id, a.session_url, a.pr_url, o.pull_requests, o.structured_output, o.output_valid, a.acus_consumed,
    a.playbook, a.playbook_version, a.dispatched_at, a.completed_at,
    date_diff('millisecond', a.dispatched_at, a.completed_at) / 60000.0 AS minutes, a.error_message,
    -- Whether the success stands; and whether the agent answers for a failure, as a gate counts it.
    r.verdict AS review, r.reviewer, a.outcome = 'success' AND coalesce(r.verdict, 'approved') = 'approved' AS is_fixed,
    a.outcome NOT IN ({_UNANSWERABLE}) AND (a.outcome != 'success' OR coalesce(r.verdict, 'approved') != 'approved')
        AS is_failed
FROM wave_plan p LEFT JOIN last_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number
LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
LEFT JOIN last_reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt;
"""

# Of a pull request the API tells the state on v3 only; where it is not told it is not known to be merged.
_VIEWS += """
CREATE VIEW fixed_findings AS
WITH seen AS (
    SELECT finding_key, max(coalesce(last_read_at, ingested_at)) AS last_seen_at
    FROM finding_rows JOIN scans USING (scan_id)
    GROUP BY finding_key),
fixed AS (
    SELECT a.finding_key, a.wave_number, a.attempt, a.pr_url, a.completed_at, coalesce(list_contains(list_transform(
        list_filter(
            from_json(o.pull_requests, '[{\"url\": \"VARCHAR\", \"state\": \"VARCHAR\"}]'), p -> p.url = a.pr_url),
        p -> lower(p.state)), 'merged'), false) AS is_merged
    FROM attempts a LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
    WHERE a.outcome = 'success' AND NOT EXISTS (
        FROM last_reviews r
        WHERE r.finding_key = a.finding_key AND r.attempt = a.attempt AND r.verdict != 'approved'))
SELECT x.finding_key, p.finding_id, p.wave, p.service_name, p.severity, p.title, x.attempt, x.pr_url, x.is_merged,
    x.completed_at, s.last_seen_at,
    CASE WHEN s.last_seen_at IS NULL OR s.last_seen_at <= x.completed_at THEN 'not seen since'
        WHEN x.is_merged THEN 'reappeared' ELSE 'still_present' END AS presence
FROM fixed x
JOIN wave_plan p ON p.finding_key = x.finding_key AND p.wave_number = x.wave_number
LEFT JOIN seen s ON s.finding_key = x.finding_key;
"""

_OLD = "old"

# What moved, by the version it moved from; all other columns are copied by their names.
_MOVED = {
    1: f"""
    INSERT INTO observations
    SELECT finding_key, attempt, observed_at, pull_requests, structured_output, output_valid, raw
    FROM {_OLD}.attempts WHERE raw IS NOT NULL
    """,
    2: "UPDATE state SET planned_scan_id = (SELECT max(scan_id) FROM scans) WHERE EXISTS (FROM waves)",
    3: "UPDATE scans SET format = 'CSV'",
}


def version_of(connection: DuckDBPyConnection) -> int | None:
    """Give the schema version of a database, None where it is no ledger."""
    try:
        row = connection.execute("SELECT schema_version FROM stamp").fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None


def create(connection: DuckDBPyConnection) -> None:
    """Create every table and view in an empty database; `stamp` is left without a row."""
    connection.execute(_TABLES)
    connection.execute("INSERT INTO state DEFAULT VALUES")
    connection.execute("CREATE SEQUENCE event_ids")
    connection.execute(_VIEWS)


def create_from(connection: DuckDBPyConnection, old: Path, version: int) -> None:
    """Create every table and view in an empty database and fill them from an older ledger's, which stays as it is."""
    quoted = str(old).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS {_OLD} (READ_ONLY)")
    connection.execute(_TABLES)
    columns = _columns_of(connection, _OLD)
    for table, names in _columns_of(
        connection, str(connection.execute("SELECT current_database()").fetchall()[0][0])
    ).items():
        common = ", ".join(f'"{name}"' for name in names if name in columns.get(table, ()))
        if common:
            connection.execute(f"INSERT INTO {table} BY NAME SELECT {common} FROM {_OLD}.{table}")
    for since in range(version, SCHEMA_VERSION):
        connection.execute(_MOVED[since])
    connection.execute("UPDATE stamp SET schema_version = ?", [SCHEMA_VERSION])
    [(next_event,)] = connection.execute("SELECT coalesce(max(event_id), 0) + 1 FROM session_events").fetchall()
    connection.execute(f"CREATE SEQUENCE event_ids START {int(next_event)}")
    connection.execute(_VIEWS)
    connection.execute(f"DETACH {_OLD}")


def _columns_of(connection: DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    rows = connection.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns()"
        " WHERE database_name = ? AND NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables())"
        " GROUP BY table_name",
        [database],
    ).fetchall()
    return dict(rows)
