"""The pace of a run: how long waits took so far, and how long later waits may take once something is broken."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubechain.conditions.timeouts import Timeout

# On a cluster that is slow, but works, one wait is seldom this much longer than the longest before it.
FACTOR = 5.0
# A pull, a slow API server or an injected delay of some seconds ends within this time.
FLOOR_SECONDS = 10.0


@dataclass
class Pace:
    """The longest wait so far for each timeout, the timeouts that ended in vain, and whether the run hurries.

    A run hurries when a claim has failed or a gate stayed shut, and a wait has ended in vain: its verdict is certain, and every
    further wait in vain only delays it. Where a claim failed without such a wait, such as by a lost request, later waits may
    well be met.
    """

    hurries: bool = False
    _longest: dict[Timeout, float] = field(default_factory=dict[Timeout, float])
    _in_vain: set[Timeout] = field(default_factory=set[Timeout])

    def took(self, timeout: Timeout, seconds: float) -> None:
        """Record that a wait with this timeout was met after `seconds`."""
        self._longest[timeout] = max(seconds, self._longest.get(timeout, 0.0))

    def ended_in_vain(self, timeout: Timeout) -> None:
        """Record that a wait with this timeout was not met."""
        self._in_vain.add(timeout)

    def hurry(self) -> None:
        """Shorten later timeouts to what this cluster has shown that it needs."""
        self.hurries = True

    def limit(self, timeout: Timeout, patience: float = 1.0) -> Timeout:
        """Return the limit of the next wait: the timeout times `patience`, or if the run hurries, what such waits took.

        That is FACTOR times the longest such wait so far, at least FLOOR_SECONDS and the `least` of the timeout, and at most the
        timeout; FLOOR_SECONDS if all such waits ended in vain. A timeout that no wait has had is not shortened.
        """
        usual = timeout.seconds * patience
        longest = self._longest.get(timeout, 0.0)
        least = timeout.least * patience if longest else 0.0
        shorter = max(FLOOR_SECONDS, least, FACTOR * longest)
        known = timeout in self._longest or timeout in self._in_vain
        if not (self.hurries and self._in_vain) or not known or usual <= shorter:
            return Timeout(usual, timeout.reason)
        took = f"such waits took up to {longest:.1f} s in this run" if longest else f"such a wait ended in vain after {usual:g} s"
        return Timeout(shorter, f"a link is broken, and {took}")
