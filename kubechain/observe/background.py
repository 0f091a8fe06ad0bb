"""Something done again and again in the background, for as long as something else goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from kubechain.core.errors import HarnessError
from kubechain.observe.clock import Clock


@contextmanager
def repeating(name: str, seconds: float, do: Callable[[], object], clock: Clock) -> Generator[None]:
    """Do something every so many seconds in a thread of its own; what cannot be done just now is done the next time."""
    changed = threading.Condition()
    ended: list[bool] = []

    def run() -> None:
        while not ended:
            with contextlib.suppress(HarnessError):
                do()
            with changed:
                if not ended:
                    clock.wait(changed, seconds)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with changed:
            ended.append(True)
            changed.notify_all()
        thread.join()
