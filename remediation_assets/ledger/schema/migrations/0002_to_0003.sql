-- The ledger now knows which scan was the newest when waves were planned. In an older ledger it is taken to be the
-- newest of all; otherwise the upgrade alone would make findings look changed, and waves would be planned again.
UPDATE state
SET planned_scan_id = (SELECT max(scan_id) FROM scans)
WHERE EXISTS (FROM waves);
