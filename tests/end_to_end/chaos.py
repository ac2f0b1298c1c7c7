"""Chaos: one wave is carried over the HTTP simulator by processes that are killed or frozen, one after the other.

`python -m tests.end_to_end.chaos [KILLS]` is the long form, on both wires, with and without faults.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx

from remediation_assets.connect import open_ledger
from remediation_assets.sessions.model import attempt_tag, ledger_tag
from remediation_assets.settings import Settings
from tests.end_to_end.run_wave import POINTS
from tests.support import samples
from tests.support.processes import CHECKOUT, simulator

FINDINGS = 10
PATIENCE_SECONDS = 120.0
V3 = "/v3/organizations/org-simulator/sessions"
FAULTS = ("lost_answer=0.2", "late=0.1/1", "rate_limit_told=0.1/1", "rate_limit=0.1", "list_lag=0.3", "outage=0.3/4")
WITHOUT_QUOTA = {"v3": "quota_suspends=0", "v1": "quota=0"}
"""v1 has no word for a session that is suspended for quota; so there only creations are refused."""


@dataclass
class Tally:
    """What was done to the processes."""

    kills: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{what} {count}" for what, count in sorted(self.kills.items()))


@dataclass(frozen=True)
class Arena:
    """A data directory with a planned wave, and the simulator that its processes work on."""

    data: Path
    origin: str
    version: str

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data),
            "REMEDIATION_DATA_DIR": str(self.data),
            "DEVIN_API_BASE_URL": self.origin,
            "DEVIN_API_VERSION": self.version,
            "WAVE_SIZE": str(FINDINGS),
            "MAX_PARALLEL_SESSIONS": "4",
            "MIN_SUCCESS_RATE": "0.1",
            "POLL_INTERVAL_SECONDS": "0.05",
            "BLOCKED_CONFIRM_SECONDS": "0.5",
            "CREATE_SETTLE_SECONDS": "1.5",
            "HOLD_PROBE_MINUTES": "0.01",
            "PUBLISH_INTERVAL_SECONDS": "0",
        }

    @property
    def settings(self) -> Settings:
        values = {name.lower(): value for name, value in self.env.items() if name.lower() in Settings.model_fields}
        return Settings(_env_file=None, **values)  # type: ignore[arg-type]

    def start(self, *death: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.end_to_end.run_wave", "wave-0001", *death]
        return subprocess.Popen(command, cwd=CHECKOUT, env=self.env, stderr=subprocess.DEVNULL)

    def start_job(self) -> subprocess.Popen[bytes]:
        """Start the job that CI runs, under a Dagster home beside the data."""
        home = self.data / "dagster"
        home.mkdir(exist_ok=True)
        command = [str(Path(sys.executable).with_name("dagster")), "job", "execute"]
        command += ["-m", "remediation_assets.definitions", "-j", "remediate_wave"]
        command += ["--tags", '{"dagster/partition": "wave-0001"}']
        env = self.env | {"DAGSTER_HOME": str(home)}
        return subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def let_go_wrong(self, faults: Sequence[str]) -> None:
        """Set other faults from now on."""
        httpx.put(f"{self.origin}/simulator/faults", json={"faults": list(faults)}).raise_for_status()

    def plan(self) -> None:
        ledger, settings = open_ledger(self.settings), self.settings
        source = samples.write(self.data / "findings.csv", samples.rows(FINDINGS))
        samples.ingest_file(ledger, source)
        samples.rank(ledger, settings)
        samples.plan(ledger, settings)

    def outcomes(self) -> list[tuple[str, int, str, str | None]]:
        """Return how each attempt ended, once the round has settled."""
        with duckdb.connect(str(self.data / "ledger.duckdb"), read_only=True) as connection:
            return connection.execute(
                """
                SELECT p.finding_id, a.attempt, a.outcome, a.pr_url
                FROM attempts a JOIN wave_plan p USING (finding_key) ORDER BY ALL
                """
            ).fetchall()

    def had_no_quota(self) -> bool:
        """Whether dispatching was ever on hold for quota."""
        with open_ledger(self.settings).transaction() as tx:
            return bool(tx.execute("SELECT 1 FROM holds WHERE kind = 'quota' LIMIT 1").fetchall())

    def check(self) -> None:
        """Hold the invariant: sessions with our tag = attempts claimed and not refused, one each."""
        with duckdb.connect(str(self.data / "ledger.duckdb"), read_only=True) as connection:
            [(ledger_id,)] = connection.execute("SELECT ledger_id FROM stamp").fetchall()
            claimed = connection.execute(
                "SELECT finding_key, attempt, session_id FROM attempts WHERE claimed_at IS NOT NULL"
                " AND outcome IS DISTINCT FROM 'refused'"
            ).fetchall()
            extras = {row[0] for row in connection.execute("SELECT session_id FROM extra_sessions").fetchall()}
            [(unended,)] = connection.execute("SELECT count(*) FROM extra_sessions WHERE ended_at IS NULL").fetchall()
        params: dict[str, str | int] = {"tags": ledger_tag(ledger_id), "first": 200}
        with httpx.Client(base_url=self.origin, headers={"Authorization": "Bearer cog_chaos"}) as http:
            items = http.get(V3, params=params).json()["items"]
        ours = {item["session_id"]: item["tags"] for item in items}
        expected = {session_id: attempt_tag(key, attempt) for key, attempt, session_id in claimed}
        assert set(ours) - extras == set(expected), (len(ours), len(expected), len(extras))
        assert all(expected[session_id] in ours[session_id] for session_id in expected)
        assert unended == 0, "a second session was not ended"


@contextmanager
def arena(version: str, seed: int, faults: Sequence[str] = (), time_scale: float = 60.0) -> Iterator[Arena]:
    options = [part for fault in faults for part in ("--fault", fault)]
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        env = {"MOCK_SEED": str(seed), "MOCK_TIME_SCALE": str(time_scale)}
        with simulator(data, "--control", *options, **env) as served:
            yield Arena(data, served.origin, version)


def undisturbed(version: str, seed: int) -> list[tuple[str, int, str, str | None]]:
    """Return how the wave ends if nobody disturbs it."""
    with arena(version, seed) as calm:
        calm.plan()
        finish(calm)
        calm.check()
        return calm.outcomes()


def finish(there: Arena) -> None:
    process = there.start()
    try:
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    finally:
        process.kill()


def plan_at_the_second_try(there: Arena, tally: Tally) -> None:
    """Kill a process while it makes the ledger, then plan."""
    killed = there.start("while the ledger is made", "1")
    assert killed.wait(timeout=30) == -signal.SIGKILL
    tally.kills["while the ledger is made"] += 1
    there.plan()


def disturb(
    there: Arena, kills: int, chance: random.Random, tally: Tally, faults: Sequence[str] = (), quota: bool = True
) -> None:
    """Kill or freeze one process after the other: at named points, and at random moments.

    Without `quota` the account has none from the second quarter of them to the third.
    """
    for number in range(kills):
        if not quota and number == kills // 4:
            there.let_go_wrong([*faults, WITHOUT_QUOTA[there.version]])
        if not quota and number == kills * 3 // 4:
            assert there.had_no_quota(), "nobody noticed that there was no quota"
            there.let_go_wrong(faults)
        if number % 2 == 0:
            point = POINTS[number // 2 % len(POINTS)]
            process = there.start(point, str(chance.randint(1, 3)))
            ended = end_within(process, 3.0)
            tally.kills[point if ended == -signal.SIGKILL else f"not come to: {point}"] += 1
        elif number % 10 == 1:
            freeze(there, chance, tally)
        elif number % 10 == 5 and not faults:
            # It needs some seconds before it comes to its first step.
            process = there.start_job()
            time.sleep(chance.uniform(4.0, 9.0))
            process.kill()
            process.wait()
            tally.kills["the Dagster job at a random moment"] += 1
        else:
            process = there.start()
            time.sleep(chance.uniform(0.2, 1.6))
            process.kill()
            process.wait()
            tally.kills["at a random moment"] += 1


def end_within(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a process to end by itself; None where it had to be killed, for it did not come to its point."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def freeze(there: Arena, chance: random.Random, tally: Tally) -> None:
    """Stop a process for longer than every timeout while another tries to carry on, then let it go on."""
    frozen, other = there.start(), None
    time.sleep(chance.uniform(0.3, 1.2))
    frozen.send_signal(signal.SIGSTOP)
    try:
        other = there.start()
        time.sleep(2.5)
    finally:
        frozen.send_signal(signal.SIGCONT)
        time.sleep(chance.uniform(0.1, 0.5))
        for process in (frozen, other):
            if process:
                process.kill()
                process.wait()
    tally.kills["frozen and continued"] += 1


def main(kills: int) -> None:
    tally = Tally()
    left = kills
    seed = 0
    while left > 0:
        seed += 1
        for version in ("v3", "v1"):
            for faults, quota in (((), True), (FAULTS, True), (FAULTS[:-1], False)):
                expected = undisturbed(version, seed)
                # Slow enough that the wave is under way until the last disturbance.
                with arena(version, seed, faults, time_scale=8.0) as there:
                    plan_at_the_second_try(there, tally)
                    disturb(there, 20, random.Random(f"{seed} {version} {faults}"), tally, faults, quota)
                    finish(there)
                    there.check()
                    assert there.outcomes() == expected, (version, seed, faults, quota)
                left -= 20
                met = f"{'with' if faults else 'without'} faults{'' if quota else ', quota gone in mid-wave'}"
                print(f"{version}, seed {seed}, {met}: as undisturbed", flush=True)
    print(f"{sum(tally.kills.values())} disturbances: {tally}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
