"""The dashboard's routes: read what a page shows, render its template, write reviews.

The queries are in `reports/pages.py`, `reports/details.py` and `reports/wave_page.py`; who may read and write is
decided in `security.py`.
"""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from remediation_assets.clock import utc_now
from remediation_assets.errors import RemediationError
from remediation_assets.escape import is_plain_url, plain
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.planning.wave_plan import UnknownWave
from remediation_assets.reports import details, pages, wave_page
from remediation_assets.reports.batch_run import load_batch_run
from remediation_assets.reports.waves import wave_states, waves_around_the_work
from remediation_assets.sessions.store import reviews
from remediation_assets.sessions.store.reviews import Decision, NotReviewable, Review
from remediation_assets.settings import Settings
from remediation_assets.wording import counted

from .security import Forged, Guard

HERE = Path(__file__).parent
LONGEST_SHOWN = 300
NOTHING = "\N{EN DASH}"

Result = TypeVar("Result")


def create_app(ledger: Ledger, settings: Settings) -> Starlette:
    """Return the web application that shows a ledger's published results."""
    dashboard = _Dashboard(ledger, settings)
    return Starlette(
        routes=[
            Route("/", dashboard.overview),
            Route("/findings", dashboard.findings),
            Route("/findings/{key}", dashboard.finding),
            Route("/findings/{key}/reopen", dashboard.reopen, methods=["POST"]),
            Route("/sessions", dashboard.sessions),
            Route("/sessions/{session_id}", dashboard.session),
            Route("/review", dashboard.reviews),
            Route("/review/{key}/{attempt:int}", dashboard.review, methods=["POST"]),
            Route("/waves", dashboard.waves),
            Route("/waves/{wave}", dashboard.wave),
            Route("/simulated/{session_id}", dashboard.simulated_session),
            Route("/login", dashboard.login, methods=["GET", "POST"]),
            Route("/api/status", dashboard.status),
            Route("/healthz", dashboard.health),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard, token=settings.dashboard_token.get_secret_value())],
        exception_handlers={
            HTTPException: dashboard.error_page,
            Forged: dashboard.error_page,
            RemediationError: dashboard.error_page,
        },
    )


