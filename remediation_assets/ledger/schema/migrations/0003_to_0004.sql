-- Scans now record the format of their file. Until then only CSV could be read.
UPDATE scans
SET format = 'CSV';
