"""The schema of the structured output: that the API accepts it, and which outputs match it."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA, STAGES, is_valid_output, stage_of

GOOD: dict[str, Any] = {
    "finding_id": "F-1",
    "status": "completed",
    "progress_pct": 100,
    "current_step": "Done",
    "files_modified": ["src/app.ts"],
    "tests_added": 1,
    "confidence": "high",
}


def test_the_schema_is_valid_draft_7_and_small_enough() -> None:
    Draft7Validator.check_schema(REMEDIATION_OUTPUT_SCHEMA)
    assert REMEDIATION_OUTPUT_SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = json.dumps(REMEDIATION_OUTPUT_SCHEMA)
    assert len(text) < 64 * 1024
    assert "$ref" not in text


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_a_status(stage: str) -> None:
    assert is_valid_output(GOOD | {"status": stage})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"pr_url": "https://git.example.com/acme/shop/pull/1", "tests_passed": True, "fix_approach": "Escape it"},
        {"error_message": "No access"},
        {"pr_url": None, "error_message": None, "fix_approach": None, "tests_passed": None},
        {"files_modified": [], "tests_added": 0, "progress_pct": 0},
        {"a_field_of_devins_own": 1},
    ],
)
def test_a_matching_output_is_accepted(more: dict[str, Any]) -> None:
    assert is_valid_output(GOOD | more)


@pytest.mark.parametrize(
    "output",
    [
        None,
        "completed",
        [],
        {},
        *({name: value for name, value in GOOD.items() if name != missing} for missing in GOOD),
        GOOD | {"status": "done"},
        GOOD | {"status": "COMPLETED"},
        GOOD | {"progress_pct": 101},
        GOOD | {"progress_pct": -1},
        GOOD | {"progress_pct": "100"},
        GOOD | {"files_modified": "src/app.ts"},
        GOOD | {"files_modified": [1]},
        GOOD | {"tests_added": -1},
        GOOD | {"confidence": "very high"},
        GOOD | {"tests_passed": "yes"},
        GOOD | {"pr_url": 7},
        GOOD | {"confidence": None},
    ],
)
def test_another_output_is_rejected(output: object) -> None:
    assert not is_valid_output(output)


@pytest.mark.parametrize(
    ("output", "stage"),
    [
        (GOOD, "completed"),
        (GOOD | {"status": "failed", "progress_pct": "none"}, "failed"),
        ({"status": "fixing"}, "fixing"),
        ({"status": "done"}, None),
        ({"status": ["failed"]}, None),
        ({}, None),
        (None, None),
        ("failed", None),
        (["failed"], None),
    ],
)
def test_the_stage_is_read_even_if_the_rest_does_not_match(output: object, stage: str | None) -> None:
    assert stage_of(output) == stage
