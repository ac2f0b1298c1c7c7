"""Who may see the dashboard and who may write: token, host, origin, forms, and what a page may load."""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_FORM = 20_000

_SESSION, _FORM = "remediation_session", "remediation_form"
_OPEN = ("/healthz", "/login")
WRONG_TOKEN_SECONDS = 1.0

logger = logging.getLogger(__name__)

_HEADERS = {
    # Nothing from elsewhere, nothing inline; forms and requests only to this server, and no frame around it.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` browsers would not say either from which page a form comes.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Forged(Exception):
    """A form that did not come from a page of ours; the text says what is missing."""


class Guard:
    """Checks every request before a page sees it, and adds to every answer what browsers hold to.

    Without a token only this machine is served, under its own names: a page elsewhere whose name is made
    to point here is refused. With a token every page wants it, by login or as `Authorization: Bearer`.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token
        self._secret = secrets.token_bytes(32)
        self._wrong = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope["guard"] = self

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({name: value for name, value in _HEADERS.items() if name not in headers})
            await send(message)

        try:
            refused = await self._refusal(request)
            await (refused or self._app)(scope, receive, send_guarded)
        except Exception:
            logger.exception("The dashboard could not answer %s.", scope["path"])
            with suppress(RuntimeError):  # where the answer has begun it just ends
                await PlainTextResponse("The dashboard could not answer; its log says why.", 500)(
                    scope, receive, send_guarded
                )

    async def _refusal(self, request: Request) -> Response | None:
        if not self._token and _host_of(request.headers) not in LOOPBACK:
            return PlainTextResponse("This dashboard answers on this machine only; open it as 127.0.0.1.", 403)
        # As routes are found by it; the path of `request.url` is made up with what the client says its host is.
        path = str(request.scope["path"])
        if not self._token or path in _OPEN or path.startswith("/static/") or await self.is_known(request):
            return None
        if path.startswith("/api/"):
            return JSONResponse({"error": "The token is missing: Authorization: Bearer ..."}, 401)
        if request.method in ("GET", "HEAD"):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("The token is missing; open /login.", 401)

    async def is_known(self, request: Request) -> bool:
        """Say whether a request brings the token, or the cookie of a login."""
        bearer = request.headers.get("authorization", "")
        if bearer.lower().startswith("bearer "):
            return await self.is_token(bearer[7:].strip())
        return _same(request.cookies.get(_named(_SESSION, request), ""), self._signed("session"))

    async def is_token(self, told: str) -> bool:
        """Say whether a text is the token; wrong ones are answered slowly, one after the other."""
        if self._token and _same(told, self._token):
            return True
        async with self._wrong:
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
        return False

    def logged_in(self, request: Request, response: Response) -> Response:
        """Add the cookie of a login."""
        return _with_cookie(request, response, _SESSION, self._signed("session"))

    def form_token(self, request: Request) -> tuple[str, str]:
        """Give the token that a page's forms carry, and the cookie that it must match."""
        cookie = request.cookies.get(_named(_FORM, request)) or secrets.token_urlsafe(24)
        return self._signed(f"form {cookie}"), cookie

    @staticmethod
    def with_form_cookie(request: Request, response: Response, cookie: str) -> Response:
        """Add the cookie that forms must match."""
        return _with_cookie(request, response, _FORM, cookie)

    async def form(self, request: Request) -> Mapping[str, str]:
        """Read a form of one of our own pages; raises Forged for any other."""
        origin = request.headers.get("origin", "")
        if origin not in (f"http://{request.headers.get('host')}", f"https://{request.headers.get('host')}"):
            raise Forged("The form comes from another page.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Forged("The form is not of the kind that our pages send.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise Forged("The form is too long.")
        try:
            told = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise Forged("The form cannot be read.") from None
        cookie = request.cookies.get(_named(_FORM, request), "")
        if not cookie or not _same(told.get("form_token", ""), self._signed(f"form {cookie}")):
            raise Forged("The form is too old, or not ours; load the page anew.")
        return told

    def _signed(self, what: str) -> str:
        return hmac.new(self._secret, f"{self._token} {what}".encode(), hashlib.sha256).hexdigest()


def _host_of(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _named(cookie: str, request: Request) -> str:
    """Give a cookie's name on this port: browsers send those of all ports of a host."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{cookie}_{port}" if port.isascii() and port.isdigit() else cookie


def _with_cookie(request: Request, response: Response, cookie: str, value: str) -> Response:
    secure = request.scope.get("scheme") == "https"
    response.set_cookie(_named(cookie, request), value, httponly=True, samesite="strict", secure=secure, path="/")
    return response


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
