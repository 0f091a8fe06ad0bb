"""Keeps a history up to date: lists, watches from the version of the list, and lists again if that version or its watch fails.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from kubechain.core.errors import HarnessError
from kubechain.kube.decoding import as_object
from kubechain.kube.errors import ApiRefused, ApiUnavailable, status_error
from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import Change
from kubechain.observe.clock import Clock

# The server ends each watch after this time, so that a connection that is dead without a word is noticed soon after.
WATCH_SECONDS = 60.0
# The first pause after a failure; each further one is twice as long, up to LONGEST_SECONDS, and shortened by chance to
# no less than half, so that the watches of many kinds do not return at the same moment.
RETRY_SECONDS, LONGEST_SECONDS = 0.2, 2.0
# A watch that ends sooner and delivers nothing has failed; so many in a row are trouble.
SHORT_SECONDS, SHORT_WATCHES = 1.0, 3
# A kind whose watches do not deliver what lists show is listed this often, for some time, before a watch is tried again.
POLL_SECONDS, DISTRUST_SECONDS = 1.0, 60.0
# Watches that have to be ended for their silence so soon after each other fail by themselves, not by a lost connection.
OFTEN_SECONDS = 30.0
# In a row, for what was allowed before: between 10 and 20 seconds.
REFUSALS = 12
CHANGES: dict[str, Change] = {"ADDED": "ADDED", "MODIFIED": "MODIFIED", "DELETED": "DELETED"}


class Feed(Protocol):
    """The part of the API client that a Reflector uses."""

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


class Sink(Protocol):
    """What a Reflector writes into: a history, or the histories of many namespaces."""

    namespace: str
    clock: Clock

    def record(self, change: Change, resource: KubeObject) -> None:
        """Add one change."""
        ...

    def relist(self, kind: str, resources: list[KubeObject], *, gap: bool = False) -> None:
        """Take a complete list of a kind; with a `gap`, versions before it were not seen."""
        ...

    def lost(self, kind: str, error: str, *, gap: bool = False) -> None:
        """Note that the watch of a kind is down; with a `gap`, it cannot resume where it ended."""
        ...

    def restored(self, kind: str, *, gap: bool) -> None:
        """Note that the watch of a kind is up; `gap` says that versions from before may lack."""
        ...

    def fail(self, error: HarnessError) -> None:
        """Stop: every wait ends with this error."""
        ...


class Reflector:
    """Writes the changes of one kind, in one namespace or all, into a history; `synced` is set after the first list.

    With a `version`, the history has what there was then: it is watched from there, and listed if that version is too old.
    """

    def __init__(self, feed: Feed, kind: str, history: Sink, version: str | None = None) -> None:
        self._feed, self.kind, self._history = feed, kind, history
        self._version = version
        self._listed_before = version is not None
        self._refused = 0
        self._failures = 0
        self._short = 0
        # When (monotonic seconds) the last watch was ended for its silence.
        self._ended_at = -math.inf
        # Until when (monotonic seconds) no watch is trusted.
        self._only_lists = 0.0
        self.synced = threading.Event()

    def list_and_watch(self) -> float:
        """List if there is no version to watch from, then watch until the stream ends; return the seconds until the next call.

        While no watch is trusted, only list.

        Raises:
            HarnessError: the API server refuses the list or the watch.

        """
        try:
            if self._history.clock.now() < self._only_lists:
                self._list()
                return POLL_SECONDS
            if self._version is None:
                self._list()
            self._watch()
        except ApiUnavailable as error:
            self._history.lost(self.kind, str(error))
            return self._back_off()
        except ApiRefused as error:
            if error.status == HTTPStatus.GONE:
                self._version = None
                self._history.lost(self.kind, str(error), gap=True)
                # The first list is made at once: fewer versions are missed.
                pause = self._back_off()
                return pause if self._failures > 1 else 0.0
            if error.status == HTTPStatus.FORBIDDEN and self._listed_before and self._refused < REFUSALS:
                # An API server that has just started answers 403 until its RBAC authorizer has read the roles.
                self._refused += 1
                self._history.lost(self.kind, str(error))
                return self._back_off()
            raise
        return self._back_off() if self._short else 0.0

    def _back_off(self) -> float:
        """Count a failure and return the seconds to wait before the next attempt."""
        longest = min(RETRY_SECONDS * 2**self._failures, LONGEST_SECONDS)
        self._failures += 1
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # no secret

    @property
    def version(self) -> str | None:
        """The version up to which all changes are in the history, None before the first list and after a gap."""
        return self._version

    def interrupt(self) -> None:
        """End the open watch, which is silent: it resumes where it ended, on another connection.

        If that has to be done again soon, only list for some time: each such watch would hold up a wait.
        """
        now = self._history.clock.now()
        if now - self._ended_at < OFTEN_SECONDS:
            self._only_lists = now + DISTRUST_SECONDS
        self._ended_at = now
        self._feed.interrupt()

    def relist(self) -> None:
        """End the open watch and only list for some time: a watch that resumed does not deliver what a list shows, either."""
        self._only_lists = self._history.clock.now() + DISTRUST_SECONDS
        self._feed.interrupt()

    def run(self, stop: threading.Event) -> None:
        """List and watch until `stop` is set; an error that a retry cannot heal stops the history."""
        while not stop.is_set():
            try:
                pause = self.list_and_watch()
            except Exception as error:  # noqa: BLE001  # a thread has no caller: the history hands the error to the waits
                if not stop.is_set():
                    why = error if isinstance(error, HarnessError) else HarnessError(f"watch of {self.kind}: {error!r}")
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
        self.synced.set()
        self._refused = 0
        opened, self._short = self._history.clock.now(), self._short + 1
        for change, body in changes:
            if change == "ERROR":
                raise status_error(body)
            if change in CHANGES:
                resource = as_object(body, self.kind)
                self._history.record(CHANGES[change], resource)
                self._version = resource.version or self._version
            elif change == "BOOKMARK":
                self._version = KubeObject(body).at("metadata.resourceVersion") or self._version
            self._failures = self._short = 0
        if self._history.clock.now() - opened >= SHORT_SECONDS:
            self._failures = self._short = 0
        if self._short >= SHORT_WATCHES:
            # What they do not deliver, lists do, without the versions between two of them.
            self._version = None
            self._history.lost(self.kind, f"{self._short} watches in a row ended at once", gap=True)
