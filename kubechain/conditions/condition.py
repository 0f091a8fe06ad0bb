"""What a condition says of a state: met or not, why, and whether waiting can still help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """`why` says in a few words what was seen; `hopeless` that no amount of waiting will change it."""

    met: bool
    why: str = ""
    hopeless: bool = False


def met(why: str = "") -> Result:
    """The state is as it must be."""
    return Result(met=True, why=why)


def unmet(why: str) -> Result:
    """The state is not as it must be, yet."""
    return Result(met=False, why=why)


def hopeless(why: str) -> Result:
    """The state is not as it must be and will not become so by itself."""
    return Result(met=False, why=why, hopeless=True)


def expect(ok: bool, why: str) -> Result:  # noqa: FBT001  # reads as a sentence: expect(x == y, "x is 3")
    """Met if `ok`, else not met because of `why`."""
    return Result(met=ok, why="" if ok else why)


def equal(what: str, seen: object, wanted: object) -> Result:
    """Met if `seen` equals `wanted`; the message names both."""
    return expect(seen == wanted, f"{what} is {seen!r}, not {wanted!r}")


@dataclass(frozen=True)
class Condition(Generic[T]):
    """A named, pure judgement of a state; `what` completes the sentence "waited until …"."""

    what: str
    check: Callable[[T], Result]

    def __call__(self, state: T) -> Result:
        """Judge one state."""
        return self.check(state)


def all_of(what: str, *results: Callable[[T], Result]) -> Condition[T]:
    """Return a condition that is met when all are; it is hopeless when one is, and says the first that is not met."""

    def check(state: T) -> Result:
        found = [result(state) for result in results]
        lost = next((v for v in found if v.hopeless), None)
        return lost or next((v for v in found if not v.met), met("; ".join(v.why for v in found if v.why)))

    return Condition(what, check)


def empty(what: str) -> Condition[list[str]]:
    """Nothing is left in a list of names."""
    return Condition(f"no {what} left", lambda names: expect(not names, f"left: {', '.join(names)}"))
