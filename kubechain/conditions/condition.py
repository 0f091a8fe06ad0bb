"""Condition, a named check of a state, and its Result: met or not, what was expected, what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from kubechain.conditions.text import field, some, text
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import HarnessError

T = TypeVar("T")
# A message names at most this many of the fields that differ.
MOST_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check; `got` is the state in a few words.

    `expected` is the unmet part of the condition, such as one field of several; "" means the whole condition. `hopeless`
    means that the state cannot become as expected, so that a wait ends at once.
    """

    met: bool
    got: str = ""
    expected: str = ""
    hopeless: bool = False

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.got}"

    def of(self, subject: str) -> Result:
        """Return the result with `subject` before its `expected`: "Service web with" before "spec.type NodePort"."""
        return replace(self, expected=f"{subject} {self.expected}") if self.expected else self


def met(got: str = "") -> Result:
    """Return the result of a state that is as expected."""
    return Result(met=True, got=got)


def unmet(got: str, expected: str = "") -> Result:
    """Return the result of a state that is not as expected and may become so."""
    return Result(met=False, got=got, expected=expected)


def hopeless(got: str, expected: str = "") -> Result:
    """Return the result of a state that cannot become as expected."""
    return Result(met=False, got=got, expected=expected, hopeless=True)


def expect(ok: bool, got: str, expected: str = "") -> Result:  # noqa: FBT001  # reads as a sentence: expect(x == y, "x is 3")
    """Return met if `ok`, else unmet with `got`."""
    return met() if ok else unmet(got, expected)


def fields(actual: Mapping[str, object], wanted: Mapping[str, object]) -> Result:
    """Return met if the mappings, field -> value, are equal; the message has both values of each field that differs."""
    if actual == wanted:
        return met()
    names = [name for name in {**wanted, **actual} if actual.get(name) != wanted.get(name)] or [*{**wanted, **actual}]
    expected = some([field(name, wanted.get(name)) for name in names], most=MOST_FIELDS)
    if len(names) > 1:
        return unmet(some([field(name, actual.get(name)) for name in names], most=MOST_FIELDS), expected)
    value, other = actual.get(names[0]), wanted.get(names[0])
    # The port 80 and the port name "80" differ, and look the same as text.
    return unmet(text(value) if text(value) != text(other) else f"{value!r} of another type", expected)


def equal(what: str, actual: object, wanted: object) -> Result:
    """Return met if `actual` equals `wanted`; the message has both."""
    return fields({what: actual}, {what: wanted})


@dataclass(frozen=True)
class Condition(Generic[T]):
    """A named, pure check of a state.

    `what` follows the word "expected" in messages: a noun ("no ready address for web") or a clause ("web to have 2 Pods").
    `timeout` is the usual timeout of a wait for the condition; None if each wait passes its own. `lasting` says that a state from
    before what must not change it meets it, too: it is looked at in a source that is up to date.
    """

    what: str
    check: Callable[[T], Result]
    timeout: Timeout | None = None
    lasting: bool = False

    def __call__(self, state: T) -> Result:
        """Check one state; `expected` of an unmet result is never empty."""
        result = self.check(state)
        return result if result.met or result.expected else replace(result, expected=self.what)


def undecided(what: str, trouble: str) -> HarnessError:
    """Return the error for the condition `what` that could be neither met nor unmet because of `trouble`."""
    return HarnessError(f"cannot decide: expected {what}; {trouble}")


def all_of(what: str, *checks: Callable[[T], Result], timeout: Timeout | None = None) -> Condition[T]:
    """Return a condition that is met if all checks are; else its result is the first hopeless or else the first unmet one."""

    def check(state: T) -> Result:
        results = [check_one(state) for check_one in checks]
        first_hopeless = next((result for result in results if result.hopeless), None)
        first_unmet = next((result for result in results if not result.met), None)
        return first_hopeless or first_unmet or met("; ".join(result.got for result in results if result.got))

    return Condition(what, check, timeout)


def empty(what: str) -> Condition[list[str]]:
    """The list of names is empty."""
    return Condition(f"no {what} left", lambda names: expect(not names, some(names)))
