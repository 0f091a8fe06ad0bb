"""The watcher of a namespace: one watch for each kind of the chain, all in one history."""

from __future__ import annotations

import threading
from typing import Self

from kubechain.conditions.timeouts import LARGE_SYNC, SYNC
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.client import Api
from kubechain.kube.listing import Keep
from kubechain.observe.clock import Clock
from kubechain.observe.filtered import Choice, FilteredFeed
from kubechain.observe.freshness import Freshness
from kubechain.observe.history import History
from kubechain.observe.reflector import Feed, Reflector

KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice", "Event")

CLOSE_SECONDS, CLOSE_ROUNDS = 5.0, 20


class Watcher:
    """Watches `kinds` in a namespace from construction, which waits for the first lists, to `close`; a context manager.

    Raises:
        HarnessError: a kind cannot be listed within the timeout SYNC, or LARGE_SYNC with `keep` (exit code UNREACHABLE).

    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        clock: Clock,
        kinds: tuple[str, ...] = KINDS,
        keep: Keep | None = None,
        choice: Choice | None = None,
    ) -> None:
        """Watch; with `keep`, only that is kept of each object, and only the versions in which it differs.

        `choice` says which objects are watched, None for all.
        """
        self.history, self.kinds = History(namespace, clock, every_version=keep is None), kinds
        self._stop = threading.Event()

        def connect() -> Feed:
            twin = api.twin(keep) if keep else api.twin()
            return FilteredFeed(twin, choice) if choice else twin

        self._feeds = [connect() for _ in kinds]
        reflectors = [Reflector(feed, kind, self.history) for feed, kind in zip(self._feeds, kinds, strict=True)]
        self._reflectors = reflectors
        # Daemons: a watch that the server does not end must not keep a process alive that has finished.
        self._threads = [
            threading.Thread(target=f.run, args=(self._stop,), name=f"watch {kind}", daemon=True)
            for f, kind in zip(reflectors, kinds, strict=True)
        ]
        self._freshness = Freshness(connect, reflectors, self.history, clock)
        for thread in self._threads:
            thread.start()
        # What is kept is chosen where there may be thousands.
        within = LARGE_SYNC if keep else SYNC
        for reflector, kind in zip(reflectors, kinds, strict=True):
            if not reflector.synced.wait(within.seconds):
                self.close()
                why = self.history.trouble() or "no answer"
                raise HarnessError(f"cannot list {kind} in {namespace} ({within.reason}): {why}", ExitCode.UNREACHABLE)
        self.history.proved_by(self._freshness.prove)

    def close(self) -> None:
        """Stop the watches: their connections are shut down and their threads end, or are left after CLOSE_SECONDS."""
        self.history.end()
        self._stop.set()
        for _ in range(CLOSE_ROUNDS):
            for reflector, thread in zip(self._reflectors, self._threads, strict=True):
                if thread.is_alive():
                    # A watch that is being opened has no connection yet that could be shut down.
                    reflector.interrupt()
                    thread.join(CLOSE_SECONDS / CLOSE_ROUNDS / len(self._threads))
        self._freshness.close()
        for feed in self._feeds:
            feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
