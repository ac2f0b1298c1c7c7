-- The ledger as version 6 made it, frozen: what a migration has to start from.

CREATE TABLE stamp(ledger_id VARCHAR NOT NULL, schema_version INTEGER NOT NULL, "mode" VARCHAR NOT NULL, api_origin VARCHAR NOT NULL, org_id VARCHAR NOT NULL, created_at TIMESTAMP WITH TIME ZONE NOT NULL);

CREATE TABLE state(watched_seconds DOUBLE DEFAULT(0) NOT NULL, last_poll_at TIMESTAMP WITH TIME ZONE, current_source VARCHAR, plan_number INTEGER DEFAULT(0) NOT NULL, session_cap INTEGER, planned_scan_id INTEGER, findings_version INTEGER DEFAULT(0) NOT NULL, merged_version INTEGER, ranked_as VARCHAR, pull_requests_at TIMESTAMP WITH TIME ZONE, choice VARCHAR, wave_size INTEGER);

CREATE TABLE scans(scan_id INTEGER NOT NULL, "source" VARCHAR NOT NULL, content_hash VARCHAR NOT NULL, rules VARCHAR, ingested_at TIMESTAMP WITH TIME ZONE NOT NULL, rows_in BIGINT NOT NULL, accepted BIGINT NOT NULL, rejected BIGINT NOT NULL, last_read_at TIMESTAMP WITH TIME ZONE, new_findings BIGINT, unchanged_findings BIGINT, closed_findings BIGINT, format VARCHAR, skipped VARCHAR, notes VARCHAR, encoding_guessed BOOLEAN, "options" VARCHAR);

CREATE TABLE scan_requests(run_id VARCHAR NOT NULL, requested_at TIMESTAMP WITH TIME ZONE NOT NULL, scan_ids INTEGER[] NOT NULL, unchanged_scan_ids INTEGER[] NOT NULL, new_findings BIGINT NOT NULL, unchanged_findings BIGINT NOT NULL, closed_findings BIGINT NOT NULL);

CREATE TABLE sources(scanner VARCHAR, repo_url VARCHAR, scan_id INTEGER, first_scan_id INTEGER);

CREATE TABLE finding_rows(scan_id INTEGER, row_number BIGINT, finding_key VARCHAR, finding_id VARCHAR, scanner VARCHAR, category VARCHAR, severity VARCHAR, title VARCHAR, description VARCHAR, service_name VARCHAR, repo_url VARCHAR, file_path VARCHAR, line_number BIGINT, cwe_id VARCHAR, dependency_name VARCHAR, current_version VARCHAR, fixed_version VARCHAR, "language" VARCHAR, rule_id VARCHAR, fingerprint VARCHAR);

CREATE TABLE rejected_findings(scan_id INTEGER NOT NULL, "source" VARCHAR NOT NULL, line_number BIGINT, finding_id VARCHAR, reason VARCHAR NOT NULL, raw VARCHAR);

CREATE TABLE kept_findings(finding_key VARCHAR, scan_id INTEGER, row_number BIGINT, "position" BIGINT);

CREATE TABLE finding_scores(finding_key VARCHAR, priority_score DOUBLE, priority_rank BIGINT);

CREATE TABLE waves(wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, plan_number INTEGER NOT NULL, planned_at TIMESTAMP WITH TIME ZONE NOT NULL, frozen_at TIMESTAMP WITH TIME ZONE, chosen BOOLEAN DEFAULT(CAST('f' AS BOOLEAN)) NOT NULL);

CREATE TABLE wave_findings(finding_key VARCHAR, wave_number INTEGER, "position" INTEGER);

CREATE TABLE wave_plan(wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, "position" INTEGER NOT NULL, plan_number INTEGER NOT NULL, finding_key VARCHAR NOT NULL, finding_id VARCHAR, scanner VARCHAR, category VARCHAR, severity VARCHAR, title VARCHAR, description VARCHAR, service_name VARCHAR, repo_url VARCHAR, file_path VARCHAR, line_number BIGINT, cwe_id VARCHAR, dependency_name VARCHAR, current_version VARCHAR, fixed_version VARCHAR, "language" VARCHAR, rule_id VARCHAR, fingerprint VARCHAR, priority_score DOUBLE, playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, prompt VARCHAR NOT NULL);

