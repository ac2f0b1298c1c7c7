"""The course of a simulated session: the milestones of its schedule, and what it shows at a moment.

Pure functions of a schedule, of what was done to the session, and of the time. Nothing here is stored, so a
session advances without a running process.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from .schedule import Schedule, Task

# Simulated seconds. The first two lie within the shortest analysis.
CLAIMED_AT, RUNNING_AT = 1.0, 2.0
RESUMING = 2.0
INACTIVITY = 1800.0  # after this, a session that waits is suspended
ACUS_PER_SECOND = 0.06  # so that a session of 26 to 53 seconds costs 1.6 to 3.2, as a small real one does


class Milestone(BaseModel):
    """What a session shows from `at` simulated seconds on, until its next milestone."""

    model_config = ConfigDict(frozen=True)

    at: float
    status: str
    detail: str | None = None
    output: dict[str, Any] | None = None
    pull_request: str | None = None
    says: str | None = None


class Life(BaseModel):
    """What was done to a session, in seconds of the world's clock; the fields are named like the table's columns.

    The session's course counts from `started_at`, or else from `created_at`; a suspension for quota moves that later.
    `halted_at` is when quota suspended it, `asleep_since` when it was archived, `woken_at` when a message
    resumed it.
    """

    model_config = ConfigDict(frozen=True)

    created_at: float
    started_at: float | None = None
    halted_at: float | None = None
    ended_at: float | None = None
    asleep_since: float | None = None
    woken_at: float | None = None
    last_message_at: float | None = None

    @property
    def began(self) -> float:
        """Return the time from which the session's course counts."""
        return self.created_at if self.started_at is None else self.started_at


class Appearance(BaseModel):
    """What a session shows at a moment; `messages` are those of Devin, each with its time."""

    model_config = ConfigDict(frozen=True)

    status: str
    detail: str | None
    output: dict[str, Any] | None
    pull_request: str | None
    acus_consumed: float
    updated_at: float
    is_at_work: bool
    messages: tuple[tuple[float, str], ...]


def milestones(schedule: Schedule, task: Task) -> tuple[Milestone, ...]:
    """Return the milestones from creation to where the session parks, changed by its scenario."""
    course = _course(schedule, task)
    if schedule.scenario == "error":
        broken = next(i for i, milestone in enumerate(course) if _stage_of(milestone) == "testing")
        return (*course[:broken], course[broken].model_copy(update={"status": "error", "detail": None}))
    if schedule.scenario is None:
        return course
    link = _link(schedule, task)
    return tuple(milestone.model_copy(update=_changed(milestone, schedule.scenario, link)) for milestone in course)


def vanishes_after(schedule: Schedule) -> float | None:
    """Return the simulated seconds after which a session vanishes, None if it never does."""
    return schedule.analyzing if schedule.scenario == "gone" else None


def _changed(milestone: Milestone, scenario: str, link: str) -> dict[str, Any]:
    """Return the fields of a milestone that a scenario changes."""
    match scenario:
        case "unknown_words" if milestone.detail == "working":
            return {"status": "levitating", "detail": "above_the_code"}
        case "pr_first" if _stage_of(milestone) in ("testing", "creating_pr"):
            return {"pull_request": link}
        case "no_output":
            return {"output": None}
        case "invalid_output" if milestone.output:
            return {"output": {"note": milestone.output["current_step"], "progress_pct": "much"}}
        case _:
            return {}


def _link(schedule: Schedule, task: Task) -> str:
    return f"{task.repository}/pull/{schedule.pull_request}"


def _stage_of(milestone: Milestone) -> str | None:
    return milestone.output["status"] if milestone.output else None


def _course(schedule: Schedule, task: Task) -> tuple[Milestone, ...]:
    path = task.file_path or "the affected file"
    before, fixed = _reports(schedule, task, path)
    testing_at = schedule.analyzing + schedule.fixing
    testing = _working(testing_at, "testing", 65, "Running the test suite", fixed)
    end = _stuck_end(schedule, testing) if schedule.gets_stuck else _good_end(schedule, task, fixed)
    return (
        Milestone(at=0, status="new"),
        Milestone(at=CLAIMED_AT, status="claimed"),
        _working(RUNNING_AT, "analyzing", 10, f"Reading {path}", before),
        _working(schedule.analyzing, "fixing", 35, f"Changing {path}", before),
        testing,
        *end,
    )


