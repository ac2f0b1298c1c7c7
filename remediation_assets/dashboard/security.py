"""Who may see the dashboard and who may write: token, host, origin and form checks, and security headers.

`Guard` runs before every route, so pages need no checks of their own; they only read forms through it.
"""

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
    # Nothing from other origins and nothing inline; forms and requests only to this server; no framing.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` browsers send `Origin: null` with a form, which `Guard.form` refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Forged(Exception):
    """A form that was not sent by one of our pages; the message says which check failed."""


class Guard:
    """Checks every request before a route sees it, and adds the security headers to every response.

    Without a token only loopback host names are served. Another website whose name is made to resolve to this
    machine (DNS rebinding) sends its own name as the host, and is refused. With a token every page requires it,
    from the login or as `Authorization: Bearer`.

    A form must come from our own origin and carry a token that matches its cookie. Both are signed with a secret
    of this process, so a restart ends logins and forms.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token
        self._secret = secrets.token_bytes(32)
        self._wrong_token_lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on; turn an unexpected error into a plain answer and a log entry."""
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
            with suppress(RuntimeError):  # if the response has begun, it just ends
                await PlainTextResponse("The dashboard could not answer; its log has the reason.", 500)(
                    scope, receive, send_guarded
                )

    async def _refusal(self, request: Request) -> Response | None:
        if not self._token and _host_of(request.headers) not in LOOPBACK:
            return PlainTextResponse("This dashboard can be used only on its own machine; open it at 127.0.0.1.", 403)
        # The path that routing uses. That of `request.url` is built with the Host header, so a client could forge it.
        path = str(request.scope["path"])
        if not self._token or path in _OPEN or path.startswith("/static/") or await self.is_known(request):
            return None
        if path.startswith("/api/"):
            return JSONResponse({"error": "The token is missing: Authorization: Bearer ..."}, 401)
        if request.method in ("GET", "HEAD"):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("The token is missing; open /login.", 401)

    async def is_known(self, request: Request) -> bool:
        """Whether a request carries the token or the cookie of a login."""
        bearer = request.headers.get("authorization", "")
        if bearer.lower().startswith("bearer "):
            return await self.is_token(bearer[7:].strip())
        return _same(request.cookies.get(_cookie_name(_SESSION, request), ""), self._signed("session"))

    async def is_token(self, candidate: str) -> bool:
        """Whether a text is the token.

        Wrong tokens are answered after a second, one after the other, so that guessing takes too long.
        """
        if self._token and _same(candidate, self._token):
            return True
        async with self._wrong_token_lock:
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
        return False

    def logged_in(self, request: Request, response: Response) -> Response:
        """Add the login cookie to a response."""
        return _with_cookie(request, response, _SESSION, self._signed("session"))

    def form_token(self, request: Request) -> tuple[str, str]:
        """Return the token that a page's forms carry, and the cookie that it must match."""
        cookie = request.cookies.get(_cookie_name(_FORM, request)) or secrets.token_urlsafe(24)
        return self._signed(f"form {cookie}"), cookie

    @staticmethod
    def with_form_cookie(request: Request, response: Response, cookie: str) -> Response:
        """Add the cookie that forms must match to a response."""
        return _with_cookie(request, response, _FORM, cookie)

    async def form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a form; raise Forged if one of our own pages did not send it."""
        origin = request.headers.get("origin", "")
        if origin not in (f"http://{request.headers.get('host')}", f"https://{request.headers.get('host')}"):
            raise Forged("The form comes from another page.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Forged("The form has an unexpected content type.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise Forged("The form is too long.")
        try:
            fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise Forged("The form cannot be read.") from None
        cookie = request.cookies.get(_cookie_name(_FORM, request), "")
        if not cookie or not _same(fields.get("form_token", ""), self._signed(f"form {cookie}")):
            raise Forged("The form has expired or is not from this dashboard; reload the page.")
        return fields

    def _signed(self, what: str) -> str:
        return hmac.new(self._secret, f"{self._token} {what}".encode(), hashlib.sha256).hexdigest()


def _host_of(headers: Headers) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _cookie_name(cookie: str, request: Request) -> str:
    """Return a cookie's name on this port, because browsers send a host's cookies to all of its ports."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{cookie}_{port}" if port.isascii() and port.isdigit() else cookie


def _with_cookie(request: Request, response: Response, cookie: str, value: str) -> Response:
    secure = request.scope.get("scheme") == "https"
    response.set_cookie(_cookie_name(cookie, request), value, httponly=True, samesite="strict", secure=secure, path="/")
    return response


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
