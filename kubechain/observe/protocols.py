"""The types of the fixtures `eventually`, `consistently` and `watch`, for the signatures of claims."""

from __future__ import annotations

from typing import Protocol, TypeVar

from kubechain.conditions.condition import Condition
from kubechain.conditions.timeouts import Timeout
from kubechain.observe.history import History
from kubechain.observe.source import Source
from kubechain.observe.wait import Observation

T = TypeVar("T")


class Eventually(Protocol):
    """Wait until a source meets a condition; see kubechain.observe.wait.Waiter.eventually."""

    def __call__(self, source: Source[T], condition: Condition[T], *, within: Timeout | None = None) -> Observation[T]:
        """Return the observation that met the condition; Unmet at the timeout, by default the condition's own."""
        ...


class Consistently(Protocol):
    """Require that every state of a source meets a condition; see kubechain.observe.wait.Waiter.consistently."""

    def __call__(self, source: Source[T], condition: Condition[T], *, during: Timeout) -> Observation[T]:
        """Return the last observation; Unmet at the first state that does not meet the condition."""
        ...


class WatchedNamespace(Protocol):
    """What watches one namespace: a Watcher, or a part of a SharedWatcher."""

    @property
    def history(self) -> History:
        """The objects of the namespace."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are watched."""
        ...

    def close(self) -> None:
        """End the watches, or what they do for this namespace."""
        ...


class Watch(Protocol):
    """Watch an existing namespace, given its name."""

    def __call__(self, namespace: str) -> History:
        """Return the source of the namespace's objects: Deployments, ReplicaSets, Pods, Services, endpoints and Events."""
        ...
