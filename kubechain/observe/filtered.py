"""A feed of the objects of one run in a namespace that others use as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kubechain.kube.client import Api
from kubechain.kube.decoding import as_object
from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json, KubeObject


@dataclass(frozen=True)
class Choice:
    """Which objects are of the run: `selector` by their labels, for the API server; `chosen` is kind -> how others are known."""

    selector: str
    chosen: Mapping[str, Callable[[KubeObject], bool]]

    def selector_of(self, kind: str) -> str:
        """Return the label selector for a kind, "" if its objects are known otherwise."""
        return "" if kind in self.chosen else self.selector

    def has(self, kind: str, body: Json) -> bool:
        """Whether an object that the API server has sent is of the run."""
        return kind not in self.chosen or self.chosen[kind](as_object(body, kind))


class FilteredFeed:
    """The feed of an API client, without the objects of others."""

    def __init__(self, api: Api, choice: Choice) -> None:
        self._api, self._choice = api, choice

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:
        """Return all objects of the run of a kind."""
        found = self._api.list(kind, namespace, selector or self._choice.selector_of(kind))
        return Listing([each for each in found.items if self._choice.has(kind, each.body)], found.version)

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        """Yield the changes of objects of the run after a resourceVersion."""
        changes = self._api.watch(kind, namespace, version, seconds, self._choice.selector_of(kind))
        return ((change, body) for change, body in changes if change in ("ERROR", "BOOKMARK") or self._choice.has(kind, body))

    def interrupt(self) -> None:
        """End the open watch, which another thread reads."""
        self._api.interrupt()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
