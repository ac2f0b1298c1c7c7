-- The ledger as version 1 made it, frozen: what a migration has to start from.
CREATE TABLE stamp (
    ledger_id VARCHAR NOT NULL, schema_version INTEGER NOT NULL, mode VARCHAR NOT NULL,
    api_origin VARCHAR NOT NULL, org_id VARCHAR NOT NULL, created_at TIMESTAMPTZ NOT NULL);

-- One row. watched_seconds counts only time between successful polls with no hold: the clock of timeouts.
CREATE TABLE state (
    watched_seconds DOUBLE NOT NULL, last_poll_at TIMESTAMPTZ, current_source VARCHAR, plan_number INTEGER NOT NULL);
INSERT INTO state VALUES (0, NULL, NULL, 0);

CREATE TABLE scans (
    scan_id INTEGER NOT NULL, source VARCHAR NOT NULL, content_hash VARCHAR NOT NULL,
    ingested_at TIMESTAMPTZ NOT NULL, rows_in BIGINT NOT NULL, accepted BIGINT NOT NULL, set_aside BIGINT NOT NULL);

-- Whose findings stand: the scan that last read a scanner's findings in a repository. Rows of older
-- scans stay until the next merging has replaced what points to them.
CREATE TABLE sources (scanner VARCHAR, repo_url VARCHAR, scan_id INTEGER, first_scan_id INTEGER);
CREATE TABLE finding_rows (scan_id INTEGER, row_number BIGINT, finding_key VARCHAR, finding_id VARCHAR, scanner VARCHAR, category VARCHAR, severity VARCHAR, title VARCHAR, description VARCHAR, service_name VARCHAR, repo_url VARCHAR, file_path VARCHAR, line_number BIGINT, cwe_id VARCHAR, dependency_name VARCHAR, current_version VARCHAR, fixed_version VARCHAR, language VARCHAR, rule_id VARCHAR, fingerprint VARCHAR);
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
    finding_key VARCHAR NOT NULL, finding_id VARCHAR, scanner VARCHAR, category VARCHAR, severity VARCHAR, title VARCHAR, description VARCHAR, service_name VARCHAR, repo_url VARCHAR, file_path VARCHAR, line_number BIGINT, cwe_id VARCHAR, dependency_name VARCHAR, current_version VARCHAR, fixed_version VARCHAR, language VARCHAR, rule_id VARCHAR, fingerprint VARCHAR, priority_score DOUBLE,
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, prompt VARCHAR NOT NULL);
CREATE TABLE playbook_versions (
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, title VARCHAR NOT NULL, body VARCHAR NOT NULL,
    playbook_id VARCHAR, uploaded_at TIMESTAMPTZ);

CREATE TABLE rounds (
    wave_number INTEGER NOT NULL, round INTEGER NOT NULL, opened_at TIMESTAMPTZ NOT NULL, run_id VARCHAR,
    plan_number INTEGER NOT NULL, ignored_gate BOOLEAN NOT NULL, settled_at TIMESTAMPTZ, collected_at TIMESTAMPTZ,
    UNIQUE (wave_number, round));
CREATE TABLE attempts (
    finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL,
    is_retry BOOLEAN NOT NULL, status VARCHAR NOT NULL, outcome VARCHAR,
    playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, created_at TIMESTAMPTZ NOT NULL,
    claimed_at TIMESTAMPTZ, claimed_by VARCHAR, request VARCHAR, request_hash VARCHAR,
    unknown_since TIMESTAMPTZ, fruitless_lookups INTEGER NOT NULL DEFAULT 0,
    session_id VARCHAR, session_url VARCHAR, dispatched_at TIMESTAMPTZ, watched_from DOUBLE,
    api_status VARCHAR, api_detail VARCHAR, blocked_since TIMESTAMPTZ, missing_since TIMESTAMPTZ,
    pr_url VARCHAR, pull_requests VARCHAR, structured_output VARCHAR, output_valid BOOLEAN, acus_consumed DOUBLE,
    observed_at TIMESTAMPTZ, raw VARCHAR, error_message VARCHAR, completed_at TIMESTAMPTZ,
    end_wanted_at TIMESTAMPTZ, session_ended_at TIMESTAMPTZ,
    UNIQUE (finding_key, attempt));
