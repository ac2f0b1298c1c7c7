"""Running the pipeline's coroutines so that cancelling a Dagster run cannot be lost or cut into a transaction.

Dagster's own handler raises wherever the process happens to be; inside the event loop's own code that
is logged and forgotten, and the run would go on spending.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

import dagster as dg

Result = TypeVar("Result")


def run_interruptibly(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; a signal cancels it where it waits, and Dagster is told of it then.

    A signal that comes too late to cancel anything is told as well: whoever sent it wants no more.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(coroutine)
    interrupted = False

    async def guarded() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            if task and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        # Not the loop's own signal handlers: they forget what comes while the loop ends.
        for number in handlers:
            signal.signal(number, interrupt)
        return await coroutine

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = asyncio.run(guarded())
    except asyncio.CancelledError:
        if not interrupted:
            raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupted:
        raise dg.DagsterExecutionInterruptedError()
    return result
