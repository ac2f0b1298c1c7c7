"""Serve the dashboard over HTTP until the process is interrupted. The application is built in `routes.py`."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings

from .routes import create_app
from .security import LOOPBACK


class CannotServe(RemediationError):
    """The dashboard cannot be served at the requested address; the message says why."""


def serve(ledger: Ledger, settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; call `ready` with the address once the port is open.

    Port 0 is any free port. Raise CannotServe if the port is taken, or if other machines could see the dashboard
    and no token is set.
    """
    if host not in LOOPBACK and not settings.dashboard_token.get_secret_value():
        raise CannotServe(f"{host} can be seen from other machines; set DASHBOARD_TOKEN, or serve on 127.0.0.1.")
    if ledger.path.exists():
        # An older version may have published views that these pages cannot read.
        ledger.verify()
        ledger.publish(force=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0) if error.errno and error.errno > 0 else str(error)
        raise CannotServe(
            f"{host} port {port} cannot be served ({reason}); choose another with --host or --port."
        ) from None
    with listener:
        config = uvicorn.Config(
            create_app(ledger, settings), log_level="warning", server_header=False, proxy_headers=False
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        display_host = f"[{host}]" if ":" in host else host
        ready(f"http://{display_host}:{listener.getsockname()[1]}")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