CREATE TABLE category_playbooks(category VARCHAR NOT NULL, playbook VARCHAR NOT NULL);

CREATE TABLE playbook_versions(playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, title VARCHAR NOT NULL, body VARCHAR NOT NULL, playbook_id VARCHAR, uploaded_at TIMESTAMP WITH TIME ZONE);

CREATE TABLE rounds(wave_number INTEGER NOT NULL, round INTEGER NOT NULL, opened_at TIMESTAMP WITH TIME ZONE NOT NULL, run_id VARCHAR, plan_number INTEGER NOT NULL, ignored_gate BOOLEAN NOT NULL, settled_at TIMESTAMP WITH TIME ZONE, collected_at TIMESTAMP WITH TIME ZONE, unconfirmed BOOLEAN DEFAULT(CAST('f' AS BOOLEAN)) NOT NULL, last_post_at TIMESTAMP WITH TIME ZONE, duplicates_checked_at TIMESTAMP WITH TIME ZONE, stopped_at TIMESTAMP WITH TIME ZONE, UNIQUE(wave_number, round));

CREATE TABLE attempts(finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL, is_retry BOOLEAN NOT NULL, status VARCHAR NOT NULL, outcome VARCHAR, playbook VARCHAR NOT NULL, playbook_version VARCHAR NOT NULL, created_at TIMESTAMP WITH TIME ZONE NOT NULL, claimed_at TIMESTAMP WITH TIME ZONE, claimed_by VARCHAR, request VARCHAR, request_hash VARCHAR, unknown_since TIMESTAMP WITH TIME ZONE, lookups_not_found INTEGER DEFAULT(0) NOT NULL, session_id VARCHAR, session_url VARCHAR, dispatched_at TIMESTAMP WITH TIME ZONE, watched_from DOUBLE, api_status VARCHAR, api_detail VARCHAR, stage VARCHAR, blocked_since TIMESTAMP WITH TIME ZONE, missing_since TIMESTAMP WITH TIME ZONE, suspended_at TIMESTAMP WITH TIME ZONE, resume_wanted_at TIMESTAMP WITH TIME ZONE, resume_sent_at TIMESTAMP WITH TIME ZONE, pr_url VARCHAR, acus_consumed DOUBLE, observed_at TIMESTAMP WITH TIME ZONE, observed_hash VARCHAR, error_message VARCHAR, completed_at TIMESTAMP WITH TIME ZONE, cancel_wanted_at TIMESTAMP WITH TIME ZONE, terminate_wanted_at TIMESTAMP WITH TIME ZONE, terminate_error VARCHAR, terminated_at TIMESTAMP WITH TIME ZONE, UNIQUE(finding_key, attempt));

CREATE TABLE observations(finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, observed_at TIMESTAMP WITH TIME ZONE NOT NULL, pull_requests VARCHAR, structured_output VARCHAR, output_valid BOOLEAN, raw VARCHAR NOT NULL);

CREATE TABLE stage_times(finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL, stage VARCHAR NOT NULL, first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, last_seen_at TIMESTAMP WITH TIME ZONE, UNIQUE(finding_key, attempt, stage));

CREATE TABLE extra_sessions(session_id VARCHAR NOT NULL, wave_number INTEGER NOT NULL, finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, seen_at TIMESTAMP WITH TIME ZONE NOT NULL, end_error VARCHAR, ended_at TIMESTAMP WITH TIME ZONE, UNIQUE(session_id));

CREATE TABLE gate_results(wave VARCHAR NOT NULL, wave_number INTEGER NOT NULL, round INTEGER NOT NULL, decided_at TIMESTAMP WITH TIME ZONE NOT NULL, findings INTEGER NOT NULL, succeeded INTEGER NOT NULL, answerable INTEGER NOT NULL, rate DOUBLE, threshold DOUBLE NOT NULL, interval_low DOUBLE, interval_high DOUBLE, passed BOOLEAN NOT NULL, ignored_gate BOOLEAN NOT NULL, verdict VARCHAR DEFAULT('not_judged') NOT NULL, opens BOOLEAN DEFAULT(CAST('f' AS BOOLEAN)) NOT NULL, UNIQUE(wave_number, round));

