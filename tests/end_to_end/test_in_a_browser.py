"""The Dagster UI as a person uses it: plan, dispatch, watch, a green gate, a backfill, a red gate, a refused wave."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from playwright.sync_api import Page, expect

from tests.end_to_end.browser import PATIENCE_MS
from tests.end_to_end.dagster_dev import DagsterDev, dagster_dev, wait_until
from tests.support.processes import CHECKOUT, simulator

ARTEFACTS = CHECKOUT / "artefacts"


class Person:
    """Someone in front of the Dagster UI."""

    def __init__(self, page: Page, dev: DagsterDev) -> None:
        self.page = page
        self.dev = dev

    def launch(self, job: str, wave: str | None = None) -> dg.DagsterRun:
        """Launch a job from its page, for one partition where it has them, and wait for the end of its run."""
        before = {run.run_id for run in self.dev.runs(job)}
        self.page.goto(f"{self.dev.origin}/locations/remediation_assets.definitions/jobs/{job}")
        self.page.get_by_role("button", name="Materialize all").click()
        if wave:
            dialog = self.page.get_by_role("dialog")
            dialog.get_by_text("Select a partition or create one").click()
            self.page.locator(f":text('{wave}'):visible").first.click()
            self.page.keyboard.press("Escape")
            dialog.get_by_role("button", name=re.compile("^Launch")).click()
        started: list[dg.DagsterRun] = []

        def finished() -> bool:
            started[:] = [run for run in self.dev.runs(job, wave) if run.run_id not in before]
            return bool(started) and started[0].is_finished

        wait_until(finished, seconds=120)
        return started[0]

    def sees_gate(self, verdict: str, *texts: str) -> None:
        """Look at the gate of the wave that was judged last."""
        self.page.goto(f"{self.dev.origin}/assets/session_results?view=checks")
        expect(self.page.get_by_text(verdict, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)

    def keeps(self, name: str) -> None:
        """Keep a screenshot."""
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(1000)  # drawings come after texts
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_a_person_takes_waves_through_the_ui(shell: Any, page: Page, tmp_path: Path) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with (
        simulator(tmp_path / "devin", "--control", MOCK_SEED="100", MOCK_TIME_SCALE="20") as devin,
        dagster_dev(shell.home, shell.env | {"DEVIN_API_BASE_URL": devin.origin, "POLL_INTERVAL_SECONDS": "1"}) as dev,
    ):
        person = Person(page, dev)

        page.goto(f"{dev.origin}/asset-groups")
        for group in ("findings", "planning", "sessions"):
            expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
        page.keyboard.press("Control+e")
        person.keeps("lineage")

        assert person.launch("plan_waves").is_success
        page.goto(f"{dev.origin}/assets/waves")
        expect(page.get_by_text("One row per wave").first).to_be_visible()

        assert person.launch("dispatch_wave", "wave-0001").is_success
        wait_until(lambda: any(run.is_success for run in dev.runs("collect_wave", "wave-0001")), seconds=120)
        person.sees_gate("Passed", "wave-0001 passed: 5 of 5 succeeded, 100%, needed 70%.")
        person.keeps("gate-passed")

        httpx.put(f"{devin.origin}/simulator/faults", json={"faults": ["error=1"]}).raise_for_status()
        assert not person.launch("remediate_wave", "wave-0002").is_success
        person.sees_gate("Failed", "wave-0002 failed: 0 of 5 succeeded, 0%, needed 70%.", "then run wave-0002 again")
        page.get_by_text("[Show Markdown]").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(re.compile("^devin-[0-9a-f]{32}$")).first).to_be_visible()
        # The real Devin has no page for a session of the simulator.
        expect(dialog.get_by_role("link", name="session")).to_have_count(0)
        person.keeps("gate-failed")

        refused = person.launch("dispatch_wave", "wave-0003")
        assert not refused.is_success
        page.goto(f"{dev.origin}/runs/{refused.run_id}")
        sentence = (
            "wave-0003 is refused and not started: wave-0002 has not passed its gate (0 of 5 succeeded, 0%, needed 70%)"
        )
        expect(page.get_by_text(sentence).first).to_be_visible(timeout=PATIENCE_MS)
        person.keeps("refused")
        sessions = shell.query("SELECT count(session_id) FROM attempts")

        httpx.put(f"{devin.origin}/simulator/faults", json={"faults": []}).raise_for_status()
        assert person.launch("remediate_wave", "wave-0002").is_success
        person.sees_gate("Passed", "wave-0002 passed: 5 of 5 succeeded, 100%, needed 70%.")
        person.keeps("gate-passed-again")
        assert sessions == [(10,)]
        assert person.launch("dispatch_wave", "wave-0003").is_success
    assert problems == []