class _Dashboard:
    """Answers the routes.

    Handlers run in the event loop, so every query and every transaction runs in a worker thread. Queries run one
    at a time.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        # DuckDB shares one open database per path within a process. Under steady requests the old file would never
        # be closed, and no reader would see the one that publishing has put in its place.
        self._read_lock = threading.Lock()
        self._status_lock = threading.Lock()
        self._status: tuple[tuple[int, int, int], bytes] | None = None
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_display_text,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            **{"when": _when, "minutes": _minutes, "percent": _percent, "lines": _lines},
            **{"number": _number, "counted": counted, "split_addresses": _split_addresses},
        }
        self._templates.globals |= {"is_link": is_plain_url, "statuses": pages.STATUSES}

    async def overview(self, request: Request) -> Response:
        return await self._page(
            request,
            "overview.html",
            lambda reader: pages.overview(reader) | {"waves": waves_around_the_work(reader, done=12, next_ones=11)},
        )

    async def findings(self, request: Request) -> Response:
        filters = _query_values(request, "severity", "category", "service", "status", "wave", "text")
        page, sort = _page_and_sort(request, "rank")
        return await self._page(
            request,
            "findings.html",
            lambda reader: {
                "listing": pages.findings(reader, filters, page=page, sort=sort),
                "filters": filters,
                "services": pages.services(reader),
                "categories": pages.categories(),
                "severities": pages.severities(),
                "query": _query(filters),
            },
        )

    async def finding(self, request: Request) -> Response:
        key = request.path_params["key"]
        return await self._page(
            request, "finding.html", lambda reader: {"finding": _or_not_found(details.finding(reader, key))}
        )

    async def sessions(self, request: Request) -> Response:
        filters = _query_values(request, "status", "wave", "text")
        page, sort = _page_and_sort(request, "started")
        return await self._page(
            request,
            "sessions.html",
            lambda reader: {
                "listing": pages.sessions(reader, filters, page=page, sort=sort),
                "filters": filters,
                "query": _query(filters),
            },
        )

    async def session(self, request: Request) -> Response:
        session_id = request.path_params["session_id"]
        return await self._page(
            request, "session.html", lambda reader: {"session": _or_not_found(details.session(reader, session_id))}
        )

    async def reviews(self, request: Request) -> Response:
        page, _ = _page_and_sort(request, "")
        return await self._page(request, "review.html", lambda reader: pages.reviews(reader, page=page))

    async def waves(self, request: Request) -> Response:
        page, _ = _page_and_sort(request, "")

        def load(reader: Reader) -> dict[str, Any]:
            shown = pages.waves(reader, page=page)
            first = (shown["plan"].page - 1) * pages.PAGE + 1
            states = wave_states(reader, first=first, last=first + pages.PAGE - 1)
            return shown | {"states": states}

        return await self._page(request, "waves.html", load)

    async def wave(self, request: Request) -> Response:
        page, _ = _page_and_sort(request, "")

        def load(reader: Reader) -> dict[str, Any]:
            try:
                return wave_page.wave(reader, request.path_params["wave"], page=page)
            except UnknownWave as error:
                raise HTTPException(404, str(error)) from None

        return await self._page(request, "wave.html", load)

    async def simulated_session(self, request: Request) -> Response:
        session_id = request.path_params["session_id"]

        def load(reader: Reader) -> dict[str, Any]:
            if not self._is_mock(reader):
                raise HTTPException(404, "There are no simulated sessions here: these results are of the real Devin.")
            return {"session": _or_not_found(details.simulated_session(reader, session_id))}

        return await self._page(request, "simulated.html", load)

    async def review(self, request: Request) -> Response:
        form = await _guard(request).form(request)
        try:
            decision = Decision(form.get("verdict", ""))
        except ValueError:
            raise HTTPException(400, "A pull request can only be approved or rejected.") from None
        submitted = Review(decision, form.get("reviewer", ""), form.get("reason", ""))
        key, attempt = request.path_params["key"], request.path_params["attempt"]
        write = reviews.reject_and_reopen if decision is Decision.REOPENED else reviews.review
        await self._write(lambda tx: write(tx, key, attempt, submitted))
        page = form.get("page", "")
        return RedirectResponse(f"/review?page={page}" if page.isascii() and page.isdigit() else "/review", 303)

    async def reopen(self, request: Request) -> Response:
        form = await _guard(request).form(request)
        key = request.path_params["key"]
        reviewer, reason = form.get("reviewer", ""), form.get("reason", "")
        await self._write(lambda tx: reviews.reopen(tx, key, reviewer, reason))
        return RedirectResponse(f"/findings/{key}", 303)

    async def login(self, request: Request) -> Response:
        guard = _guard(request)
        wrong = False
        if request.method == "POST":
            form = await guard.form(request)
            if await guard.is_token(form.get("token", "")):
                return guard.logged_in(request, RedirectResponse("/", 303))
            wrong = True
        return self._render(request, "login.html", {"wrong": wrong}, status=403 if wrong else 200)

    async def status(self, _request: Request) -> Response:
        """Return the `BatchRun` JSON that the state file holds.

        The JSON covers the whole ledger, so it is built once for each publication and cached; requests that arrive
        during the build wait for the result.
        """

        def load() -> bytes:
            with self._status_lock:
                version = self._published_version()
                if self._status is None or self._status[0] != version:
                    batch_run = self._read_now(load_batch_run)
                    self._status = version, batch_run.model_dump_json().encode()
                return self._status[1]

        return Response(await run_in_threadpool(load), media_type="application/json")

    def _published_version(self) -> tuple[int, int, int]:
        """Return numbers that differ for every publication, because each one replaces the published file."""
        try:
            stat = self._ledger.published_path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    async def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def error_page(self, request: Request, error: Exception) -> Response:
        """Return a page with the error's message; plain text for the API and static files."""
        if isinstance(error, HTTPException):
            status, message = error.status_code, error.detail
        elif isinstance(error, Forged):
            status, message = 403, str(error)
        else:
            status, message = 409 if isinstance(error, NotReviewable) else 503, str(error)
        headers = getattr(error, "headers", None)
        if str(request.scope["path"]).startswith(("/api/", "/static/")):
            return PlainTextResponse(message, status, headers)
        return self._render(request, "message.html", {"status": status, "message": message}, status=status)

    async def _page(self, request: Request, template: str, load: Callable[[Reader], Mapping[str, Any]]) -> Response:
        def read(reader: Reader) -> dict[str, Any]:
            frame = pages.frame(reader, self._settings.poll_interval_seconds, utc_now())
            return {"frame": frame, "mock": self._is_mock(reader), **load(reader)}

        return self._render(request, template, await self._read(read))

    def _is_mock(self, reader: Reader) -> bool:
        """Whether the sessions shown are simulated: by what was recorded, or before that by the settings."""
        mode = pages.recorded_mode(reader)
        return self._settings.mock_mode if mode is None else mode == "mock"

    def _render(self, request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        guard = _guard(request)
        form_token, cookie = guard.form_token(request)
        common = {
            "path": request.scope["path"],
            "form_token": form_token,
            "mock": self._settings.mock_mode,
            "assignments": self._settings.shell_assignments,
        }
        response = HTMLResponse(self._templates.get_template(template).render(common | dict(values)), status)
        return guard.with_form_cookie(request, response, cookie)

    async def _read(self, query: Callable[[Reader], Result]) -> Result:
        return await run_in_threadpool(self._read_now, query)

    def _read_now(self, query: Callable[[Reader], Result]) -> Result:
        with self._read_lock, self._ledger.published(or_empty=True) as reader:
            return query(reader)

    async def _write(self, write: Callable[[Transaction], object]) -> None:
        """Run one transaction and publish at once, so that the page that follows shows the review."""

        def write_and_publish() -> None:
            if not self._ledger.path.exists():
                raise NotReviewable("There is no ledger yet, so there is nothing to review.")
            with self._ledger.transaction() as tx:
                write(tx)
            self._ledger.publish(force=True)

        await run_in_threadpool(write_and_publish)


def _guard(request: Request) -> Guard:
    guard: Guard = request.scope["guard"]
    return guard


def _or_not_found(row: details.Row | None) -> details.Row:
    if row is None:
        raise HTTPException(404, "This page does not exist. What it showed may have been removed by a new plan.")
    return row


def _query_values(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params.get(name, "")[:200].strip() for name in names}


def _page_and_sort(request: Request, sort: str) -> tuple[int, str]:
    number = request.query_params.get("page", "1")
    page = int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 1
    return page, request.query_params.get("sort", sort)


def _query(filters: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in filters.items() if value})