CREATE TABLE reviews(review_id BIGINT NOT NULL, finding_key VARCHAR NOT NULL, attempt INTEGER NOT NULL, wave_number INTEGER NOT NULL, pr_url VARCHAR, verdict VARCHAR NOT NULL, reviewer VARCHAR NOT NULL, reason VARCHAR NOT NULL, reviewed_at TIMESTAMP WITH TIME ZONE NOT NULL, UNIQUE(review_id));

CREATE TABLE holds(hold_id INTEGER NOT NULL, kind VARCHAR NOT NULL, reason VARCHAR NOT NULL, set_at TIMESTAMP WITH TIME ZONE NOT NULL, ends_at TIMESTAMP WITH TIME ZONE, probe_at TIMESTAMP WITH TIME ZONE, lifted_at TIMESTAMP WITH TIME ZONE);

CREATE TABLE session_events(event_id BIGINT NOT NULL, "timestamp" TIMESTAMP WITH TIME ZONE NOT NULL, event_type VARCHAR NOT NULL, message VARCHAR NOT NULL, wave_number INTEGER, finding_key VARCHAR, attempt INTEGER, details VARCHAR);

CREATE VIEW findings AS SELECT finding_key, finding_id, scanner, category, severity, title, description, service_name, repo_url, file_path, line_number, cwe_id, dependency_name, current_version, fixed_version, "language", rule_id, fingerprint, scan_id, row_number FROM finding_rows SEMI JOIN sources USING (scanner, repo_url, scan_id);

CREATE VIEW normalized_findings AS SELECT k.finding_key, f.finding_id, f.scanner, f.category, f.severity, f.title, f.description, f.service_name, f.repo_url, f.file_path, f.line_number, f.cwe_id, f.dependency_name, f.current_version, f.fixed_version, f."language", f.rule_id, f.fingerprint, k."position" FROM kept_findings AS k INNER JOIN finding_rows AS f ON (((f.scan_id = k.scan_id) AND (f.row_number = k.row_number)));

CREATE VIEW duplicate_findings AS SELECT f.finding_key, f.finding_id, f.scanner, f.category, f.severity, f.title, f.description, f.service_name, f.repo_url, f.file_path, f.line_number, f.cwe_id, f.dependency_name, f.current_version, f.fixed_version, f."language", f.rule_id, f.fingerprint, f.scan_id, f.row_number, k.scan_id AS kept_scan_id, k.row_number AS kept_row_number FROM findings AS f INNER JOIN kept_findings AS k ON ((k.finding_key = f.finding_key)) WHERE (main."row"(f.scan_id, f.row_number) != main."row"(k.scan_id, k.row_number));

CREATE VIEW prioritized_findings AS SELECT n.*, s.priority_score, s.priority_rank FROM normalized_findings AS n INNER JOIN finding_scores AS s ON ((s.finding_key = n.finding_key));

CREATE VIEW planned_findings AS (SELECT p.wave, p.wave_number, p."position", p.finding_key, p.finding_id, p.priority_score, p.severity, p.category, p.service_name, p.repo_url, p.title, p.playbook FROM wave_plan AS p SEMI JOIN (SELECT wave_number FROM waves WHERE (frozen_at IS NOT NULL)) AS w USING (wave_number)) UNION ALL (SELECT w.wave, w.wave_number, f."position", f.finding_key, n.finding_id, s.priority_score, n.severity, n.category, n.service_name, n.repo_url, n.title, c.playbook FROM wave_findings AS f INNER JOIN waves AS w ON (((w.wave_number = f.wave_number) AND (w.frozen_at IS NULL))) INNER JOIN normalized_findings AS n ON ((n.finding_key = f.finding_key)) INNER JOIN finding_scores AS s ON ((s.finding_key = f.finding_key)) LEFT JOIN category_playbooks AS c ON ((c.category = n.category)));

CREATE VIEW last_reviews AS SELECT * FROM reviews QUALIFY (row_number() OVER (PARTITION BY finding_key, attempt ORDER BY review_id DESC) = 1);

CREATE VIEW reviewed_attempts AS SELECT a.*, r.verdict AS review, r.reviewer, CASE  WHEN (((a.outcome = 'success') AND (r.verdict != 'approved'))) THEN ('failed') ELSE a.outcome END AS counted_outcome FROM attempts AS a LEFT JOIN last_reviews AS r ON (((r.finding_key = a.finding_key) AND (r.attempt = a.attempt)));

