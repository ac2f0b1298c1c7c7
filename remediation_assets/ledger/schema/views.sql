-- The views of the ledger at the present version: what people query.
--
-- A view is stored in the ledger, so a change here raises SCHEMA_VERSION, too; the migration may be a file of comments.
-- This is plain SQL but for placeholders in braces, which __init__.py takes from the models:
--     finding_names          the fields of `Finding`: finding_id, scanner, ...
--     f.finding_names        the same with the alias of a table: f.finding_id, f.scanner, ...; likewise p.
--     unanswerable_outcomes  each `Outcome` that the agent does not answer for: 'cancelled', ...
--     counted_outcome        the outcome of attempt `a` as a gate counts it after the review `r`

CREATE VIEW findings AS
SELECT finding_key, {finding_names}, scan_id, row_number
FROM finding_rows
SEMI JOIN sources USING (scanner, repo_url, scan_id);

CREATE VIEW normalized_findings AS
SELECT k.finding_key, {f.finding_names}, k.position
FROM kept_findings k
JOIN finding_rows f ON f.scan_id = k.scan_id AND f.row_number = k.row_number;

CREATE VIEW duplicate_findings AS
SELECT
    f.finding_key,
    {f.finding_names},
    f.scan_id,
    f.row_number,
    k.scan_id AS kept_scan_id,
    k.row_number AS kept_row_number
FROM findings f
JOIN kept_findings k ON k.finding_key = f.finding_key
WHERE (f.scan_id, f.row_number) != (k.scan_id, k.row_number);

CREATE VIEW prioritized_findings AS
SELECT n.*, s.priority_score, s.priority_rank
FROM normalized_findings n
JOIN finding_scores s ON s.finding_key = n.finding_key;

-- What is in each wave, before anything runs: a started wave as it was planned, the others as the scans are now.
CREATE VIEW planned_findings AS
SELECT
    p.wave,
    p.wave_number,
    p.position,
    p.finding_key,
    p.finding_id,
    p.priority_score,
    p.severity,
    p.category,
    p.service_name,
    p.repo_url,
    p.title,
    p.playbook
FROM wave_plan p
SEMI JOIN (SELECT wave_number FROM waves WHERE frozen_at IS NOT NULL) w USING (wave_number)
UNION ALL
SELECT
    w.wave,
    w.wave_number,
    f.position,
    f.finding_key,
    n.finding_id,
    s.priority_score,
    n.severity,
    n.category,
    n.service_name,
    n.repo_url,
    n.title,
    c.playbook
FROM wave_findings f
JOIN waves w ON w.wave_number = f.wave_number AND w.frozen_at IS NULL
JOIN normalized_findings n ON n.finding_key = f.finding_key
JOIN finding_scores s ON s.finding_key = f.finding_key
LEFT JOIN category_playbooks c ON c.category = n.category;

-- The review that counts for each attempt: the last one.
CREATE VIEW last_reviews AS
SELECT *
FROM reviews
QUALIFY row_number() OVER (PARTITION BY finding_key, attempt ORDER BY review_id DESC) = 1;

-- Attempts with the last review of each. A success that a person has not let stand counts as a failure; everything
-- that counts outcomes goes by `counted_outcome`.
CREATE VIEW reviewed_attempts AS
SELECT
    a.*,
    r.verdict AS review,
    r.reviewer,
    {counted_outcome} AS counted_outcome
FROM attempts a
LEFT JOIN last_reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt;

CREATE VIEW last_attempts AS
SELECT *
FROM attempts
QUALIFY row_number() OVER (PARTITION BY finding_key ORDER BY attempt DESC) = 1;

-- Not the last of `reviewed_attempts`: ranking all reviews takes as long as ranking all attempts, and most readers of the
-- last attempts want no review.
CREATE VIEW last_reviewed_attempts AS
SELECT
    a.*,
    r.verdict AS review,
    r.reviewer,
    {counted_outcome} AS counted_outcome
