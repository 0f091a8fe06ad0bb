"""Keeping a history up to date: list, then watch, resume where a watch ended, list anew only when that is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Listing
from kubechain.kube.errors import ApiRefused, ApiUnavailable, refusal
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import Change, History

# The server ends each watch after this time, so that a connection that is dead without a word is noticed soon after.
WATCH_SECONDS = 60.0
RETRY_SECONDS = 0.2
# In a row, for what was allowed before: 15 seconds.
REFUSALS = 75
CHANGES: dict[str, Change] = {"ADDED": "ADDED", "MODIFIED": "MODIFIED", "DELETED": "DELETED"}


class Feed(Protocol):
    """What a follower needs of the API."""

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:
        """Return all objects of a kind."""
        ...

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        """Yield the changes after a resourceVersion."""
        ...

    def interrupt(self) -> None:
        """End the open watch, which another thread reads."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Reflector:
    """Follows one kind in one namespace (https://kubernetes.io/docs/reference/using-api/api-concepts/)."""

    def __init__(self, feed: Feed, kind: str, history: History) -> None:
        self._feed, self.kind, self._history = feed, kind, history
        self._version: str | None = None
        self._listed_before = False
        self._refused = 0
        self.synced = threading.Event()

    def follow_once(self) -> float:
        """List if need be, then watch until the stream ends; return the seconds to wait before the next round.

        Raises:
            HarnessError: the server refuses the list or the watch, so there will be no history.

        """
        try:
            if self._version is None:
                self._list()
            self._watch()
        except ApiUnavailable as error:
            self._history.lost(self.kind, str(error))
            return RETRY_SECONDS
        except ApiRefused as error:
            if error.status == HTTPStatus.GONE:
                self._version = None
                self._history.lost(self.kind, str(error), gap=True)
                return 0.0
            if error.status == HTTPStatus.FORBIDDEN and self._listed_before and self._refused < REFUSALS:
                # An API server that has just started refuses everybody, until it has read the roles.
                self._refused += 1
                self._history.lost(self.kind, str(error))
                return RETRY_SECONDS
            raise
        return 0.0

    def interrupt(self) -> None:
        """End the open watch: it resumes where it ended, on another connection."""
        self._feed.interrupt()

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set; what cannot be mended ends every wait on the history with its error."""
        while not stop.is_set():
            try:
                pause = self.follow_once()
            except Exception as error:  # noqa: BLE001  # a thread has no caller: the waits are told
                if not stop.is_set():
                    why = error if isinstance(error, HarnessError) else HarnessError(f"observer: {error!r}")
                    self._history.fail(why)
                self.synced.set()
                return
            stop.wait(pause)

    def _list(self) -> None:
        listing = self._feed.list(self.kind, self._history.namespace)
        self._history.relist(self.kind, listing.items, gap=self._listed_before)
        self._history.restored(self.kind, gap=self._listed_before)
        self._version, self._listed_before = listing.version, True
        self.synced.set()

    def _watch(self) -> None:
        changes = self._feed.watch(self.kind, self._history.namespace, self._version or "0", WATCH_SECONDS)
        self._history.restored(self.kind, gap=False)
        self._refused = 0
        for change, body in changes:
            if change == "ERROR":
                raise refusal(int(body.get("code", 500)), str(body.get("message", "")))
            resource = KubeObject(body)
            if change in CHANGES:
                self._history.record(CHANGES[change], resource)
            self._version = resource.version
