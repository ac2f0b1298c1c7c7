"""What the pages show, over HTTP. Tests in a browser are in tests/end_to_end."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from remediation_assets.dashboard.routes import create_app
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.models import BatchRun, EventType
from remediation_assets.reports import pages
from remediation_assets.settings import Settings
from tests.support import synthetic_ledger
from tests.support.hostile_texts import HOSTILE

PAGES = ("/", "/findings", "/sessions", "/review", "/waves")

EVENT_COLOURS = {
    "red": {
        EventType.WAVE_GATED,
        EventType.SESSION_FAILED,
        EventType.RESUME_FAILED,
        EventType.TERMINATE_FAILED,
        EventType.REVIEW_REJECTED,
    },
    "green": {
        EventType.RUN_COMPLETED,
        EventType.WAVE_COMPLETED,
        EventType.SESSION_COMPLETED,
        EventType.REVIEW_APPROVED,
    },
    "grey": {
        EventType.RUN_STARTED,
        EventType.WAVE_STARTED,
        EventType.WAVE_STOPPED,
        EventType.SESSION_STARTED,
        EventType.SESSION_CANCELLED,
    },
}


@dataclass(frozen=True)
class AttemptName:
    finding_key: str
    attempt: int
    wave_number: int


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_page_says_what_to_do_next(empty: TestClient, path: str) -> None:
    page = empty.get(path)
    assert page.status_code == 200
    assert 'class="empty"' in page.text


def test_the_status_is_a_batch_run_even_if_nothing_has_run(empty: TestClient, client: TestClient) -> None:
    for one in (empty, client):
        assert BatchRun.model_validate_json(one.get("/api/status").text)
    assert BatchRun.model_validate_json(client.get("/api/status").text).total_findings == 120
    assert client.get("/healthz").text == "ok"


def test_the_cards_count_what_there_is(client: TestClient) -> None:
    page = client.get("/").text
    assert '<p class="large">120</p>' in page
    # 16 of 32 succeeded, of which one was rejected; 8 are at work.
    assert '<p class="large">8</p>' in page
    assert "Working 8 · Completed 15 · Failed 9<br>by the latest session of each finding" in page
    assert "Fixed 15 · Failed 9<br>of 24 findings with a result" in page
    assert '<p class="large">14</p>' in page
    assert "No ACUs are left." in page
    assert "8 sessions are at work and have not been polled since 2026-11-11" in page


def test_a_count_of_one_has_its_noun_in_the_singular(ledger: Ledger, client: TestClient) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE attempts SET outcome = 'cancelled' WHERE session_id != 'devin-000004'")
        tx.execute("UPDATE attempts SET outcome = 'success' WHERE session_id = 'devin-000003'")
    ledger.publish(force=True)
    page = client.get("/").text
    assert "1 session is at work and has not been polled since" in page
    assert "of 1 finding with a result" in page


@pytest.mark.usefixtures("client")
def test_sessions_that_are_followed_are_not_called_old(ledger: Ledger) -> None:
    with ledger.published() as connection:
        polled = connection.execute("SELECT last_poll_at FROM state").fetchone()
        assert polled
        assert pages.frame(connection, 20, polled[0] + timedelta(seconds=90))["unfollowed_since"] is None
        assert pages.frame(connection, 20, polled[0] + timedelta(seconds=110))["unfollowed_since"] == polled[0]
        assert pages.frame(connection, 600, polled[0] + timedelta(minutes=40))["unfollowed_since"] is None


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("", 120),
        ("severity=critical", 30),
        ("category=xss", 40),
        ("severity=critical&category=xss", 10),
        ("service=service-3", 17),
        ("status=working", 4),
        ("status=rejected", 1),
        ("status=pending", 88),
        ("wave=wave-0002", 10),
        ("wave=2", 10),
        ("wave=wave-12", 10),
        ("wave=wave-0002&status=working", 1),
        ("wave=99", 0),
        ("wave=wave", 0),
        ("text=FINDING 12", 2),
        ("text=100%25", 0),
        ("severity=nothing", 0),
        ("severity=%27%20OR%201=1", 0),
    ],
)
def test_findings_are_filtered(client: TestClient, query: str, total: int) -> None:
    page = client.get(f"/findings?{query}").text
    assert (f" of {total}</span>" in page) == (total > 0)
    assert ("No finding matches." in page) == (total == 0)


@pytest.mark.parametrize(
    "sort", ["rank", "finding", "severity", "title", "service", "category", "status", "nothing; DROP"]
)
def test_lists_are_sorted_and_paged_without_losing_or_repeating_any(
    ledger: Ledger, client: TestClient, sort: str
) -> None:
    with ledger.published() as connection:
        listings = [pages.findings(connection, {}, page=page, sort=sort) for page in (1, 2, 3)]
    keys = [row["finding_key"] for page in listings for row in page.rows]
    assert (len(keys), len(set(keys)), listings[0].pages) == (120, 120, 3)
    for page in ("0", "-1", "99", "x", "1e3", "9" * 40):
        assert client.get(f"/findings?page={page}&sort={sort}").status_code == 200


def test_findings_are_sorted_by_score_or_by_their_ids_as_people_count(ledger: Ledger, client: TestClient) -> None:
    scores = re.findall(r'<td class="number">([^<]*)</td>', client.get("/findings").text)
    assert scores == sorted(scores, key=float, reverse=True)
    assert all(not score.endswith(("0.0", ".0")) for score in scores)
    assert 'aria-sort="descending"><a href="/findings?sort=rank">Score' in client.get("/findings").text
    ids = re.findall(r'<td><a class="id" href="/findings/[^>]*>([^<]*)</a>', client.get("/findings?sort=finding").text)
    assert ids == [f"F-{number}" for number in range(1, 51)]
    assert 'aria-sort="ascending"><a href="/findings?sort=finding">Finding' in client.get("/findings?sort=finding").text
    with ledger.transaction() as tx:
        tx.execute("UPDATE finding_rows SET finding_id = 'f-' || repeat('9', 30) WHERE finding_id = 'F-3'")
        tx.execute("UPDATE finding_rows SET finding_id = '' WHERE finding_id = 'F-4'")
        tx.execute("UPDATE finding_rows SET finding_id = 'a10b2' WHERE finding_id = 'F-5'")
        tx.execute("UPDATE finding_rows SET finding_id = 'A9' WHERE finding_id = 'F-6'")
    ledger.publish(force=True)
    with ledger.published() as reader:
        rows = [row for page in (1, 2, 3) for row in pages.findings(reader, {}, page=page, sort="finding").rows]
    shown = [row["finding_id"] for row in rows]
    assert shown[:6] == ["", "A9", "a10b2", "F-1", "F-2", "F-7"]
    assert shown[-1] == "f-" + "9" * 30


def test_sessions_are_filtered_by_wave_and_sorted_by_the_status_shown(ledger: Ledger, client: TestClient) -> None:
    assert " of 10</span>" in client.get("/sessions?wave=1").text
    assert " of 10</span>" in client.get("/sessions?wave=wave-0001").text
    assert "No session matches." in client.get("/sessions?wave=other").text
    with ledger.transaction() as tx:
        tx.execute("UPDATE attempts SET outcome = 'cancelled', status = 'failed' WHERE session_id = 'devin-000000'")
    ledger.publish(force=True)
    with ledger.published() as reader:
        statuses = [row["status"] for row in pages.sessions(reader, {}, page=1, sort="status").rows]
    assert statuses == sorted(statuses)
    assert "stopped" in statuses


def test_the_pager_of_waves_counts_from_the_first_to_the_last(client: TestClient) -> None:
    assert "<span>1\u201312 of 12</span>" in client.get("/waves").text


def test_a_finding_shows_its_score_without_needless_decimals(ledger: Ledger, client: TestClient) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE finding_scores SET priority_score = if(priority_rank = 1, 85.0, 0.125)")
        keys = tx.column("SELECT finding_key FROM finding_scores ORDER BY priority_rank LIMIT 2")
    ledger.publish(force=True)
    assert "<dt>Score</dt><dd>85</dd>" in client.get(f"/findings/{keys[0]}").text
    assert "<dt>Score</dt><dd>0.12</dd>" in client.get(f"/findings/{keys[1]}").text


def test_a_session_that_was_started_after_the_last_poll_has_taken_no_time(ledger: Ledger, client: TestClient) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE state SET last_poll_at = ?", [synthetic_ledger.BEGUN - timedelta(seconds=1)])
        tx.execute("UPDATE attempts SET dispatched_at = NULL WHERE session_id = 'devin-000007'")
    ledger.publish(force=True)
    assert "<dt>Duration</dt><dd>0 s</dd>" in client.get("/sessions/devin-000004").text
    assert "<dt>Duration</dt><dd>\u2013</dd>" in client.get("/sessions/devin-000007").text
    for path in ("/", "/sessions"):
        shown = client.get(path).text
        assert '<td class="number">0 s</td>' in shown
        assert '<td class="number">-' not in shown


def test_a_session_shows_its_report_and_its_trace(client: TestClient) -> None:
    page = client.get("/sessions/devin-000000").text
    for text in ("Bind the value as a parameter", "Running the tests", "src/db.py", "attempt 1 by <strong>Ada</strong>",
                 'href="https://github.com/acme/shop/pull/0"', "Session Started"):  # fmt: skip
        assert text in page
    assert client.get("/sessions/devin-nothing").status_code == 404


def test_the_trace_colours_each_kind_of_event(ledger: Ledger, client: TestClient) -> None:
    with ledger.transaction() as tx:
        attempt = tx.one(
            AttemptName, "SELECT finding_key, attempt, wave_number FROM attempts WHERE session_id = 'devin-000000'"
        )
        tx.execute("DELETE FROM session_events")
        for event_type in EventType:
            tx.record(event_type, "Something happened", attempt=attempt)
    ledger.publish(force=True)
    page = client.get("/sessions/devin-000000").text
    shown = re.findall(r'<li class="(\w+)">\n<time>.*?<span class="badge grey">(.*?)</span>', page)
    assert len(shown) == len(EventType)
    colours = {event_type.lower().replace(" ", "_"): colour for colour, event_type in shown}
    for colour, event_types in EVENT_COLOURS.items():
        assert {one for one in EventType if colours[one] == colour} == event_types
    assert set(colours.values()) == {*EVENT_COLOURS, "amber"}


STEPS = {
    "analyzing": "Analyzing Finding",
    "fixing": "Applying Fix",
    "testing": "Running Tests",
    "creating_pr": "Creating PR",
}


def test_the_trace_names_each_step_of_a_session(ledger: Ledger, client: TestClient) -> None:
    with ledger.transaction() as tx:
        attempt = tx.one(
            AttemptName, "SELECT finding_key, attempt, wave_number FROM attempts WHERE session_id = 'devin-000000'"
        )
        for stage in STEPS:
            tx.record(EventType.SESSION_PROGRESS, "It goes on", attempt=attempt, details={"stage": stage})
        tx.record(EventType.SESSION_PROGRESS, "It goes on", attempt=attempt, details={"stage": "<b>resting"})
        tx.record(EventType.SESSION_COMPLETED, "It is done", attempt=attempt)
        tx.record(EventType.SESSION_FAILED, "It is broken", attempt=attempt)
        tx.record(EventType.SESSION_BLOCKED, "It asks", attempt=attempt)
    ledger.publish(force=True)
    for path in ("/sessions/devin-000000", f"/findings/{attempt.finding_key}"):
        shown = re.findall(r'</time> <span class="badge grey">(.*?)</span>', client.get(path).text)
        expected = ["Session Started", *STEPS.values(), "session progress", "Session Completed", "Session Failed"]
        assert shown == [*expected, "session blocked"]


def test_a_simulated_session_is_never_a_link_to_devin(ledger: Ledger, client: TestClient) -> None:
    url = "https://app.devin.ai/sessions/"
    answer = {
        "status": "exit",
        "status_detail": "finished",
        "structured_output": {"current_step": "Wrote the <b>fix</b>"},
        "pull_requests": [{"pr_url": "https://git.example.com/a/b/1", "pr_state": "open"}, "odd"],
        "messages": [{"type": "devin_message", "message": "It is <i>done</i>"}, 7],
    }
    with ledger.transaction() as tx:
        attempt = tx.one(
            AttemptName, "SELECT finding_key, attempt, wave_number FROM attempts WHERE session_id = 'devin-000000'"
        )
        tx.record(EventType.SESSION_STARTED, f"F-1 attempt 1 started: {url}0", attempt=attempt)
        tx.record(EventType.DUPLICATE_SESSION, f"Another one: {url}abc, it was ended", attempt=attempt)
        tx.execute("UPDATE observations SET raw = ? WHERE finding_key = ?", [json.dumps(answer), attempt.finding_key])
        before = tx.column("SELECT message FROM session_events ORDER BY event_id")
    ledger.publish(force=True)
    for path in (*PAGES, "/sessions/devin-000000", f"/findings/{attempt.finding_key}", "/waves/1"):
        assert "app.devin.ai" not in client.get(path).text
    for path in ("/sessions/devin-000000", f"/findings/{attempt.finding_key}"):
        page = client.get(path).text
        assert 'F-1 attempt 1 started: <a href="/simulated/devin-000000">devin-000000</a></li>' in page
        assert "Another one: abc, it was ended" in page
    assert '<a href="/simulated/devin-000000">simulated session</a>' in client.get("/sessions/devin-000000").text
    page = client.get("/simulated/devin-000000").text
    for text in ("exists nowhere else", "<dd>exit</dd>", "<dd>finished</dd>", "Wrote the &lt;b&gt;fix&lt;/b&gt;",
                 "https://git.example.com/a/b/1", "It is &lt;i&gt;done&lt;/i&gt;",
                 'href="/sessions/devin-000000">Back to the session'):  # fmt: skip
        assert text in page
    assert client.get("/simulated/devin-nothing").status_code == 404
    with ledger.published() as reader:
        assert reader.column("SELECT message FROM session_events ORDER BY event_id") == before


@pytest.mark.parametrize(
    "raw", ["", "{}", "[]", "null", "[" * 100_000, '{"pull_request": {"url": 3}, "status": ["x"]}']
)
def test_an_odd_answer_of_the_simulator_is_shown_all_the_same(ledger: Ledger, client: TestClient, raw: str) -> None:
    with ledger.transaction() as tx:
        tx.execute("UPDATE observations SET raw = ?", [raw])
    ledger.publish(force=True)
    page = client.get("/simulated/devin-000000")
    assert page.status_code == 200
    assert "exists nowhere else" in page.text


def test_a_live_session_is_a_link_to_devin(settings: Settings, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "live", Stamp("live", "https://api.devin.ai", "org"), lock_timeout=10.0)
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=8, sessions=8)
    # What was recorded decides, even if the settings have been changed since.
    client = TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")
    page = client.get("/sessions/devin-000000").text
    assert 'href="https://app.devin.ai/sessions/0"' in page
    assert "simulated" not in page
    answer = client.get("/simulated/devin-000000")
    assert answer.status_code == 404
    assert "results are of the real Devin" in answer.text


def test_a_rejected_finding_can_be_reopened_on_its_page(ledger: Ledger, client: TestClient) -> None:
    with ledger.published() as connection:
        keys = connection.execute("SELECT finding_key FROM reviews ORDER BY review_id").fetchall()
    (approved,), (rejected,) = keys
    assert "Reopen" not in client.get(f"/findings/{approved}").text
    page = client.get(f"/findings/{rejected}").text
    assert "Rejected" in page
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    form = {"form_token": token, "reviewer": "Bob", "reason": "Try again"}
    headers = {"origin": "http://127.0.0.1"}
    assert "Reopened" in client.post(f"/findings/{rejected}/reopen", data=form, headers=headers).text


def test_only_https_addresses_are_links(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=8, sessions=8)
    urls = ["javascript:alert(1)", "http://github.com/a/b", 'https://evil.example/"onclick=x', "data:text/html,x"]
    with ledger.transaction() as tx:
        for number, url in enumerate(urls):
            tx.execute("UPDATE attempts SET pr_url = ? WHERE session_id = ?", [url, f"devin-{number:06}"])
    ledger.publish(force=True)
    client = TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")
    for path in (*PAGES, *(f"/sessions/devin-{number:06}" for number in range(4))):
        text = client.get(path).text
        assert 'href="javascript' not in text
        assert 'href="data' not in text
        assert 'href="http:' not in text
        assert 'onclick=x"' not in text.replace("&#34;", '"').replace('"onclick=x</span>', "")


class Elements(HTMLParser):
    """Collects the names of a page's elements, and fails on attributes that run or style something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_only_text(name: str, ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    hostile = HOSTILE[name]

    def text(plain: str) -> str:
        return hostile.replace("\0", "") if plain.startswith(("Finding", "A weak", "rule", "went", "Run", "Bind", "src",
                                                              "No ACU", "F-", "Ada", "Because")) else plain  # fmt: skip

    synthetic_ledger.fill(ledger, settings, tmp_path, findings=8, sessions=8, wave_size=4, text=_encodable(text))
    client = TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")
    with ledger.published() as connection:
        found = connection.execute("SELECT finding_key FROM normalized_findings LIMIT 1").fetchone()
    keys = [found[0]] if found else []
    for path in (*PAGES, "/sessions/devin-000000", "/sessions/devin-000003", "/waves/1", "/waves/2",
                 "/simulated/devin-000003", *(f"/findings/{key}" for key in keys)):  # fmt: skip
        page = client.get(path)
        assert page.status_code == 200
        assert len(page.content) < 300_000
        assert Elements(page.text).found <= ELEMENTS
        assert page.text.count("<script") == 1
    json.loads(client.get("/api/status").text)


def _encodable(text: Callable[[str], str]) -> Callable[[str], str]:
    # Some hostile texts are invisible, and a finding must have a title: a word comes first.
    return lambda plain: "Word " + text(plain).encode("utf-8", "replace").decode()[:100_000]


ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "script",
        "body",
        "header",
        "nav",
        "main",
        "footer",
        "section",
        "article",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "p",
        "pre",
        "div",
        "span",
        "strong",
        "code",
        "time",
        "br",
        "a",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
    ),
    *("table", "thead", "tbody", "tr", "th", "td", "progress", "details", "summary"),
    *("form", "label", "select", "option", "input", "textarea", "button"),
}


def test_times_are_utc(client: TestClient) -> None:
    assert f"<dd>{synthetic_ledger.BEGUN:%Y-%m-%d %H:%M}</dd>" in client.get("/sessions/devin-000000").text