FROM last_attempts a
LEFT JOIN last_reviews r ON r.finding_key = a.finding_key AND r.attempt = a.attempt;

CREATE VIEW last_rounds AS
SELECT *
FROM rounds
QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1;

CREATE VIEW last_gate_results AS
SELECT *
FROM gate_results
QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1;

CREATE VIEW session_results AS
SELECT
    p.wave,
    p.wave_number,
    p.position,
    p.finding_key,
    {p.finding_names},
    p.priority_score,
    coalesce(a.attempt, 0) AS attempt,
    a.round,
    coalesce(a.status, 'pending') AS status,
    a.outcome,
    a.session_id,
    a.session_url,
    a.pr_url,
    o.pull_requests,
    o.structured_output,
    o.output_valid,
    a.acus_consumed,
    a.playbook,
    a.playbook_version,
    a.dispatched_at,
    a.completed_at,
    date_diff('millisecond', a.dispatched_at, a.completed_at) / 60000.0 AS minutes,
    a.error_message,
    a.review,
    a.reviewer,
    -- As a gate counts: an attempt that the agent does not answer for is neither fixed nor failed.
    a.counted_outcome = 'success' AS is_fixed,
    a.counted_outcome NOT IN ('success', {unanswerable_outcomes}) AS is_failed
FROM wave_plan p
LEFT JOIN last_reviewed_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number
LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt;

-- Where sessions spend their time. Minutes are a lower bound: a stage may have begun after the poll before it was first
-- seen, and have gone on until the poll that saw the next one.
CREATE VIEW session_stages AS
SELECT
    p.wave,
    p.finding_id,
    p.category,
    p.service_name,
    t.finding_key,
    t.attempt,
    t.stage,
    t.first_seen_at,
    greatest(t.first_seen_at, coalesce(t.last_seen_at, s.last_poll_at)) AS last_seen_at,
    date_diff(
        'millisecond', t.first_seen_at, greatest(t.first_seen_at, coalesce(t.last_seen_at, s.last_poll_at))
    ) / 60000.0 AS minutes_at_least
FROM stage_times t
CROSS JOIN state s
JOIN wave_plan p ON p.finding_key = t.finding_key AND p.wave_number = t.wave_number;

-- Whether scans still report what was fixed. Only v3 of the API reports the state of a pull request; without it, the
-- pull request counts as not merged, and a finding that is reported again as still present, not as reappeared.
CREATE VIEW fixed_findings AS
WITH seen AS (
    SELECT finding_key, max(coalesce(last_read_at, ingested_at)) AS last_seen_at
    FROM finding_rows
    JOIN scans USING (scan_id)
    GROUP BY finding_key
),
fixed AS (
    SELECT
        a.finding_key,
        a.wave_number,
        a.attempt,
        a.pr_url,
        a.completed_at,
        coalesce(
            list_contains(
                list_transform(
                    list_filter(
                        from_json(o.pull_requests, '[{"url": "VARCHAR", "state": "VARCHAR"}]'),
                        p -> p.url = a.pr_url
                    ),
                    p -> lower(p.state)
                ),
                'merged'
            ),
            false
        ) AS is_merged
    FROM reviewed_attempts a
    LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
    WHERE a.counted_outcome = 'success'
)
SELECT
    x.finding_key,
    p.finding_id,
    p.wave,
    p.service_name,
    p.severity,
    p.title,
    x.attempt,
    x.pr_url,
    x.is_merged,
    x.completed_at,
    s.last_seen_at,
    CASE
        WHEN s.last_seen_at IS NULL OR s.last_seen_at <= x.completed_at THEN 'not seen since'
        WHEN x.is_merged THEN 'reappeared'
        ELSE 'still_present'
    END AS presence
FROM fixed x
JOIN wave_plan p ON p.finding_key = x.finding_key AND p.wave_number = x.wave_number
LEFT JOIN seen s ON s.finding_key = x.finding_key;
