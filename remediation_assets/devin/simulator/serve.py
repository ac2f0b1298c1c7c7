"""The simulator over HTTP, on this machine only: it takes any key."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.locks import held

from .app import create_app
from .world import World

HOST = "127.0.0.1"


class PortTaken(RemediationError):
    """The port cannot be listened on."""


def serve(
    open_world: Callable[[], World], port: int, lock: Path, *, controlled: bool, ready: Callable[[str], None]
) -> None:
    """Serve the world until the process is told to stop, then leave it; port 0 is any free one.

    The lock says that the world is being served, so that nobody deletes it meanwhile. `ready` is told
    the address as soon as requests are taken. Raises PortTaken, having touched nothing.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise PortTaken(f"Port {port} cannot be used ({why}); choose another with --port.") from None
    with listener, held(lock, timeout=0):
        world = open_world()
        try:
            server = uvicorn.Server(uvicorn.Config(create_app(world, controlled=controlled), log_level="warning"))
            # The server raises the signal again when it has shut down.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            ready(f"http://{HOST}:{listener.getsockname()[1]}")
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            world.close()
