"""What a simulated session shows at each moment of its life."""

from typing import Any

import pytest
from jsonschema import Draft7Validator

from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.simulator.world.schedule import Schedule, Task
from remediation_assets.simulator.world.stages import Appearance, Life, appearance, milestones

NOON = 1_800_000_000.0
TASK = Task(finding_id="F-1", repository="https://git.example.com/acme/shop", file_path="src/a.py")
GOOD = Schedule(
    analyzing=6,
    fixing=10,
    testing=8,
    creating_pr=4,
    gets_stuck=False,
    parks_as="finished",
    pull_request=17,
    tests_added=2,
    confidence="high",
)
STUCK = GOOD.model_copy(update={"gets_stuck": True})
LINK = "https://git.example.com/acme/shop/pull/17"

REQUIRED = {
    "finding_id",
    "status",
    "progress_pct",
    "current_step",
    "files_modified",
    "tests_added",
    "confidence",
}
OPTIONAL = {"fix_approach", "tests_passed", "pr_url", "error_message"}


def at(seconds: float, schedule: Schedule = GOOD, scale: float = 1.0, **life: float) -> Appearance:
    lived = Life(created_at=NOON, **life)
    return appearance(milestones(schedule, TASK), lived, NOON + seconds, scale)


@pytest.mark.parametrize(
    ("seconds", "status", "detail", "stage", "link"),
    [
        (-5, "new", None, None, None),
        (0, "new", None, None, None),
        (1, "claimed", None, None, None),
        (2, "running", "working", "analyzing", None),
        (5.9, "running", "working", "analyzing", None),
        (6, "running", "working", "fixing", None),
        (15.9, "running", "working", "fixing", None),
        (16, "running", "working", "testing", None),
        (24, "running", "working", "creating_pr", None),
        (27.9, "running", "working", "creating_pr", None),
        (28, "running", "finished", "completed", LINK),
        (28 + 1799, "running", "finished", "completed", LINK),
        (28 + 1800, "suspended", "inactivity", "completed", LINK),
    ],
)
def test_a_good_session_goes_through_its_stages_and_parks_with_a_pull_request(
    seconds: float, status: str, detail: str | None, stage: str | None, link: str | None
) -> None:
    shown = at(seconds)
    assert (shown.status, shown.detail, shown.pull_request) == (status, detail, link)
    assert (shown.output or {}).get("status") == stage


@pytest.mark.parametrize(
    ("seconds", "status", "detail", "error"),
    [
        (23.9, "running", "working", False),
        (24, "running", "waiting_for_user", True),
        (1000, "running", "waiting_for_user", True),
        (24 + 1800, "suspended", "inactivity", True),
    ],
)
def test_a_stuck_session_waits_in_testing_and_says_why(seconds: float, status: str, detail: str, error: bool) -> None:
    shown = at(seconds, STUCK)
    assert shown.output is not None
    assert (shown.status, shown.detail, shown.pull_request) == (status, detail, None)
    assert (shown.output["status"], "error_message" in shown.output) == ("testing", error)
    assert ("a person has to look at it" in shown.messages[-1][1]) is error


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_the_time_scale_speeds_the_stages_but_the_times_are_of_the_wall_clock(scale: float) -> None:
    shown = at(16 / scale + 1e-6, scale=scale)
    assert shown.output is not None
    assert shown.output["status"] == "testing"
    assert shown.updated_at == pytest.approx(NOON + 16 / scale)
    assert [moment for moment, _ in shown.messages] == pytest.approx([NOON + s / scale for s in (2, 6, 16)])


@pytest.mark.parametrize("schedule", [GOOD, STUCK])
def test_structured_output_keeps_to_the_schema_at_every_milestone(schedule: Schedule) -> None:
    types: dict[str, Any] = {
        "finding_id": str,
        "status": str,
        "progress_pct": int,
        "current_step": str,
        "files_modified": list,
        "tests_added": int,
        "confidence": str,
        "fix_approach": str,
        "tests_passed": bool,
        "pr_url": str,
        "error_message": str,
    }
    outputs = [m.output for m in milestones(schedule, TASK) if m.output is not None]
    for output in outputs:
        assert set(output) >= REQUIRED
        assert set(output) <= REQUIRED | OPTIONAL
        assert all(type(value) is types[name] for name, value in output.items())
    assert [output["progress_pct"] for output in outputs] == sorted(o["progress_pct"] for o in outputs)


def test_the_last_output_of_a_good_session_is_whole() -> None:
    assert at(28).output == {
        "finding_id": "F-1",
        "status": "completed",
        "progress_pct": 100,
        "current_step": "Done",
        "fix_approach": "Replace the vulnerable code in src/a.py and cover it with a test",
        "files_modified": ["src/a.py"],
        "tests_passed": True,
        "tests_added": 2,
        "pr_url": LINK,
        "confidence": "high",
    }


def test_a_terminated_session_stays_as_it_was() -> None:
    shown = at(5000, ended_at=NOON + 10)
    assert (shown.status, shown.detail, shown.pull_request) == ("exit", None, None)
    assert shown.output is not None
    assert (shown.output["status"], shown.updated_at) == ("fixing", NOON + 10)
    assert shown.acus_consumed == at(10).acus_consumed


def test_an_archived_session_sleeps() -> None:
    shown = at(5000, asleep_since=NOON + 30)
    assert (shown.status, shown.detail, shown.pull_request) == ("suspended", "user_request", LINK)


@pytest.mark.parametrize(
    ("seconds", "status", "detail"),
    [
        (2000, "resuming", None),
        (2002, "running", "waiting_for_user"),
        (2000 + 1799, "running", "waiting_for_user"),
        (2000 + 1800, "suspended", "inactivity"),
    ],
)
def test_a_woken_session_resumes_and_falls_asleep_again(seconds: float, status: str, detail: str | None) -> None:
    shown = at(seconds, STUCK, woken_at=NOON + 2000, last_message_at=NOON + 2000)
    assert (shown.status, shown.detail) == (status, detail)


def test_consumption_grows_while_the_session_works_and_then_stops() -> None:
    consumed = [at(seconds).acus_consumed for seconds in (0, 10, 20, 28, 100)]
    assert consumed == sorted(consumed)
    assert consumed[0] == 0
    assert 1 < consumed[3] == consumed[4] < 5


@pytest.mark.parametrize("gets_stuck", [False, True])
@pytest.mark.parametrize("scenario", ["", "error", "unknown_words", "pr_first"])
def test_it_reports_at_every_stage_what_sessions_are_asked_for(gets_stuck: bool, scenario: str) -> None:
    schedule = GOOD.model_copy(update={"gets_stuck": gets_stuck, "scenario": scenario or None})
    shown = [milestone.output for milestone in milestones(schedule, TASK) if milestone.output]
    for output in shown:
        Draft7Validator(REMEDIATION_OUTPUT_SCHEMA).validate(output)
    stages = {output["status"] for output in shown}
    assert stages >= {"analyzing", "fixing", "testing"}
    assert ("completed" in stages) == (not gets_stuck and scenario != "error")
