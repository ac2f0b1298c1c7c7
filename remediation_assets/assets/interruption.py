"""Running the pipeline's coroutines so that cancelling a Dagster run cannot be lost or cut into a transaction.

Dagster's own handler raises wherever the process happens to be; inside the event loop's own code that
is logged and forgotten, and the run would go on spending.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import dagster as dg

Result = TypeVar("Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_interruptibly(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; a signal cancels it where it waits, and Dagster is told of it then."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(coroutine)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupted = False

    async def guarded() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            if task:
                task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)
        return await coroutine

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if interrupted:
            raise dg.DagsterExecutionInterruptedError() from None
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
