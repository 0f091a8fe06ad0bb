"""The timeouts of a sample, in seconds, with their reasons; and the context manager that enforces them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator

from .errors import TimedOut

# Shorter than the 1 s after which Linux repeats an unanswered SYN: the repetition would hide the loss of the first.
CONNECT = 0.9
LOOKUP = 0.9
# An answer within ANSWER is up. An answer between ANSWER and LATEST is unknown: slow, but perhaps not because of the route.
ANSWER = 0.9
LATEST = 3.0
# A sample that would be sent later than this is recorded as unknown instead: it says nothing about the time when it was due.
LATE = 0.5
# If this process was suspended for longer than this during a sample, that may be the only cause of a timeout.
STALL = 0.5
# How long to wait for the server to close first after its answer: the side that closes first keeps its port for a minute.
SERVER_CLOSE = 0.1


@contextlib.contextmanager
def until(moment: float, message: str) -> Generator[None]:
    """Raise TimedOut in the body at a time of the event loop's clock.

    asyncio.timeout_at is not in Python 3.9, and its TimeoutError could not be told from ETIMEDOUT.
    """
    task, loop, fired = asyncio.current_task(), asyncio.get_running_loop(), list[bool]()

    def fire() -> None:
        fired.append(True)
        if task:
            task.cancel()

    timer = loop.call_at(moment, fire)
    try:
        yield
    except asyncio.CancelledError:
        if fired:
            raise TimedOut(message) from None
        raise
    finally:
        timer.cancel()
