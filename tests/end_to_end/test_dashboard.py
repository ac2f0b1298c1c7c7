"""The dashboard in a browser: empty, in mid-wave and after a run; filters, reviews, refreshing, accessibility."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from remediation_assets.connect import open_ledger
from remediation_assets.settings import load_settings
from tests.end_to_end.dagster_dev import wait_until
from tests.support import synthetic_ledger
from tests.support.hostile_texts import HOSTILE
from tests.support.processes import CHECKOUT

ARTEFACTS = CHECKOUT / "artefacts"
PAGES = ("/", "/findings", "/sessions", "/review", "/waves")
# Of a ledger that has something of everything: a wave that failed, one at work, one that is refused.
WAVES = ("/waves/wave-0001", "/waves/2", "/waves/wave-0012")
SESSIONS = ("/sessions/devin-000001", "/sessions/devin-000004", "/simulated/devin-000001")


@contextmanager
def dashboard(shell: Any) -> Iterator[str]:
    """Serve the dashboard of a shell's data on a free port."""
    process = shell.start("remediate", "dashboard", "--port", "0")
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


class Watched:
    """A page of which every error and every request elsewhere is kept."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self.problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.origin).netloc:
            self.problems.append(f"asked {url}")

    def visit(self, path: str) -> None:
        self.page.goto(self.origin + path)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def is_accessible(self) -> None:
        found = Axe().run(self.page).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not serious, [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in serious]

    def fits(self, width: int) -> None:
        """Look that nothing but tables, which scroll by themselves, is wider than the screen."""
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width

    def keeps(self, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"dashboard-{name}.png")


@pytest.fixture
def filled(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a shell whose ledger has everything in it."""
    for name, value in shell.env.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    synthetic_ledger.fill(open_ledger(settings), settings, tmp_path, findings=120, sessions=64)
    return shell


def test_an_empty_dashboard_leads_on(shell: Any, page: Page) -> None:
    with dashboard(shell) as origin:
        watched = Watched(page, origin)
        for path in PAGES:
            watched.visit(path)
            expect(page.locator(".empty").first).to_be_visible()
            watched.is_accessible()
    assert watched.problems == []


def test_every_page_is_accessible_in_light_and_dark_and_on_a_phone(filled: Any, page: Page) -> None:
    with dashboard(filled) as origin:
        watched = Watched(page, origin)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for path in (*PAGES, *WAVES, *SESSIONS):
                watched.visit(path)
                watched.is_accessible()
                watched.keeps(f"{scheme}{path.replace('/', '-')}")
        watched.visit("/findings")
        page.locator("tbody a").first.click()
        watched.is_accessible()
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for path in (*PAGES, *WAVES, *SESSIONS):
                watched.visit(path)
                watched.fits(width)
        watched.is_accessible()
        for path in (*PAGES, *WAVES):
            watched.visit(path)
            watched.is_accessible()
    assert watched.problems == []


def test_a_person_filters_sorts_pages_and_reviews(filled: Any, page: Page) -> None:
    with dashboard(filled) as origin:
        watched = Watched(page, origin)
        watched.visit("/findings")
        expect(page.get_by_text("1\u201350 of 120")).to_be_visible()
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("51\u2013100 of 120")).to_be_visible()
        page.get_by_label("Severity").select_option("critical")
        page.get_by_label("Category").select_option("xss")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_text("1\u201310 of 10")).to_be_visible()
        page.get_by_role("link", name="Title").click()
        expect(page.get_by_text("1\u201310 of 10")).to_be_visible()
        expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "ascending")

        page.get_by_role("link", name=re.compile("^Review")).click()
        count = page.locator("nav .count")
        before = int(count.inner_text().split()[0])
        first, second = page.locator("article").nth(0), page.locator("article").nth(1)
        title = second.get_attribute("aria-label")
        second.locator("summary").click()
        second.locator("details").get_by_label("Your name").fill("Grace")
        second.get_by_label("Reason").fill("It drops the check")
        second.get_by_role("button", name="Reject", exact=True).click()
        expect(count).to_contain_text(str(before - 1))
        expect(page.locator("[data-live=reviewed]")).to_contain_text("It drops the check")
        first.get_by_label("Your name").first.fill("Grace")
        first.get_by_role("button", name="Approve").click()
        expect(count).to_contain_text(str(before - 2))

        watched.visit("/findings?status=rejected&sort=rank")
        page.get_by_role("row", name=re.compile(str(title))).get_by_role("link").first.click()
        page.get_by_text("Reopen", exact=True).first.click()
        page.get_by_label("Your name").fill("Grace")
        page.get_by_role("button", name="Reopen").click()
        expect(page.locator("[data-live=reviews]")).to_contain_text("Reopened")
    # The browser itself notes that a page was answered with 409.
    assert [told for told in watched.problems if "409" not in told] == []
    assert filled.query("SELECT verdict, reviewer FROM reviews WHERE reviewer = 'Grace' ORDER BY review_id") == [
        *(("rejected", "Grace"), ("approved", "Grace"), ("reopened", "Grace"))
    ]


