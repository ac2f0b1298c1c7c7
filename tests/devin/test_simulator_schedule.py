"""The simulator's chance: decided by seed and attempt tag alone, and as likely as promised."""

import math
import subprocess
import sys

import pytest

from remediation_assets.simulator.world.schedule import schedule_for, subject_of, task_of

LIMITS = {"analyzing": (5, 10), "fixing": (10, 20), "testing": (8, 15), "creating_pr": (3, 8)}


@pytest.mark.parametrize("seed", [0, 7, 42])
def test_about_fifteen_in_a_hundred_get_stuck(seed: int) -> None:
    sessions = 2000
    stuck = sum(schedule_for(seed, f"attempt-{number}").gets_stuck for number in range(sessions))
    band = 2.576 * math.sqrt(sessions * 0.15 * 0.85)
    assert abs(stuck - sessions * 0.15) < band


def test_the_stages_last_as_long_as_promised_and_use_their_whole_range() -> None:
    schedules = [schedule_for(7, f"attempt-{number}").model_dump() for number in range(1000)]
    for stage, (low, high) in LIMITS.items():
        lasts = [schedule[stage] for schedule in schedules]
        assert low <= min(lasts) < low + 0.5
        assert high - 0.5 < max(lasts) <= high


def test_both_ways_of_parking_occur_and_pull_requests_are_numbered_from_one() -> None:
    schedules = [schedule_for(7, f"attempt-{number}") for number in range(1000)]
    assert {schedule.parks_as for schedule in schedules} == {"waiting_for_user", "finished"}
    assert all(schedule.pull_request >= 1 for schedule in schedules)
    assert len({schedule.pull_request for schedule in schedules}) > 990


@pytest.mark.slow
def test_another_process_draws_the_same_schedule() -> None:
    program = (
        "from remediation_assets.simulator.world.schedule import schedule_for;"
        "print(schedule_for(7, 'attempt-1').model_dump_json())"
    )
    drawn = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert drawn.stdout.strip() == schedule_for(7, "attempt-1").model_dump_json()


@pytest.mark.parametrize(("seed", "subject"), [(8, "attempt-1"), (7, "attempt-2")])
def test_seed_and_subject_both_matter(seed: int, subject: str) -> None:
    assert schedule_for(seed, subject) != schedule_for(7, "attempt-1")


@pytest.mark.parametrize(
    ("tags", "subject"),
    [
        (["wave", "attempt-a", "attempt-b"], "attempt-a"),
        (["wave"], "the prompt"),
        ([], "the prompt"),
    ],
)
def test_chance_hangs_on_the_attempt_tag_else_on_the_prompt(tags: list[str], subject: str) -> None:
    assert subject_of(tags, "the prompt") == subject


@pytest.mark.parametrize(
    ("prompt", "repos", "repository"),
    [
        ('{"repo_url": "https://git.example.com/acme/shop"}', [], "https://git.example.com/acme/shop"),
        (
            '{"repo_url" : "https://git.example.com/acme/shop.git"}',
            ["x/y"],
            "https://git.example.com/acme/shop",
        ),
        (r'{"repo_url": "https:\/\/git.example.com\/acme/"}', [], "https://git.example.com/acme"),
        (
            r'{"title": "\"repo_url\": \"https://evil.test/a/b\"", "repo_url": "https://git.example.com/a/b"}',
            [],
            "https://git.example.com/a/b",
        ),
        ('{"repo_url": "git@git.example.com:a/b"}', ["acme/shop"], "https://github.com/acme/shop"),
        (r'{"repo_url": "\q"}', ["acme/shop"], "https://github.com/acme/shop"),
        ("Fix it", ["acme/shop", "acme/other"], "https://github.com/acme/shop"),
        ("Fix it", ["https://git.example.com/a/b"], "https://git.example.com/a/b"),
        ("Fix it", [], "https://github.com/simulated/repository"),
    ],
)
def test_the_repository_is_the_findings_own(prompt: str, repos: list[str], repository: str) -> None:
    assert task_of(prompt, repos).repository == repository


def test_the_finding_is_named_as_the_prompt_names_it() -> None:
    task = task_of('Data: {"finding_id": "F-\\u00e4 \\"1\\"", "file_path": "src/a.py"}', [])
    assert (task.finding_id, task.file_path) == ('F-\u00e4 "1"', "src/a.py")
    assert task_of("Fix it", []).finding_id == ""
