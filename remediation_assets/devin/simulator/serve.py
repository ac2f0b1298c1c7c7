"""The simulator over HTTP, on this machine only: it takes any key."""

import os
import socket
from collections.abc import Callable

import uvicorn

from remediation_assets.errors import RemediationError

from .app import create_app
from .world import World

HOST = "127.0.0.1"


class PortTaken(RemediationError):
    """The port cannot be listened on."""


def serve(world: World, port: int, *, controlled: bool, ready: Callable[[str], None]) -> None:
    """Serve the world until the process is told to stop, then leave it; port 0 is any free one.

    `ready` is told the address as soon as requests are taken.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise PortTaken(f"Port {port} cannot be used ({why}); choose another with --port.") from None
    with listener:
        try:
            server = uvicorn.Server(uvicorn.Config(create_app(world, controlled=controlled), log_level="warning"))
            ready(f"http://{HOST}:{listener.getsockname()[1]}")
            server.run(sockets=[listener])
        finally:
            world.close()