def _display_text(value: object) -> object:
    """Return a value as a page shows it: texts without invisible or direction-changing characters, cut if long."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    text = plain(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _lines(text: str | None) -> list[str]:
    """Split a longer text into lines; return no more lines than a page shows."""
    return (text or "").strip()[:5000].splitlines()[:80]


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else NOTHING


def _number(value: float) -> str:
    """Return a number without needless decimals: 85 and not 85.0."""
    # An integer of hundreds of digits, which a report may have, is no float.
    return str(value) if isinstance(value, int) else f"{value:.2f}".rstrip("0").rstrip(".")


_ADDRESS_AT_DEVIN = re.compile(r"(https://app\.devin\.ai/[^\s]*)")


def _split_addresses(event: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Split the message of an event of a simulated session at Devin's addresses, where that session does not exist.

    Each address is replaced by the session's id. With each part comes whether it is the id of the event's own session.
    """
    parts = []
    for part in _ADDRESS_AT_DEVIN.split(event["message"]):
        if not part.startswith("https://app.devin.ai/"):
            parts.append((part, False))
        elif event["session_id"] and part == event["session_url"]:
            parts.append((event["session_id"], True))
        else:
            parts.append((part.rstrip("/").rpartition("/")[2], False))
    return parts


def _minutes(minutes: float | None) -> str:
    if minutes is None:
        return NOTHING
    if minutes >= 90:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 1 else f"{minutes * 60:.0f} s"


def _percent(rate: float | None) -> str:
    return NOTHING if rate is None else f"{rate:.0%}"