def test_a_page_follows_what_happens_without_disturbing_its_reader(filled: Any, page: Page) -> None:
    ledger = open_ledger(load_settings())
    with dashboard(filled) as origin:
        watched = Watched(page, origin)
        watched.visit("/sessions?text=Finding")
        page.set_viewport_size({"width": 1100, "height": 500})
        text = page.get_by_label("Text")
        text.fill("half a wor")
        page.mouse.wheel(0, 700)
        page.wait_for_function("window.scrollY > 300")
        scrolled = page.evaluate("window.scrollY")
        working = page.locator("tbody .badge.amber", has_text="Working")
        before = working.count()
        with ledger.transaction() as tx:
            tx.execute("UPDATE attempts SET status = 'success', outcome = 'success' WHERE status = 'working'")
        ledger.publish(force=True)
        expect(working).to_have_count(0, timeout=15_000)
        assert before > 0
        assert page.evaluate("window.scrollY") == scrolled
        expect(text).to_have_value("half a wor")
        expect(text).to_be_focused()

        link = page.locator("tbody a").nth(4)
        link.focus()
        target = link.get_attribute("href")
        with ledger.transaction() as tx:
            tx.execute("UPDATE attempts SET status = 'failed', outcome = 'failed' WHERE status = 'blocked'")
        ledger.publish(force=True)
        expect(page.locator("tbody .badge", has_text="Blocked")).to_have_count(0, timeout=15_000)
        assert page.evaluate("document.activeElement.getAttribute('href')") == target

        watched.visit("/review")
        card = page.locator("article").nth(1)
        card.locator("summary").click()
        field = card.get_by_label("Reason")
        field.fill("half a reason")
        page.get_by_role("heading", level=1).click()
        approve = page.locator("article").nth(2).get_by_role("button", name="Approve")
        approve.focus()
        top = page.locator("article").nth(2).get_attribute("data-key")
        with ledger.transaction() as tx:
            # Another critical one, which a fresh page would show first; and one that somebody else has reviewed.
            tx.execute(
                "UPDATE attempts SET outcome = 'success', status = 'success', pr_url = 'https://github.com/acme/shop/pull/x'"
                " WHERE session_id = 'devin-000003'"
            )
            tx.execute("UPDATE attempts SET pr_url = NULL WHERE session_id = 'devin-000000'")
        ledger.publish(force=True)
        expect(page.locator("article a[href$='pull/x']")).to_have_count(1, timeout=15_000)
        expect(field).to_have_value("half a reason")
        assert page.evaluate("document.activeElement.closest('article').dataset.key") == top
        assert watched.problems == []
    expect(page.get_by_text("The dashboard cannot be reached.")).to_be_visible(timeout=15_000)


