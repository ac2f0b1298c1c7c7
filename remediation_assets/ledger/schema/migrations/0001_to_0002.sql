-- What Devin showed of an attempt moves from `attempts` to a table of its own: with rows that wide, each small change
-- of an attempt cost as much as writing the payloads of all attempts. An attempt that was never polled has nothing to
-- move.
INSERT INTO observations BY NAME
SELECT finding_key, attempt, observed_at, pull_requests, structured_output, output_valid, raw
FROM old.attempts
WHERE raw IS NOT NULL;
