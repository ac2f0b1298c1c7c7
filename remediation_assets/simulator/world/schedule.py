"""What becomes of a simulated session, decided once, when it is created.

All chance is a hash of the world's seed and the session's attempt tag, so it does not matter in which order,
by whom or when requests are sent.
"""

import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from .chance import chances
from .faults import Faults

STUCK_SHARE = 0.15
# Shortest and longest duration of a stage in simulated seconds. The order is that of the draws, and fixed.
_BETWEEN = {"analyzing": (5, 10), "fixing": (10, 20), "testing": (8, 15), "creating_pr": (3, 8)}


class Schedule(BaseModel):
    """How long each stage takes, in simulated seconds, and how the session ends."""

    model_config = ConfigDict(frozen=True)

    analyzing: float
    fixing: float
    testing: float
    creating_pr: float
    gets_stuck: bool
    parks_as: str
    pull_request: int
    tests_added: int
    confidence: str
    scenario: str | None = None


class Task(BaseModel):
    """What a session is asked to fix, as far as its create request describes it."""

    model_config = ConfigDict(frozen=True)

    finding_id: str
    repository: str
    file_path: str


def schedule_for(seed: int, subject: str, faults: Faults | None = None) -> Schedule:
    """Draw a schedule: the same for the same seed, subject and faults, always and everywhere."""
    chance = chances(f"{seed}:{subject}")
    stages = {name: low + (high - low) * next(chance) for name, (low, high) in _BETWEEN.items()}
    return Schedule(
        **stages,
        gets_stuck=next(chance) < STUCK_SHARE,
        # Both were seen at the real Devin: a session that is done does not end by itself, it parks.
        parks_as="waiting_for_user" if next(chance) < 0.5 else "finished",
        pull_request=1 + int(next(chance) * 999_999),
        tests_added=int(next(chance) * 4),
        confidence=("high", "high", "medium", "low")[int(next(chance) * 4)],
        # Drawn last, so that faults leave the rest of the schedule as it is without them.
        scenario=faults.scenario(next(chance)) if faults else None,
    )


def subject_of(tags: Sequence[str], prompt: str) -> str:
    """Return what a session's chance depends on: its attempt tag, or the prompt if it has none."""
    return next((tag for tag in tags if tag.startswith("attempt-")), prompt)


def task_of(prompt: str, repos: Sequence[str]) -> Task:
    """Read the finding from the JSON in a prompt; without a repository there, take the first of `repos`."""
    requested = repos[0] if repos else "simulated/repository"
    fallback = requested if "://" in requested else f"https://github.com/{requested}"
    in_prompt = _field(prompt, "repo_url")
    repository = in_prompt if in_prompt.startswith("https://") else fallback
    return Task(
        finding_id=_field(prompt, "finding_id"),
        repository=repository.rstrip("/").removesuffix(".git"),
        file_path=_field(prompt, "file_path"),
    )


def _field(prompt: str, name: str) -> str:
    # A pattern, not a JSON parser: the data is a block somewhere in a prompt whose wording is not known here.
    found = re.search(rf'"{name}"\s*:\s*("(?:[^"\\]|\\.)*")', prompt)
    try:
        # A lone surrogate, possible through a \u escape, cannot be stored.
        return str(json.loads(found[1])).encode("utf-8", "replace").decode() if found else ""
    except ValueError:
        return ""
