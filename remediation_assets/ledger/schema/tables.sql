-- The tables of the ledger at the present version.
--
-- A change here raises SCHEMA_VERSION and comes with a file in migrations/, also if it only adds a column.
-- This is plain SQL but for one placeholder in braces, filled in by __init__.py, so that the columns of a finding
-- are typed nowhere but in the `Finding` model:
--     finding_columns  its fields as columns: finding_id VARCHAR, scanner VARCHAR, ...
-- A wide finding row is stored once, in finding_rows. The tables of later steps are narrow and point to it;
-- views.sql joins them into the wide form that people query.

-- Whose results the ledger holds. One row; a process with another mode, API or organisation is refused.
CREATE TABLE stamp (
    ledger_id VARCHAR NOT NULL,
    schema_version INTEGER NOT NULL,
    mode VARCHAR NOT NULL,
    api_origin VARCHAR NOT NULL,
    -- Empty until the API has named it, because a setting may be mistyped.
    org_id VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- What the pipeline as a whole remembers between two runs. One row.
CREATE TABLE state (
    -- The clock of session timeouts: only the time between successful polls without a hold, so that no session
    -- times out because the pipeline was switched off.
    watched_seconds DOUBLE NOT NULL DEFAULT 0,
    last_poll_at TIMESTAMPTZ,
    current_source VARCHAR,
    plan_number INTEGER NOT NULL DEFAULT 0,
    -- The account's own limit of open sessions, as learned from its refusals.
    session_cap INTEGER,
    -- The newest scan at the time when waves were last planned.
    planned_scan_id INTEGER,
    -- Raised whenever findings change. The next two are what was merged and what was ranked last (a version and the
    -- weights): if they are up to date, merging and ranking are skipped.
    findings_version INTEGER NOT NULL DEFAULT 0,
    merged_version INTEGER,
    ranked_as VARCHAR,
    -- When the pull requests of finished sessions were last refreshed.
    pull_requests_at TIMESTAMPTZ,
    -- The findings that a person wants to be worked on first: a JSON object of services, categories and severities.
    -- NULL if there is no choice.
    choice VARCHAR,
    -- How many findings a wave had when waves were last cut.
    wave_size INTEGER
);

CREATE TABLE scans (
    scan_id INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    -- A file with the same content, read with the same options (`rules`), is recognised and not ingested twice.
    content_hash VARCHAR NOT NULL,
    rules VARCHAR,
    ingested_at TIMESTAMPTZ NOT NULL,
    rows_in BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    -- The last time that a file with this content was read, whether or not it was ingested again.
    last_read_at TIMESTAMPTZ,
    -- Compared with what was known of the same sources before; NULL if the scan was not compared.
    new_findings BIGINT,
    unchanged_findings BIGINT,
    closed_findings BIGINT,
    format VARCHAR,
    -- Results that are not open findings: a JSON object of counts by reason.
    skipped VARCHAR,
    -- Sentences about the file that a person should know: a JSON list.
    notes VARCHAR,
    -- Whether the file was taken for Windows-1252, because it is not UTF-8 and nothing in it says what it is.
    encoding_guessed BOOLEAN,
    -- The options that the file was last read with, as a person gives them: a JSON object without the empty ones.
    options VARCHAR
);

-- Files that were read together by one run, and what that changed. The scans of files that were read before as they are
-- are among `scan_ids`, too.
CREATE TABLE scan_requests (
    run_id VARCHAR NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL,
    scan_ids INTEGER[] NOT NULL,
    unchanged_scan_ids INTEGER[] NOT NULL,
    new_findings BIGINT NOT NULL,
    unchanged_findings BIGINT NOT NULL,
    closed_findings BIGINT NOT NULL
);

-- Which scan is valid for the findings of a scanner in a repository: the last one that read them. There are several
-- rows if several files were read together. Rows of older scans stay in finding_rows until the next merge, because
-- kept_findings points to them until then.
CREATE TABLE sources (
    scanner VARCHAR,
    repo_url VARCHAR,
    scan_id INTEGER,
    -- The first scan of this source: findings of equal rank keep their order when a file is read again.
    first_scan_id INTEGER
);

CREATE TABLE finding_rows (
    scan_id INTEGER,
    row_number BIGINT,
    finding_key VARCHAR,
    {finding_columns}
);

CREATE TABLE rejected_findings (
    scan_id INTEGER NOT NULL,
    source VARCHAR NOT NULL,
    line_number BIGINT,
    finding_id VARCHAR,
    reason VARCHAR NOT NULL,
    raw VARCHAR
);

-- After duplicates are removed: which row of finding_rows stands for each finding.
CREATE TABLE kept_findings (
    finding_key VARCHAR,
    scan_id INTEGER,
    row_number BIGINT,
    position BIGINT
);

CREATE TABLE finding_scores (
    finding_key VARCHAR,
    priority_score DOUBLE,
    priority_rank BIGINT
);

CREATE TABLE waves (
    wave VARCHAR NOT NULL,
    wave_number INTEGER NOT NULL,
    plan_number INTEGER NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL,
    -- Once frozen, a wave keeps its findings, whatever is planned later.
    frozen_at TIMESTAMPTZ,
    -- Whether the wave has findings that a person has chosen to be worked on first, and no others.
    chosen BOOLEAN NOT NULL DEFAULT false
);

CREATE TABLE wave_findings (
    finding_key VARCHAR,
    wave_number INTEGER,
    position INTEGER
);

-- A copy of each finding as it was planned, with its prompt: a later scan must not change what a frozen wave works on.
CREATE TABLE wave_plan (
    wave VARCHAR NOT NULL,
    wave_number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    plan_number INTEGER NOT NULL,
    finding_key VARCHAR NOT NULL,
    {finding_columns},
    priority_score DOUBLE,
    playbook VARCHAR NOT NULL,
    playbook_version VARCHAR NOT NULL,
    prompt VARCHAR NOT NULL
);

-- Which playbook serves the findings of each category, as waves were last planned with it.
CREATE TABLE category_playbooks (
    category VARCHAR NOT NULL,
    playbook VARCHAR NOT NULL
);

CREATE TABLE playbook_versions (
    playbook VARCHAR NOT NULL,
    playbook_version VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    body VARCHAR NOT NULL,
    playbook_id VARCHAR,
    uploaded_at TIMESTAMPTZ
);

CREATE TABLE rounds (
    wave_number INTEGER NOT NULL,
    round INTEGER NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    run_id VARCHAR,
    plan_number INTEGER NOT NULL,
    ignored_gate BOOLEAN NOT NULL,
    settled_at TIMESTAMPTZ,
    collected_at TIMESTAMPTZ,
    -- Whether the outcome of a create request is unknown. The round then settles only after a complete list of
    -- sessions, begun late enough after last_post_at, has shown that there is no duplicate; duplicates_checked_at is when it did.
    unconfirmed BOOLEAN NOT NULL DEFAULT false,
    last_post_at TIMESTAMPTZ,
    duplicates_checked_at TIMESTAMPTZ,
    stopped_at TIMESTAMPTZ,
    UNIQUE (wave_number, round)
);

CREATE TABLE attempts (
    finding_key VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    wave_number INTEGER NOT NULL,
    round INTEGER NOT NULL,
    is_retry BOOLEAN NOT NULL,
    status VARCHAR NOT NULL,
    outcome VARCHAR,
    playbook VARCHAR NOT NULL,
    playbook_version VARCHAR NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    -- Written before the create request is sent: after a crash, a claim without a session is looked up at Devin
    -- instead of being sent a second time.
    claimed_at TIMESTAMPTZ,
    claimed_by VARCHAR,
    request VARCHAR,
    request_hash VARCHAR,
    -- Since when it is unknown whether the request created a session, and how many lists of sessions have been
    -- searched for it since. After enough of them the attempt is pending again.
    unknown_since TIMESTAMPTZ,
    lookups_not_found INTEGER NOT NULL DEFAULT 0,
    session_id VARCHAR,
    session_url VARCHAR,
    dispatched_at TIMESTAMPTZ,
    -- When the session was created, on the clock of state.watched_seconds.
    watched_from DOUBLE,
    api_status VARCHAR,
    api_detail VARCHAR,
    -- The furthest stage that the session has reported, of those that have a row in stage_times.
    stage VARCHAR,
    blocked_since TIMESTAMPTZ,
    missing_since TIMESTAMPTZ,
    -- Suspended by Devin, to be resumed, and when the last message to resume it was sent.
    suspended_at TIMESTAMPTZ,
    resume_wanted_at TIMESTAMPTZ,
    resume_sent_at TIMESTAMPTZ,
    pr_url VARCHAR,
    acus_consumed DOUBLE,
    observed_at TIMESTAMPTZ,
    -- Hash of what Devin showed last: a poll that shows the same writes nothing.
    observed_hash VARCHAR,
    error_message VARCHAR,
    completed_at TIMESTAMPTZ,
    cancel_wanted_at TIMESTAMPTZ,
    terminate_wanted_at TIMESTAMPTZ,
    terminate_error VARCHAR,
    terminated_at TIMESTAMPTZ,
    UNIQUE (finding_key, attempt)
);

-- What Devin showed last, one row per attempt. It is not part of `attempts`: with rows this wide, each small change
-- of an attempt would cost as much as writing the payloads of all attempts.
CREATE TABLE observations (
    finding_key VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    pull_requests VARCHAR,
    structured_output VARCHAR,
    output_valid BOOLEAN,
    raw VARCHAR NOT NULL
);

-- When polls saw a session in each of its stages. A stage that came and went between two polls has no row. Between
-- first_seen_at and last_seen_at the session was in the stage for certain; last_seen_at is NULL while it still is.
CREATE TABLE stage_times (
    finding_key VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    wave_number INTEGER NOT NULL,
    stage VARCHAR NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ,
    UNIQUE (finding_key, attempt, stage)
);

-- Duplicate sessions of an attempt, which should not exist; each is terminated.
CREATE TABLE extra_sessions (
    session_id VARCHAR NOT NULL,
    wave_number INTEGER NOT NULL,
    finding_key VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    end_error VARCHAR,
    ended_at TIMESTAMPTZ,
    UNIQUE (session_id)
);

CREATE TABLE gate_results (
    wave VARCHAR NOT NULL,
    wave_number INTEGER NOT NULL,
    round INTEGER NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    findings INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    answerable INTEGER NOT NULL,
    -- NULL if no attempt counts for the gate.
    rate DOUBLE,
    threshold DOUBLE NOT NULL,
    interval_low DOUBLE,
    interval_high DOUBLE,
    passed BOOLEAN NOT NULL,
    ignored_gate BOOLEAN NOT NULL,
    -- passed, failed, or not_judged if no outcome counts; `passed` is whether it is the first of these.
    verdict VARCHAR NOT NULL DEFAULT 'not_judged',
    -- Whether the next wave may start.
    opens BOOLEAN NOT NULL DEFAULT false,
    UNIQUE (wave_number, round)
);

-- What people decided about pull requests. Rows are only ever added; the last one of an attempt counts.
-- `verdict` is approved, rejected or reopened; after reopened, the next round of the wave takes the finding again.
CREATE TABLE reviews (
    review_id BIGINT NOT NULL,
    finding_key VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    wave_number INTEGER NOT NULL,
    pr_url VARCHAR,
    verdict VARCHAR NOT NULL,
    reviewer VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    reviewed_at TIMESTAMPTZ NOT NULL,
    UNIQUE (review_id)
);

CREATE TABLE holds (
    hold_id INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ,
    -- When a single request may test whether the reason still exists.
    probe_at TIMESTAMPTZ,
    lifted_at TIMESTAMPTZ
);

CREATE TABLE session_events (
    event_id BIGINT NOT NULL,
    "timestamp" TIMESTAMPTZ NOT NULL,
    event_type VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    wave_number INTEGER,
    finding_key VARCHAR,
    attempt INTEGER,
    details VARCHAR
);
