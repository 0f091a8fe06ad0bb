"""One watch for each of several kinds, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.observe.reflector import Feed, Reflector, Sink

CLOSE_SECONDS, CLOSE_ROUNDS = 5.0, 20


class Watches:
    """Feeds a sink with the objects of `kinds` from construction to `close`."""

    def __init__(
        self, connect: Callable[[], Feed], kinds: tuple[str, ...], sink: Sink, versions: Mapping[str, str] | None = None
    ) -> None:
        """Start the threads; `connect` opens the connections of one kind, `versions` are those to watch from, by kind."""
        versions = versions or {}
        self._stop = threading.Event()
        self._feeds = [connect() for _ in kinds]
        self.reflectors = [Reflector(feed, kind, sink, versions.get(kind)) for feed, kind in zip(self._feeds, kinds, strict=True)]
        # Daemons: a watch that the server does not end must not keep a process alive that has finished.
        self._threads = [
            threading.Thread(target=each.run, args=(self._stop,), name=f"watch {each.kind}", daemon=True)
            for each in self.reflectors
        ]
        for thread in self._threads:
            thread.start()

    def require_synced(self, within: Timeout, where: str, trouble: Callable[[], str | None]) -> None:
        """Wait for the first list of each kind.

        Raises:
            HarnessError: a kind is not listed in time (exit code UNREACHABLE).

        """
        for reflector in self.reflectors:
            if not reflector.synced.wait(within.seconds):
                why = trouble() or "no answer"
                raise HarnessError(f"cannot list {reflector.kind} in {where} ({within.reason}): {why}", ExitCode.UNREACHABLE)

    def close(self) -> None:
        """Stop the watches: their connections are shut down and their threads end, or are left after CLOSE_SECONDS."""
        self._stop.set()
        for _ in range(CLOSE_ROUNDS):
            for reflector, thread in zip(self.reflectors, self._threads, strict=True):
                if thread.is_alive():
                    # A watch that is being opened has no connection yet that could be shut down.
                    reflector.interrupt()
                    thread.join(CLOSE_SECONDS / CLOSE_ROUNDS / len(self._threads))

    def disconnect(self) -> None:
        """Close the connections of watches that have ended."""
        for feed in self._feeds:
            feed.close()
