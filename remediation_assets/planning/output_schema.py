"""The structured output of a session: the schema we send, and what we read from it."""

from typing import Any

from jsonschema import Draft7Validator

# In the order of a session's life; "failed" can follow any of the others.
STAGES = ("analyzing", "fixing", "testing", "creating_pr", "completed", "failed")

STAGES_OF_WORK = STAGES[:4]
"""The stages in which a session works; the other two say how it ended."""

REMEDIATION_OUTPUT_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Remediation progress",
    "type": "object",
    "properties": {
        "finding_id": {"type": "string"},
        "status": {"type": "string", "enum": list(STAGES)},
        "progress_pct": {"type": "integer", "minimum": 0, "maximum": 100},
        "current_step": {"type": "string"},
        # Agents write null for what they do not know yet; refusing it would lose the rest of the report.
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

_validator = Draft7Validator(REMEDIATION_OUTPUT_SCHEMA)


def is_valid_output(output: object) -> bool:
    """Whether a session's structured output fits the schema."""
    return bool(_validator.is_valid(output))


def stage_of(output: object) -> str | None:
    """Return the stage that a session reports, even if the rest of its output does not fit the schema.

    A report of failure with a mistake in another field is still a report of failure.
    """
    stage = output.get("status") if isinstance(output, dict) else None
    return stage if stage in STAGES else None
