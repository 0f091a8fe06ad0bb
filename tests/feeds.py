"""What a reflector reads in its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json


class FakeFeed:
    """An API for a follower: each list and each watch takes the next entry of its script; an exception is raised."""

    def __init__(self, lists: Sequence[Listing | Exception], watches: Sequence[Sequence[Any] | Exception] = ()) -> None:
        self.lists, self.watches = list(lists), list(watches)
        self.asked: list[str] = []
        self.interrupted: Callable[[], object] = lambda: None

    def interrupt(self) -> None:
        """Note it, and call what the test has set."""
        self.asked.append("interrupt")
        self.interrupted()

    def close(self) -> None:
        """Do nothing."""

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:  # noqa: ARG002
        """Return the next list of the script."""
        self.asked.append("list")
        found = self.lists.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:  # noqa: ARG002
        """Return the next watch of the script; without one, a watch that ends at once."""
        self.asked.append(f"watch {version}")
        script = self.watches.pop(0) if self.watches else ()
        if isinstance(script, Exception):
            raise script
        return self._events(script)

    @staticmethod
    def _events(script: Sequence[Any]) -> Iterator[tuple[str, Json]]:
        for event in script:
            if isinstance(event, Exception):
                raise event
            yield event
