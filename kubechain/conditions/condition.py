"""What a condition says of a state: met or not, what was expected, what there is, and whether waiting can still help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from kubechain.conditions.text import field, some, text
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError

T = TypeVar("T")
# Of the fields that differ, a message names this many.
MOST_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check: `got` says in a few words what there is.

    `expected` says what is not met where that is less than the whole condition, such as one field of several. `hopeless`
    means that no waiting changes it.
    """

    met: bool
    got: str = ""
    expected: str = ""
    hopeless: bool = False

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.got}"

    def of(self, subject: str) -> Result:
        """Return the result with a subject before what it expected, if it says what: "Service web with" spec.type NodePort."""
        return replace(self, expected=f"{subject} {self.expected}") if self.expected else self


def met(got: str = "") -> Result:
    """The state is as expected."""
    return Result(met=True, got=got)


def unmet(got: str, expected: str = "") -> Result:
    """The state is not yet as expected."""
    return Result(met=False, got=got, expected=expected)


def hopeless(got: str, expected: str = "") -> Result:
    """The state is not as expected, and waiting does not change that."""
    return Result(met=False, got=got, expected=expected, hopeless=True)


def expect(ok: bool, got: str, expected: str = "") -> Result:  # noqa: FBT001  # reads as a sentence: expect(x == y, "x is 3")
    """Met if `ok`; `got` says what there is if not."""
    return met() if ok else unmet(got, expected)


def fields(found: Mapping[str, object], wanted: Mapping[str, object]) -> Result:
    """Met if the mappings are equal; the message names the fields that differ, each with both values."""
    if found == wanted:
        return met()
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)] or [*{**wanted, **found}]
    expected = some([field(name, wanted.get(name)) for name in names], most=MOST_FIELDS)
    if len(names) > 1:
        return unmet(some([field(name, found.get(name)) for name in names], most=MOST_FIELDS), expected)
    value, other = found.get(names[0]), wanted.get(names[0])
    # A number and its digits differ: 80 is a port, "80" the name of one.
    return unmet(text(value) if text(value) != text(other) else f"{value!r} of another type", expected)


def equal(what: str, found: object, wanted: object) -> Result:
    """Met if `found` equals `wanted`; the message names both."""
    return fields({what: found}, {what: wanted})


@dataclass(frozen=True)
class Condition(Generic[T]):
    """A named, pure check of a state.

    `what` follows the word "expected": a noun ("no ready address for web") or a clause ("web to have 2 Pods"). `timeout`
    is how long the condition usually may take, None where each use says it.
    """

    what: str
    check: Callable[[T], Result]
    timeout: Timeout | None = None

    def __call__(self, state: T) -> Result:
        """Check one state; an unmet result says what was expected."""
        result = self.check(state)
        return result if result.met or result.expected else replace(result, expected=self.what)


def undecided(what: str, trouble: str) -> HarnessError:
    """Return the error that says why a condition, named by `what`, is neither met nor unmet."""
    return HarnessError(f"cannot decide: expected {what}; {trouble}")


def all_of(what: str, *checks: Callable[[T], Result], timeout: Timeout | None = None) -> Condition[T]:
    """Return a condition that is met when all are; its result is the first hopeless one, else the first unmet one."""

    def check(state: T) -> Result:
        results = [each(state) for each in checks]
        lost = next((result for result in results if result.hopeless), None)
        wrong = next((result for result in results if not result.met), None)
        return lost or wrong or met("; ".join(result.got for result in results if result.got))

    return Condition(what, check, timeout)


def empty(what: str) -> Condition[list[str]]:
    """Nothing is left in a list of names."""
    return Condition(f"no {what} left", lambda names: expect(not names, some(names)))
