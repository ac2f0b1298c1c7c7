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
        "fix_approach": {"type": ["string", "null"]},
        "files_modified": {"type": "array", "items": {"type": "string"}},
        "tests_passed": {"type": ["boolean", "null"]},
        "tests_added": {"type": "integer", "minimum": 0},
        "pr_url": {"type": ["string", "null"]},
        "error_message": {"type": ["string", "null"]},
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

# Null is what agents write for what they do not know yet; refusing it would lose all the rest of a report.
_validator = Draft7Validator(REMEDIATION_OUTPUT_SCHEMA)


def is_valid_output(output: object) -> bool:
    """Say whether a session's structured output is what we asked for."""
    return bool(_validator.is_valid(output))


def stage_of(output: object) -> str | None:
    """Give the stage that a session reports, also where the rest of its report is not what we asked for.

    A report of failure with a mistake in another field is a report of failure all the same.
    """
    stage = output.get("status") if isinstance(output, dict) else None
    return stage if stage in STAGES else None
