"""Findings files of any size that look like a scanner's export: long texts, some bad rows, some duplicates."""

from pathlib import Path

import duckdb

DIRTY_SHARE = 0.01
DUPLICATE_SHARE = 0.05

_TITLES = [
    "CVE-{}: deeply nested input",
    "SQL put together from parameter {}",
    "Card number in log line {}",
    "Hardcoded credential {}",
    "Unencoded value, sink {}",
    "No audit entry for record {}",
]
_DESCRIPTIONS = [
    "The value reaches the sink without a check.",
    "Exhausts memory when the feature is on.\nDirect dependency.",
    'The whole object, including "number", is logged.',
    "Found by pattern match; data flow through 3 functions.",
]


def write(path: Path, rows: int) -> None:
    """Write a CSV file of this many rows, the same each time, with about 240 bytes a row."""
    connection = duckdb.connect()
    connection.execute(
        """
        CREATE TEMP TABLE texts AS SELECT $titles AS titles, $descriptions AS descriptions,
            ['dependency_vulnerability', 'sql_injection', 'hardcoded_secret', 'pii_logging', 'missing_encryption',
             'access_logging', 'xss', 'path_traversal', 'other'] AS categories,
            ['critical', 'high', 'medium', 'low'] AS severities,
            ['payment-service', 'user-service', 'catalog-service', 'search', 'billing', 'gateway'] AS services
        """,
        {"titles": _TITLES, "descriptions": _DESCRIPTIONS},
    )
    every, dirty = int(1 / DUPLICATE_SHARE), int(1 / DIRTY_SHARE)
    connection.execute(
        f"""
        COPY (
            WITH numbered AS (
                -- Every so many rows, one repeats the row before it.
                SELECT i, CASE WHEN i % {every} = {every - 1} THEN i - 1 ELSE i END AS n FROM range({rows}) r(i)),
            drawn AS (
                SELECT i, n, (hash(n) % 1000000007)::BIGINT AS h, (hash(n * 31 + 7) % 1000000007)::BIGINT AS g, texts.*
                FROM numbered, texts)
            SELECT
                'F-' || n AS finding_id,
                ['Semgrep', 'Trivy', 'Snyk'][h % 3 + 1] AS scanner,
                categories[h % 9 + 1] AS category,
                CASE WHEN i % {dirty} = 50 THEN 'urgent' ELSE severities[g % 4 + 1] END AS severity,
                replace(titles[h % 6 + 1], '{{}}', CAST(g % 100000 AS VARCHAR)) AS title,
                descriptions[g % 4 + 1] AS description,
                services[h % 6 + 1] AS service_name,
                'https://git.example.com/acme/' || services[h % 6 + 1] || '-' || (g % 40) AS repo_url,
                'src/main/java/com/acme/m' || (h % 500) || '/H' || (g % 900) || '.java' AS file_path,
                n % 1500 + 1 AS line_number,
                'CWE-' || (h % 900) AS cwe_id,
                CASE WHEN h % 9 = 0 THEN 'com.acme:lib-' || (g % 3000) END AS dependency_name,
                CASE WHEN h % 9 = 0 THEN '2.' || (g % 20) || '.' || (h % 30) END AS current_version,
                CASE WHEN h % 9 = 0 THEN '2.' || (g % 20 + 1) || '.0' END AS fixed_version,
                ['java', 'python', 'typescript'][g % 3 + 1] AS language,
                'acme.' || (h % 400) AS rule_id,
                -- A column of the scanner that the pipeline does not read.
                'i-' || (h % 1000) AS scanner_note
            FROM drawn ORDER BY i
        ) TO '{str(path).replace("'", "''")}' (FORMAT csv, HEADER)
        """
    )
    connection.close()