CREATE TABLE gate_results (
    wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL, decided_at TIMESTAMPTZ NOT NULL,
    findings INTEGER NOT NULL, succeeded INTEGER NOT NULL, answerable INTEGER NOT NULL, rate DOUBLE,
    threshold DOUBLE NOT NULL, interval_low DOUBLE, interval_high DOUBLE, passed BOOLEAN NOT NULL,
    ignored_gate BOOLEAN NOT NULL, UNIQUE (wave_number, round));
CREATE TABLE holds (
    hold_id INTEGER NOT NULL, kind VARCHAR NOT NULL, reason VARCHAR NOT NULL, set_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ, probe_at TIMESTAMPTZ, lifted_at TIMESTAMPTZ);
CREATE SEQUENCE event_ids;
CREATE TABLE session_events (
    event_id BIGINT NOT NULL DEFAULT nextval('event_ids'), "timestamp" TIMESTAMPTZ NOT NULL,
    event_type VARCHAR NOT NULL,
    message VARCHAR NOT NULL, wave_number INTEGER, finding_key VARCHAR, attempt INTEGER, details VARCHAR);

CREATE VIEW findings AS
SELECT finding_key, finding_id, scanner, category, severity, title, description, service_name, repo_url, file_path, line_number, cwe_id, dependency_name, current_version, fixed_version, language, rule_id, fingerprint, scan_id, row_number
FROM finding_rows SEMI JOIN sources USING (scanner, repo_url, scan_id);

CREATE VIEW normalized_findings AS
SELECT k.finding_key, f.finding_id, f.scanner, f.category, f.severity, f.title, f.description, f.service_name, f.repo_url, f.file_path, f.line_number, f.cwe_id, f.dependency_name, f.current_version, f.fixed_version, f.language, f.rule_id, f.fingerprint, k.position
FROM kept_findings k JOIN finding_rows f ON f.scan_id = k.scan_id AND f.row_number = k.row_number;

CREATE VIEW duplicate_findings AS
SELECT f.finding_key, f.finding_id, f.scanner, f.category, f.severity, f.title, f.description, f.service_name, f.repo_url, f.file_path, f.line_number, f.cwe_id, f.dependency_name, f.current_version, f.fixed_version, f.language, f.rule_id, f.fingerprint, f.scan_id, f.row_number, k.scan_id AS kept_scan_id, k.row_number AS kept_row_number
FROM findings f JOIN kept_findings k ON k.finding_key = f.finding_key
WHERE (f.scan_id, f.row_number) != (k.scan_id, k.row_number);

CREATE VIEW prioritized_findings AS
SELECT n.*, s.priority_score, s.priority_rank
FROM normalized_findings n JOIN finding_scores s ON s.finding_key = n.finding_key;

CREATE VIEW last_attempts AS
SELECT * FROM attempts QUALIFY row_number() OVER (PARTITION BY finding_key ORDER BY attempt DESC) = 1;

CREATE VIEW session_results AS
SELECT p.wave, p.wave_number, p.position, p.finding_key, p.finding_id, p.scanner, p.category, p.severity, p.title, p.description, p.service_name, p.repo_url, p.file_path, p.line_number, p.cwe_id, p.dependency_name, p.current_version, p.fixed_version, p.language, p.rule_id, p.fingerprint, p.priority_score,
    coalesce(a.attempt, 0) AS attempt, a.round, coalesce(a.status, 'pending') AS status, a.outcome,
    a.session_id, a.session_url, a.pr_url, a.pull_requests, a.structured_output, a.output_valid, a.acus_consumed,
    a.playbook, a.playbook_version, a.dispatched_at, a.completed_at,
    date_diff('millisecond', a.dispatched_at, a.completed_at) / 60000.0 AS minutes, a.error_message
FROM wave_plan p LEFT JOIN last_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number;