CREATE VIEW last_attempts AS SELECT * FROM attempts QUALIFY (row_number() OVER (PARTITION BY finding_key ORDER BY attempt DESC) = 1);

CREATE VIEW last_reviewed_attempts AS SELECT a.*, r.verdict AS review, r.reviewer, CASE  WHEN (((a.outcome = 'success') AND (r.verdict != 'approved'))) THEN ('failed') ELSE a.outcome END AS counted_outcome FROM last_attempts AS a LEFT JOIN last_reviews AS r ON (((r.finding_key = a.finding_key) AND (r.attempt = a.attempt)));

CREATE VIEW last_rounds AS SELECT * FROM rounds QUALIFY (row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1);

CREATE VIEW last_gate_results AS SELECT * FROM gate_results QUALIFY (row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1);

CREATE VIEW session_results AS SELECT p.wave, p.wave_number, p."position", p.finding_key, p.finding_id, p.scanner, p.category, p.severity, p.title, p.description, p.service_name, p.repo_url, p.file_path, p.line_number, p.cwe_id, p.dependency_name, p.current_version, p.fixed_version, p."language", p.rule_id, p.fingerprint, p.priority_score, COALESCE(a.attempt, 0) AS attempt, a.round, COALESCE(a.status, 'pending') AS status, a.outcome, a.session_id, a.session_url, a.pr_url, o.pull_requests, o.structured_output, o.output_valid, a.acus_consumed, a.playbook, a.playbook_version, a.dispatched_at, a.completed_at, (date_diff('millisecond', a.dispatched_at, a.completed_at) / 60000.0) AS "minutes", a.error_message, a.review, a.reviewer, (a.counted_outcome = 'success') AS is_fixed, (a.counted_outcome NOT IN ('success', 'cancelled', 'vanished')) AS is_failed FROM wave_plan AS p LEFT JOIN last_reviewed_attempts AS a ON (((a.finding_key = p.finding_key) AND (a.wave_number = p.wave_number))) LEFT JOIN observations AS o ON (((o.finding_key = a.finding_key) AND (o.attempt = a.attempt)));

CREATE VIEW session_stages AS SELECT p.wave, p.finding_id, p.category, p.service_name, t.finding_key, t.attempt, t.stage, t.first_seen_at, greatest(t.first_seen_at, COALESCE(t.last_seen_at, s.last_poll_at)) AS last_seen_at, (date_diff('millisecond', t.first_seen_at, greatest(t.first_seen_at, COALESCE(t.last_seen_at, s.last_poll_at))) / 60000.0) AS minutes_at_least FROM stage_times AS t CROSS JOIN state AS s INNER JOIN wave_plan AS p ON (((p.finding_key = t.finding_key) AND (p.wave_number = t.wave_number)));

CREATE VIEW fixed_findings AS WITH seen AS (SELECT finding_key, max(COALESCE(last_read_at, ingested_at)) AS last_seen_at FROM finding_rows INNER JOIN scans USING (scan_id) GROUP BY finding_key), fixed AS (SELECT a.finding_key, a.wave_number, a.attempt, a.pr_url, a.completed_at, COALESCE(list_contains(list_transform(list_filter(from_json(o.pull_requests, '[{"url": "VARCHAR", "state": "VARCHAR"}]'), (p -> (p.url = a.pr_url))), (p -> lower(p.state))), 'merged'), CAST('f' AS BOOLEAN)) AS is_merged FROM reviewed_attempts AS a LEFT JOIN observations AS o ON (((o.finding_key = a.finding_key) AND (o.attempt = a.attempt))) WHERE (a.counted_outcome = 'success'))SELECT x.finding_key, p.finding_id, p.wave, p.service_name, p.severity, p.title, x.attempt, x.pr_url, x.is_merged, x.completed_at, s.last_seen_at, CASE  WHEN (((s.last_seen_at IS NULL) OR (s.last_seen_at <= x.completed_at))) THEN ('not seen since') WHEN (x.is_merged) THEN ('reappeared') ELSE 'still_present' END AS presence FROM fixed AS x INNER JOIN wave_plan AS p ON (((p.finding_key = x.finding_key) AND (p.wave_number = x.wave_number))) LEFT JOIN seen AS s ON ((s.finding_key = x.finding_key));

INSERT INTO state DEFAULT VALUES;
