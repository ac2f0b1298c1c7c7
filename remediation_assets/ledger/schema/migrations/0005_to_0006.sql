-- A verdict has three words, and says whether the next wave may start: a wave of which nothing counts is not judged, and
-- was never passed over. Waves may be of chosen findings, sessions report their stages, and a file keeps the options
-- that it was read with; an older ledger knows nothing of these. What playbook serves a category was fixed until now.
UPDATE gate_results
SET verdict = CASE WHEN rate IS NULL THEN 'not_judged' WHEN passed THEN 'passed' ELSE 'failed' END, opens = passed;
INSERT INTO category_playbooks (category, playbook)
VALUES
    ('dependency_vulnerability', 'dependency_vulnerability'),
    ('sql_injection', 'sql_injection'),
    ('hardcoded_secret', 'hardcoded_secrets'),
    ('pii_logging', 'pii_logging'),
    ('missing_encryption', 'missing_encryption'),
    ('access_logging', 'access_logging'),
    ('xss', 'xss'),
    ('path_traversal', 'path_traversal'),
    ('other', 'general');
