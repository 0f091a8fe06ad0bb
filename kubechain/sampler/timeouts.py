"""How long what may take, in seconds, each with its reason, and what ends it then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator

from .errors import TooLong

# Below the 1 s after which Linux sends a SYN again that was not answered: the second try would hide that the first was lost.
CONNECT = 0.9
LOOKUP = 0.9
# An answer within ANSWER is up. One until LATEST says that something was slow, not whether the path was there.
ANSWER = 0.9
LATEST = 3.0
# A sample so much later than it was due would be told for a moment at which it was not sent.
LATE = 0.5
# So much of a sample's time without this process running may be all there is to its lateness.
HELD = 0.5
# After its answer, a server closes at once. The one that closes first keeps the ports for a minute: that is not to be us.
PARTING = 0.1


@contextlib.contextmanager
def until(moment: float, late: str) -> Generator[None]:
    """Raise TooLong in the body at a moment: asyncio.timeout_at, for Python 3.9, and not mistaken for ETIMEDOUT."""
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
            raise TooLong(late) from None
        raise
    finally:
        timer.cancel()
