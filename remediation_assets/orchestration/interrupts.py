"""Run coroutines so that the cancellation of a Dagster run is never lost and never cuts into a transaction.

Dagster's own signal handler raises wherever the process happens to be. Inside the code of the event loop the
exception is logged and swallowed, and the run would go on spending.
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
    """Run a coroutine; a signal cancels the coroutine where it awaits and raises DagsterExecutionInterruptedError.

    The error is also raised if the signal came too late to cancel anything: its sender wants the run to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can set signal handlers.
        return asyncio.run(coroutine)
    interrupted = False

    async def guarded() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            if task and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        # Not with loop.add_signal_handler, which loses a signal that comes while the loop is closing.
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
