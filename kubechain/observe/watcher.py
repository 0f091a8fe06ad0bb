"""The observer of a namespace: one watch for each kind of the chain, feeding one history."""

from __future__ import annotations

import threading
from typing import Self

from kubechain.conditions.timeouts import SYNC
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.client import Api
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.reflector import Reflector

KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice", "Event")


class Watcher:
    """Watches KINDS in a namespace from construction to `close`; a context manager."""

    def __init__(self, api: Api, namespace: str, clock: Clock, kinds: tuple[str, ...] = KINDS) -> None:
        self.history = History(namespace, clock)
        self._stop = threading.Event()
        self._apis = [api.twin() for _ in kinds]
        followers = [Reflector(a, kind, self.history) for a, kind in zip(self._apis, kinds, strict=True)]
        # Daemons: a watch that the server does not end must not keep a process alive that has finished.
        self._threads = [
            threading.Thread(target=f.run, args=(self._stop,), name=f"watch {kind}", daemon=True)
            for f, kind in zip(followers, kinds, strict=True)
        ]
        for thread in self._threads:
            thread.start()
        for follower, kind in zip(followers, kinds, strict=True):
            if not follower.synced.wait(SYNC.seconds):
                self.close()
                why = self.history.trouble() or "no answer"
                raise HarnessError(f"cannot list {kind} in {namespace} ({SYNC.reason}): {why}", ExitCode.UNREACHABLE)

    def close(self) -> None:
        """Stop the watches."""
        self._stop.set()
        for api in self._apis:
            api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
