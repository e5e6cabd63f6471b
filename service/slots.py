"""The bounded set of threads that a worker's stages run on: nothing long runs on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from service.clock import Clock
from service.limits import Refusal

T = TypeVar("T")


class Slots:
    """So many threads; who finds none free waits, in the order in which it came."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="slot")

    async def run(self, clock: Clock, function: Callable[..., T], *arguments: Any) -> T:
        """
        What a function gives on a thread, straight into a future of the event loop.

        `run_in_executor` ties the executor's future to one of the loop by five callbacks, and
        all of that runs with the caches full of an inference.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        clock.queued()
        job = self.executor.submit(work, future, clock, function, arguments)
        try:
            return await future
        except asyncio.CancelledError:
            job.cancel()  # if its turn has not come, it need not
            raise
        finally:
            # An error holds this frame, and the future holds the error.
            del future

    def on_each(self, function: Callable[[], None]) -> None:
        """Run a function once on every thread, and wait."""
        all_here = threading.Barrier(self.threads)

        def together() -> None:
            all_here.wait()
            function()

        for job in [self.executor.submit(together) for _ in range(self.threads)]:
            job.result()

    def close(self) -> None:
        """Let the threads end; what has not begun never will."""
        self.executor.shutdown(wait=False, cancel_futures=True)


def work(
    future: asyncio.Future[Any], clock: Clock, function: Callable[..., Any], arguments: Any
) -> None:
    """A job's turn on a thread."""
    clock.taken()
    result = outcome(function, arguments)
    # A loop that is closed was stopped with requests in it: nobody waits.
    with suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(settle, future, result)


def outcome(function: Callable[..., Any], arguments: Any) -> Any:
    """
    A result or an error, in a frame that does not know the future it goes to.

    A cycle of the two would keep the upload and what the decoder made of it in memory until
    the garbage collector comes by.
    """
    try:
        return function(*arguments)
    except Refusal as error:
        return error.fresh()
    except BaseException as error:
        return error


def settle(future: asyncio.Future[Any], result: Any) -> None:
    """Give a request what it waits for, unless the service's stop has cancelled it."""
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