def _reports(schedule: Schedule, task: Task, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of the structured output other than the stage, before the fix and after it."""
    before: dict[str, Any] = {
        "finding_id": task.finding_id,
        "files_modified": [],
        "tests_added": 0,
        "confidence": schedule.confidence,
    }
    return before, before | {
        "fix_approach": f"Replace the vulnerable code in {path} and cover it with a test",
        "files_modified": [task.file_path] if task.file_path else [],
        "tests_added": schedule.tests_added,
    }


def _working(at: float, stage: str, percent: int, step: str, report: dict[str, Any]) -> Milestone:
    output = {"status": stage, "progress_pct": percent, "current_step": step}
    return Milestone(at=at, status="running", detail="working", output=report | output, says=f"{step}.")


def _stuck_end(schedule: Schedule, testing: Milestone) -> tuple[Milestone, ...]:
    why = "The test suite fails in a part that the change does not touch; a person has to look at it"
    output = (testing.output or {}) | {"tests_passed": False, "error_message": why}
    tested_at = testing.at + schedule.testing
    return (Milestone(at=tested_at, status="running", detail="waiting_for_user", output=output, says=f"{why}."),)


def _good_end(schedule: Schedule, task: Task, fixed: dict[str, Any]) -> tuple[Milestone, ...]:
    link = _link(schedule, task)
    passed = fixed | {"tests_passed": True}
    done = passed | {"status": "completed", "progress_pct": 100, "current_step": "Done", "pr_url": link}
    tested_at = schedule.analyzing + schedule.fixing + schedule.testing
    parked = Milestone(
        at=tested_at + schedule.creating_pr,
        status="running",
        detail=schedule.parks_as,
        output=done,
        pull_request=link,
        says=f"I have opened {link}; it is ready for review.",
    )
    return _working(tested_at, "creating_pr", 90, "Opening the pull request", passed), parked


def appearance(course: tuple[Milestone, ...], life: Life, now: float, time_scale: float) -> Appearance:
    """Return what a session shows now.

    A terminated or archived session shows the progress it had at that moment. Being archived does not delay the
    course: once resumed, the session is as far as if it had never been archived.
    """
    stopped = [moment for moment in (life.ended_at, life.asleep_since, life.halted_at) if moment is not None]
    elapsed = max(min([now, *stopped]) - life.began, 0.0) * time_scale
    reached = [milestone for milestone in course if milestone.at <= elapsed]
    shown = reached[-1]

    def time_of(milestone: Milestone) -> float:
        return life.began + milestone.at / time_scale

    status, detail, since = shown.status, shown.detail, time_of(shown)
    quiet_until = max(since, life.last_message_at or 0.0) + INACTIVITY / time_scale
    # What was done last does not decide: an end stands above a suspension, and that above being resumed.
    if life.ended_at is not None:
        status, detail, since = "exit", None, life.ended_at
    elif life.asleep_since is not None:
        status, detail, since = "suspended", "user_request", life.asleep_since
    elif life.halted_at is not None:
        status, detail, since = "suspended", "out_of_quota", life.halted_at
    elif life.woken_at is not None and now < life.woken_at + RESUMING / time_scale:
        status, detail, since = "resuming", None, life.woken_at
    elif shown is course[-1] and status != "error" and now >= quiet_until:
        status, detail, since = "suspended", "inactivity", quiet_until
    return Appearance(
        status=status,
        detail=detail,
        output=shown.output,
        pull_request=shown.pull_request,
        acus_consumed=round(min(elapsed, course[-1].at) * ACUS_PER_SECOND, 2),
        updated_at=max(since, life.last_message_at or 0.0),
        is_at_work=shown is not course[-1],
        messages=tuple((time_of(milestone), milestone.says) for milestone in reached if milestone.says),
    )
