"""What a session reports of itself: the structured output that we ask for and check."""

from typing import Any

from jsonschema import Draft7Validator

STAGES = ("analyzing", "fixing", "testing", "creating_pr", "completed", "failed")

REMEDIATION_OUTPUT_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Remediation progress",
    "type": "object",
    "properties": {
        "finding_id": {"type": "string"},
        "status": {"type": "string", "enum": list(STAGES)},
        "progress_pct": {"type": "integer", "minimum": 0, "maximum": 100},
        "current_step": {"type": "string"},
        "fix_approach": {"type": "string"},
        "files_modified": {"type": "array", "items": {"type": "string"}},
        "tests_passed": {"type": "boolean"},
        "tests_added": {"type": "integer", "minimum": 0},
        "pr_url": {"type": "string"},
        "error_message": {"type": "string"},
        "confidence": {"type": "string", "enum": ["high", "medium", "low"]},
    },
    "required": [
        "finding_id",
        "status",
        "progress_pct",
        "current_step",
        "files_modified",
        "tests_added",
        "confidence",
    ],
}

_validator = Draft7Validator(REMEDIATION_OUTPUT_SCHEMA)


def is_valid_output(output: object) -> bool:
    """Say whether a session's structured output is what we asked for."""
    return bool(_validator.is_valid(output))
