"""The watcher of a namespace: one watch for each kind of the chain, all in one history."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Self

from kubechain.conditions.timeouts import LARGE_SYNC, SYNC
from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.listing import Keep
from kubechain.observe.changes import Position, latest
from kubechain.observe.clock import Clock
from kubechain.observe.filtered import Choice, FilteredFeed
from kubechain.observe.freshness import Freshness
from kubechain.observe.history import History
from kubechain.observe.reflector import Feed
from kubechain.observe.watches import Watches

# A version that no API server has any more: who watches from it is told to list.
UNKNOWN = "1"
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice", "Event")


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
        since: Position | None = None,
    ) -> None:
        """Watch; with `keep`, only that is kept of each object, and only the versions in which it differs.

        `choice` says which objects are watched, None for all; `since` is where an earlier watch ended: this one goes on from
        there, and its history begins with the objects of that time.
        """
        self.history, self.kinds = History(namespace, clock, every_version=keep is None), kinds
        since = since or Position()
        self.history.begin(since)

        def connect(*, patient: bool = False) -> Feed:
            twin = api.twin(keep, patient=patient) if keep else api.twin(patient=patient)
            return FilteredFeed(twin, choice) if choice else twin

        self._watches = Watches(connect, kinds, self.history, since.versions)
        # A watch that fails is opened again; a list that fails once would leave a verdict open.
        self._freshness = Freshness(partial(connect, patient=True), self._watches.reflectors, self.history, clock)
        try:
            # What is kept is chosen where there may be thousands.
            self._watches.require_synced(LARGE_SYNC if keep else SYNC, namespace, self.history.trouble)
        except HarnessError:
            self.close()
            raise
        self.history.proved_by(self._freshness.prove)
        self.history.placed_by(self._position)

    def _position(self) -> Position:
        # The versions come first: what a watch has delivered up to its version is in the history.
        versions = {each.kind: each.version or UNKNOWN for each in self._watches.reflectors}
        here = Position(self.history.clock.wall(), versions)
        seen = latest(entry for entry in self.history.log() if here.has(entry.resource))
        return replace(here, objects=tuple(each.body for each in seen.objects))

    def close(self) -> None:
        """Stop the watches (`Watches.close`); the history stays as it is."""
        self.history.end()
        self._watches.close()
        self._freshness.close()
        self._watches.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
