"""Whether a history is up to date: a watch that is dead without a word looks like one of which nothing changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kubechain.core.errors import Transient
from kubechain.kube.listing import Listing
from kubechain.observe.clock import Clock
from kubechain.observe.history import RESUME_SECONDS, History
from kubechain.observe.reflector import Feed, Reflector

# For what is on its way when the list is made.
DELIVERY_SECONDS = 1.0


class Freshness:
    """Compares a history with one fresh list of each kind that is watched. Safe for threads."""

    def __init__(self, connect: Callable[[], Feed], reflectors: Sequence[Reflector], history: History, clock: Clock) -> None:
        """Take what opens a connection of its own: it is opened for the first proof, which few histories need."""
        self._connect, self._reflectors, self._history, self._clock = connect, reflectors, history, clock
        self._feed: Feed | None = None
        self._lock = threading.Lock()

    def prove(self) -> None:
        """Return when the history shows all that fresh lists show.

        A watch that does not deliver it is ended: it resumes where it was, so that no version is missed, if the server
        still has them. If it does not deliver it then either, its kind is listed again.

        Raises:
            Transient: a list cannot be made, or a watch does not deliver what a list shows.

        """
        with self._lock:
            self._feed = self._feed or self._connect()
            for reflector in self._reflectors:
                listing = self._feed.list(reflector.kind, self._history.namespace)
                if self._delivered(reflector.kind, listing, DELIVERY_SECONDS):
                    continue
                for bring in (reflector.interrupt, reflector.relist):
                    bring()
                    if self._delivered(reflector.kind, listing, RESUME_SECONDS):
                        break
                else:
                    raise Transient(f"watch of {reflector.kind} does not deliver what a list shows")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._feed:
                self._feed.close()

    def _delivered(self, kind: str, listing: Listing, seconds: float) -> bool:
        """Wait until all that a list shows is in the history; False if it is not after `seconds`."""
        end = self._clock.now() + seconds
        while True:
            sequence = self._history.sequence()
            if not self._history.behind(kind, listing.items, listing.version):
                return True
            left = end - self._clock.now()
            if left <= 0:
                return False
            self._history.pause(sequence, left)
