"""What makes two rows the same finding: the SQL expression of `finding_key`.

The key covers repository, service, category and file, and then the tool's fingerprint if there is one. Without one it
covers line, dependency and fixed version, the rule for category `other`, and the title if line and dependency are both
empty.
"""

from remediation_assets.models import FindingCategory

# A change here gives every finding another key: what is known of the old ones is then no longer found.
_PLACE = "repo_url, service_name, category, file_path"

FINDING_KEY_SQL = f"""
left(sha256(CAST(CASE
    WHEN fingerprint IS NOT NULL THEN json_array({_PLACE}, 'fingerprint', fingerprint)
    ELSE json_array({_PLACE}, CAST(line_number AS BIGINT), dependency_name, fixed_version,
        CASE WHEN category = '{FindingCategory.OTHER}' THEN rule_id END,
        CASE WHEN line_number IS NULL AND dependency_name IS NULL THEN title END)
END AS VARCHAR)), 32)
"""
