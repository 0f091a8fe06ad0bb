"""One watch of each kind for many namespaces of a run, with a history of its own for each of them.

The API server sends what is selected of each kind, by labels or fields. Before a history decides that something is not so, its
namespace is listed without any selector (`Freshness`): what a selector leaves out makes no verdict.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

from kubechain.conditions.timeouts import SYNC
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.decoding import as_json
from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of
from kubechain.observe.changes import Change
from kubechain.observe.clock import Clock
from kubechain.observe.freshness import Freshness
from kubechain.observe.history import History
from kubechain.observe.watches import Watches

EVENT = "Event"


@dataclass(frozen=True)
class Selected:
    """What the API server sends of a kind: label selector and field selector, "" for all."""

    labels: str = ""
    fields: str = ""


class SelectedFeed:
    """The feed of an API client in all namespaces, of what is selected: `chosen` by kind, else `usual`."""

    def __init__(self, api: Api, usual: Selected, chosen: Mapping[str, Selected]) -> None:
        self._api, self._usual, self._chosen = api, usual, chosen

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:
        """Return all selected objects of a kind; no Event: those before the watch are about other objects."""
        if kind == EVENT:
            listed = as_json(self._api.call("GET", path_of(kind, namespace), {"limit": "1"}), f"list of {kind}")
            return Listing([], str(KubeObject(listed).at("metadata.resourceVersion") or "0"))
        by = self._chosen.get(kind, self._usual)
        return self._api.list(kind, namespace, selector or by.labels, only=by.fields)

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        """Yield the changes after a resourceVersion."""
        by = self._chosen.get(kind, self._usual)
        return self._api.watch(kind, namespace, version, seconds, by.labels, only=by.fields)

    def interrupt(self) -> None:
        """End the open watch, which another thread reads."""
        self._api.interrupt()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


class Split:
    """A sink that hands each change to the history of its namespace. Safe for threads."""

    namespace = ""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._histories: dict[str, History] = {}
        # Kind -> why its watch is down, for a history that begins then.
        self._down: dict[str, str] = {}
        self._fatal: HarnessError | None = None

    def history_of(self, namespace: str) -> History:
        """Return the history of a namespace; it begins with the first call, which must come before the namespace is made."""
        with self._lock:
            if namespace not in self._histories:
                history = self._histories[namespace] = History(namespace, self.clock)
                for kind, error in self._down.items():
                    history.lost(kind, error)
                if self._fatal:
                    history.fail(self._fatal)
            return self._histories[namespace]

    def record(self, change: Change, resource: KubeObject) -> None:
        """Add one change to the history of its namespace; that of another namespace is none of the run's."""
        with self._lock:
            history = self._histories.get(str(resource.at("metadata.namespace", "")))
        if history:
            history.record(change, resource)

    def relist(self, kind: str, resources: list[KubeObject], *, gap: bool = False) -> None:
        """Take a complete list of a kind, of each namespace its part."""
        parts = defaultdict[str, list[KubeObject]](list)
        for resource in resources:
            parts[str(resource.at("metadata.namespace", ""))].append(resource)
        for history in self._all():
            history.relist(kind, parts[history.namespace], gap=gap)

    def lost(self, kind: str, error: str, *, gap: bool = False) -> None:
        """Note in every history that the watch of a kind is down."""
        with self._lock:
            self._down[kind] = error
        for history in self._all():
            history.lost(kind, error, gap=gap)

    def restored(self, kind: str, *, gap: bool) -> None:
        """Note in every history that the watch of a kind is up."""
        with self._lock:
            self._down.pop(kind, None)
        for history in self._all():
            history.restored(kind, gap=gap)

    def fail(self, error: HarnessError) -> None:
        """Stop every history."""
        with self._lock:
            self._fatal = self._fatal or error
        for history in self._all():
            history.fail(error)

    def trouble(self) -> str | None:
        """Return why a watch is down; None if none is."""
        with self._lock:
            return next((f"watch of {kind}: {error}" for kind, error in self._down.items()), None)

    def _all(self) -> list[History]:
        with self._lock:
            return list(self._histories.values())


@dataclass(frozen=True)
class View:
    """What a shared watcher shows of one namespace, as a Watcher of that namespace would."""

    history: History
    kinds: tuple[str, ...]
    _freshness: Freshness

    def close(self) -> None:
        """End the history; the watches go on for the other namespaces."""
        self.history.end()
        self._freshness.close()


class SharedWatcher:
    """Watches `kinds` in all namespaces, for those that are asked for by `view`; a context manager.

    Raises:
        HarnessError: a kind cannot be listed within the timeout SYNC (exit code UNREACHABLE).

    """

    def __init__(self, api: Api, clock: Clock, kinds: tuple[str, ...], usual: Selected, chosen: Mapping[str, Selected]) -> None:
        """Watch what is selected: `chosen` by kind, else `usual`."""
        self._api, self._clock, self._kinds, self._sink = api, clock, kinds, Split(clock)
        self._watches = Watches(lambda: SelectedFeed(api.twin(), usual, chosen), kinds, self._sink)
        try:
            self._watches.require_synced(SYNC, "all namespaces", self._sink.trouble)
        except HarnessError:
            self.close()
            raise

    def view(self, namespace: str) -> View:
        """Return what is seen of a namespace, from before it is made."""
        history = self._sink.history_of(namespace)
        # Which Events there are decides nothing: they are best-effort, and not all of them are watched.
        proved = [each for each in self._watches.reflectors if each.kind != EVENT]
        freshness = Freshness(partial(self._api.twin, patient=True), proved, history, self._clock)
        history.proved_by(freshness.prove)
        return View(history, self._kinds, freshness)

    def fail(self, error: HarnessError) -> None:
        """Stop every history: every wait on one of them ends with this error."""
        self._sink.fail(error)

    def close(self) -> None:
        """Stop the watches; histories stay as they are."""
        self._watches.close()
        self._watches.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
