"""The page of a wave, over HTTP: before, during and after its run."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from remediation_assets.dashboard.routes import create_app
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.sessions.steps import cancel
from remediation_assets.settings import Settings
from tests.support import samples, synthetic_ledger
from tests.support.worker import Worker


def part(client: TestClient, path: str, name: str) -> str:
    """Return what a page shows in one of its live parts, as text in one line."""
    page = client.get(path)
    assert page.status_code == 200
    inside = page.text.partition(f'data-live="{name}"')[2].partition(">")[2].partition("data-live=")[0]
    text = " ".join(re.sub(r"<[^>]*>", " ", inside).replace("&#39;", "'").split())
    return re.sub(r" ([.,:])", r"\1", text)


def change(ledger: Ledger, *statements: str) -> None:
    with ledger.transaction() as tx:
        for statement in statements:
            tx.execute(statement)
    ledger.publish(force=True)


@pytest.fixture
def planned(ledger: Ledger, settings: Settings, tmp_path: Path) -> TestClient:
    """Return a client of a dashboard with a plan of three waves, none of which has been run."""
    samples.ingest_file(ledger, samples.write(tmp_path / "findings.csv", samples.rows(9)))
    samples.rank(ledger, settings)
    samples.plan(ledger, settings)
    ledger.publish(force=True)
    return TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")


def test_before_its_run_a_wave_shows_its_findings_and_the_command_that_runs_it(planned: TestClient) -> None:
    for path in ("/waves/wave-0001", "/waves/1"):
        assert part(planned, path, "state").startswith("Pending 4 findings: 0 fixed, 0 failed, 0 at work.")
        assert "nothing to judge" in part(planned, path, "gate")
        run = part(planned, path, "run")
        # With what another shell needs to find this ledger.
        assert run.startswith("Starts 4 sessions: REMEDIATION_DATA_DIR=/")
        assert "/data remediate run FILE --wave wave-0001" in run
    shown = part(planned, "/waves/1", "findings")
    assert [shown.count(f"F-{number} ") for number in (1, 2, 3, 4, 5)] == [1, 1, 1, 1, 0]
    assert "1\u20134 of 4" in shown
    # The last wave has a single finding.
    assert part(planned, "/waves/3", "state").startswith("Pending 1 finding: ")


def test_a_wave_that_the_wave_before_does_not_open_is_refused(planned: TestClient) -> None:
    run = part(planned, "/waves/wave-0002", "run")
    assert run.startswith("Refused. wave-0002 is refused and not started: wave-0001 has not been run to its end;")
    assert "overrule the gate with --ignore-gate." in run
    assert "--wave wave-0002" not in run
    assert 'class="banner amber"><strong>Refused' in planned.get("/waves/wave-0002").text


@pytest.mark.parametrize(
    "name", ["wave-0099", "0", "x", "wave-", "-1", "1e3", "9" * 40, "%3Cscript%3E", "1%27%20OR%201=1"]
)
def test_an_unknown_wave_is_not_found(planned: TestClient, name: str) -> None:
    page = planned.get(f"/waves/{name}")
    assert page.status_code == 404
    assert "is not a wave of the plan (there are 3 waves, wave-0001 to wave-0003)" in page.text
    assert "<script>" not in page.text


def test_before_a_plan_no_wave_is_found(empty: TestClient) -> None:
    page = empty.get("/waves/1")
    assert page.status_code == 404
    assert "nothing is planned yet" in page.text


def test_a_wave_at_work_says_so(client: TestClient) -> None:
    assert part(client, "/waves/2", "state").startswith("Working 10 findings: 5 fixed, 3 failed, 2 at work.")
    assert part(client, "/waves/2", "gate").startswith(
        "The gate decides once every finding of the wave has an outcome."
    )
    run = part(client, "/waves/2", "run")
    assert "starts nothing twice" in run
    assert "remediate run FILE --wave wave-0002" in run
    assert 'href="/sessions/devin-000012"' in client.get("/waves/2").text


def test_a_settled_wave_shows_its_gate_and_what_failed(ledger: Ledger, client: TestClient) -> None:
    gate = part(client, "/waves/1", "gate")
    assert gate.startswith("Failed 6 of 10 succeeded, 60%, needed 70%. The 95% interval of the rate is 30% to 80%.")
    assert "The next wave is refused" in gate
    assert "Failed round 1: 6 of 10 succeeded (60%), needed 70% 2026-11-02 09:00 UTC" in gate
    change(ledger, "UPDATE attempts SET error_message = 'No test could be run' WHERE status = 'timeout'")
    failures = part(client, "/waves/1", "failures")
    assert "1 finding: went wrong" in failures
    assert "1 finding: No test could be run" in failures
    # A success that was rejected has no message of its own.
    assert "1 finding: rejected in review" in failures
    change(ledger, "UPDATE attempts SET error_message = 'No test could be run' WHERE outcome = 'failed'")
    assert "2 findings: No test could be run" in part(client, "/waves/1", "failures")


def test_a_settled_wave_names_the_command_that_runs_it_again(ledger: Ledger, client: TestClient) -> None:
    change(
        ledger, "UPDATE attempts SET status = 'failed', outcome = 'failed' WHERE outcome IS NULL AND wave_number = 1"
    )
    run = part(client, "/waves/1", "run")
    assert run.startswith("Runs the wave again, for the 4 findings that did not succeed: ")
    assert "remediate run FILE --wave wave-0001" in run
    assert "1 finding that was rejected in review can be tried again once reopened." in run
    change(ledger, "UPDATE attempts SET status = 'success', outcome = 'success' WHERE wave_number = 1")
    run = part(client, "/waves/1", "run")
    assert run.startswith("Nothing of it is left to run. 1 finding that was rejected in review can be tried again")


def test_a_wave_of_chosen_findings_says_so(ledger: Ledger, client: TestClient) -> None:
    sentence = "A person chose these findings to be worked on first."
    assert sentence not in client.get("/waves/5").text
    assert "Chosen" not in client.get("/waves").text
    change(ledger, "UPDATE waves SET chosen = true WHERE wave_number = 5")
    assert sentence in client.get("/waves/5").text
    assert "Chosen" in client.get("/waves").text


def test_a_wave_shows_where_its_sessions_spend_their_time(ledger: Ledger, client: TestClient) -> None:
    assert "No session of it has reported a stage yet." in client.get("/waves/1").text
    stages = """
        INSERT INTO stage_times
        SELECT finding_key, attempt, wave_number, '{}', dispatched_at, dispatched_at + to_minutes({}) FROM attempts
        WHERE session_id IN ('devin-000000', 'devin-000001', 'devin-000002')
        """
    change(ledger, stages.format("testing", "40"), stages.format("analyzing", "right(session_id, 1)::INT"))
    shown = part(client, "/waves/1", "stages")
    assert "Analyzing Finding 3 1 min 2 min Running Tests 3 40 min 40 min" in shown
    assert "lower bound" in shown
    assert "Running Tests" not in client.get("/waves/2").text
    # And of each session, on its page.
    assert "<dt>Running Tests</dt><dd>at least 40 min</dd>" in client.get("/sessions/devin-000001").text


def test_long_waves_are_paged(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=130, sessions=8, wave_size=120)
    client = TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")
    change(ledger, "UPDATE waves SET frozen_at = NULL")
    keys: list[str] = []
    for page, span in enumerate(("1\u201350", "51\u2013100", "101\u2013120"), start=1):
        text = client.get(f"/waves/1?page={page}").text
        assert f"{span} of 120" in text
        keys += re.findall(r'class="id" href="/findings/([^"]*)"', text.partition('data-live="failures"')[0])
    assert len(set(keys)) == 120


@pytest.mark.parametrize("path", ["/", "/waves", "/review"])
def test_pages_link_to_the_page_of_a_wave(client: TestClient, path: str) -> None:
    assert 'href="/waves/wave-0001"' in client.get(path).text


def test_finding_and_session_link_to_the_page_of_their_wave(ledger: Ledger, client: TestClient) -> None:
    with ledger.published() as reader:
        key = reader.scalar("SELECT finding_key FROM wave_findings WHERE wave_number = 12 LIMIT 1")
    assert 'href="/waves/wave-0012"' in client.get(f"/findings/{key}").text
    assert 'href="/waves/wave-0001"' in client.get("/sessions/devin-000000").text


@pytest.mark.anyio
async def test_a_stopped_wave_is_not_judged_and_never_red(worker: Worker) -> None:
    client = TestClient(create_app(worker.ledger, worker.settings), base_url="http://127.0.0.1")
    worker.plan(8)
    await _stop(worker)
    worker.ledger.publish(force=True)
    page = client.get("/waves/1").text
    assert part(client, "/waves/1", "gate").startswith("Not judged no outcome that counts, needed 70%.")
    assert part(client, "/waves/1", "state").startswith(
        "Not judged 4 findings: 0 fixed, 0 failed, 4 stopped, 0 at work."
    )
    stopped = part(client, "/waves/1", "failures")
    assert stopped.startswith("Stopped These count neither as fixed nor as failed. Stopped 4 findings")
    assert "Failures by error message" not in stopped
    change(
        worker.ledger,
        "UPDATE attempts SET outcome = 'vanished' WHERE finding_key = (SELECT max(finding_key) FROM attempts)",
    )
    assert "Stopped or vanished These count" in part(client, "/waves/1", "failures")
    assert "0 failed, 3 stopped, 1 vanished, 0 at work" in part(client, "/waves/1", "state")
    assert "Runs the wave again, for the 4 findings" in part(client, "/waves/1", "run")
    assert "was not judged" in part(client, "/waves/2", "run")
    colours = _badges([page, *(client.get(path).text for path in ("/", "/findings", "/sessions", "/waves"))])
    assert colours["Stopped"] == {"grey"}
    assert colours["Not judged"] == {"grey"}
    assert "Failed" not in colours
    assert '<option value="stopped">Stopped</option>' in client.get("/findings").text


async def _stop(worker: Worker) -> None:
    worker.open()
    await worker.step()
    with worker.transaction() as tx:
        cancel.stop(tx, None)
    await worker.follow()
    worker.collect()
    worker.let_go()


def _badges(texts: Sequence[str]) -> dict[str, set[str]]:
    """Return the colours in which each badge is shown."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for colour, label in re.findall(r'<span class="badge (\w+)">([^<]*)</span>', text):
            found.setdefault(label, set()).add(colour)
    return found


def test_the_command_names_the_file_that_was_planned(planned: TestClient, ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET current_source = ?", ['{"paths": ["/srv/my scans/codeql.sarif"]}'])
    ledger.publish(force=True)
    assert "remediate run '/srv/my scans/codeql.sarif' --wave wave-0001" in part(planned, "/waves/1", "run")
