"""The simulator over HTTP, reachable from this machine only, because the simulator accepts any key."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from remediation_assets.errors import RemediationError
from remediation_assets.locks import held
from remediation_assets.simulator.world.world import World

from .app import create_app

HOST = "127.0.0.1"


class PortTaken(RemediationError):
    """The port is not available."""


def serve(
    open_world: Callable[[], World], port: int, lock: Path, *, controlled: bool, ready: Callable[[str], None]
) -> None:
    """Serve the world until the process is asked to stop, then close it; port 0 is any free one.

    The lock is held while the world is served, so that nobody deletes it. `ready` is called with the address
    as soon as requests are accepted. Raise PortTaken before anything is created or locked.
    """
    # The port first: listening at once is also what lets `ready` name an address before the server runs.
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise PortTaken(f"Port {port} cannot be used ({reason}); choose another with --port.") from None
    with listener, held(lock, timeout=0):
        world = open_world()
        try:
            server = uvicorn.Server(uvicorn.Config(create_app(world, controlled=controlled), log_level="warning"))
            # uvicorn raises the signal again after its shutdown; as an interrupt it lets the world be closed.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            ready(f"http://{HOST}:{listener.getsockname()[1]}")
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            world.close()
