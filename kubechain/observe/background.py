"""Periodic work in a thread, for as long as the body of a `with` statement runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from kubechain.core.errors import HarnessError
from kubechain.observe.clock import Clock


@contextmanager
def run_periodically(name: str, seconds: float, work: Callable[[], object], clock: Clock) -> Generator[None]:
    """Call `work` every `seconds` in a thread with this name until the body ends; a HarnessError of `work` is ignored."""
    changed = threading.Condition()
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            with contextlib.suppress(HarnessError):
                work()
            with changed:
                if not ended.is_set():
                    clock.wait(changed, seconds)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with changed:
            ended.set()
            changed.notify_all()
        thread.join()
