"""Waves that run one after the other with nobody touching anything, and where the time between them goes."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import duckdb

from remediation_assets.sessions.model import attempt_tag
from remediation_assets.simulator.world.schedule import schedule_for
from tests.end_to_end.dagster_dev import DagsterDev, dagster_dev, wait_until
from tests.support.processes import CHECKOUT

ALL_SUCCEED_AT_ONCE = 100
"""A seed with which no first attempt at a finding of the sample gets stuck."""

WAVES = ("wave-0001", "wave-0002", "wave-0003", "wave-0004")


@dataclass(frozen=True)
class Handover:
    """From the first session of a wave to the first of the next, in seconds; the parts are one after the other.

    `longest` is the life of the wave's longest session, which nothing can shorten.
    """

    longest: float
    noticed: float
    collected: float
    followed: float

    @property
    def beyond(self) -> float:
        return self.noticed + self.collected + self.followed


def run_unattended(home: Path, env: Mapping[str, str], *, patience_seconds: float) -> None:
    """Plan the sample, dispatch its first wave and turn next_wave_sensor on; wait until all waves are collected."""
    shutil.copy(CHECKOUT / "dagster_home" / "dagster.yaml", home)
    with dagster_dev(home, env) as dev:
        planned = dev.launch("plan_waves")
        wait_until(lambda: dev.run(planned).is_finished, seconds=60)
        dev.turn_on("next_wave_sensor")
        dev.launch("dispatch_wave", WAVES[0])
        wait_until(lambda: all(_collected(dev, wave) for wave in WAVES), seconds=patience_seconds)


def handovers(data: Path, *, seed: int, time_scale: float) -> list[Handover]:
    """Return for each wave but the last where the time went until the next one's first session."""
    with duckdb.connect(str(data / "remediation.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            """
            SELECT r.wave_number, min(a.dispatched_at), any_value(r.settled_at), any_value(r.collected_at),
                list(a.finding_key), list(a.dispatched_at)
            FROM rounds r JOIN attempts a USING (wave_number, round) GROUP BY r.wave_number ORDER BY r.wave_number
            """
        ).fetchall()
    found = []
    for (_, _, settled, collected, keys, dispatched), (_, following, *_) in pairwise(rows):
        ends = [at.timestamp() + _life(seed, key) / time_scale for key, at in zip(keys, dispatched, strict=True)]
        first: datetime = min(dispatched)
        found.append(
            Handover(
                longest=max(ends) - first.timestamp(),
                noticed=settled.timestamp() - max(ends),
                collected=(collected - settled).total_seconds(),
                followed=(following - collected).total_seconds(),
            )
        )
    return found


def _life(seed: int, finding_key: str) -> float:
    course = schedule_for(seed, attempt_tag(finding_key, 1))
    return course.analyzing + course.fixing + course.testing + course.creating_pr


def _collected(dev: DagsterDev, wave: str) -> bool:
    return any(run.is_success for run in dev.runs("collect_wave", wave))