def test_hostile_texts_run_nothing_and_move_nothing(
    shell: Any, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.env.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    texts: Iterator[str] = iter([])

    def text(plain: str) -> str:
        nonlocal texts
        if plain.startswith(("service", "Ada")):
            return plain
        found = next(texts, None)
        if found is None:
            texts = iter(HOSTILE.values())
            found = next(texts)
        return f"{plain} {found}".encode("utf-8", "replace").decode()[:50_000].replace("\0", "")

    synthetic_ledger.fill(open_ledger(settings), settings, tmp_path, findings=60, sessions=60, text=text)
    page.add_init_script("window.alert = () => { throw new Error('a script has run'); }")
    with dashboard(shell) as origin:
        watched = Watched(page, origin)
        page.on("dialog", lambda dialog: watched.problems.append(dialog.message))
        for path in (*PAGES, *WAVES[:2], *SESSIONS, "/sessions/devin-000003"):
            watched.visit(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 1400
            assert page.locator("main a:not([href^='/']):not([href^='https://'])").count() == 0
            assert page.locator("nav[aria-label=Pages]").bounding_box()["x"] < 40  # type: ignore[index]
    assert watched.problems == []


def test_the_dashboard_shows_a_wave_at_work_and_its_end(shell: Any, sample: str, page: Page) -> None:
    with dashboard(shell) as origin:
        watched = Watched(page, origin)
        watched.visit("/")
        run = shell.start("remediate", "run", sample, MOCK_TIME_SCALE="30")
        try:
            active = page.locator(".card", has_text="Active sessions").locator(".large")
            expect(active).not_to_have_text("0", timeout=40_000)
            watched.keeps("mid-wave")
            wait_until(lambda: run.poll() is not None, seconds=150)
        finally:
            run.kill()
            run.communicate()
        expect(page.locator(".strip li.green")).to_have_count(4, timeout=15_000)
        expect(active).to_have_text("0")
        watched.keeps("after-a-run")
    assert watched.problems == []


def test_a_wave_has_a_page_before_during_and_after_its_run(shell: Any, sample: str, page: Page) -> None:
    assert shell.remediate("plan", sample).returncode == 0
    with dashboard(shell) as origin:
        watched = Watched(page, origin)

        def looks_right(name: str, path: str = "/waves/1") -> None:
            for scheme in ("light", "dark"):
                # Before the visit: the colours of links change gradually.
                page.emulate_media(color_scheme=scheme)
                for width in (1440, 390):
                    page.set_viewport_size({"width": width, "height": 900})
                    watched.visit(path)
                    watched.fits(width)
                    watched.is_accessible()
                    watched.keeps(f"wave-{name}-{width}-{scheme}")

        looks_right("before")
        expect(page.get_by_text("Starts 5 sessions:")).to_be_visible()
        expect(page.locator("[data-live=findings] tbody tr")).to_have_count(5)
        looks_right("refused", "/waves/wave-0002")
        expect(page.get_by_text("wave-0002 is refused and not started: wave-0001 has not been run")).to_be_visible()

        watched.visit("/waves/1")
        run = shell.start("remediate", "run", sample, "--wave", "wave-0001", MOCK_TIME_SCALE="30")
        try:
            # The page follows by itself.
            expect(page.locator("[data-live=state] .badge")).to_have_text("Working", timeout=40_000)
            looks_right("during")
            wait_until(lambda: run.poll() is not None, seconds=150)
        finally:
            run.kill()
            run.communicate()
        expect(page.locator("[data-live=state] .badge")).to_have_text("Passed", timeout=15_000)
        expect(page.locator("[data-live=gate]")).to_contain_text("The next wave may start.")
        looks_right("after")
        expect(page.locator("[data-live=stages] tbody tr").first).to_be_visible()

        page.locator("[data-live=findings] tbody a[href^='/sessions/']").first.click()
        page.get_by_role("link", name="simulated session").click()
        expect(page.get_by_text("exists nowhere else")).to_be_visible()
        page.get_by_role("link", name="Back to the session").click()
        expect(page.get_by_text("Session Completed")).to_be_visible()
        watched.visit("/")
        page.locator(".strip a", has_text="wave-0002").click()
        expect(page.get_by_text("Starts 5 sessions:")).to_be_visible()
    assert watched.problems == []
