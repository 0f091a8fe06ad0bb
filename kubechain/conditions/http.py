"""What an HTTP probe brings back, and the conditions on it; no network in here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some, tally
from kubechain.conditions.timeouts import API, DATA_PLANE

# Of the pages that are not as expected, a message shows this many, and of the body of each this many characters.
MOST_PAGES, BODY = 3, 60
Failure = Literal["", "refused", "timeout", "reset", "unreachable", "name", "local", "other"]


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one HTTP request on a connection of its own, or why there was none.

    `backend` is the name of the Pod that answered (its X-Backend header), `source` the address that it saw,
    `peer` the address that was connected to; `failure` is "" if there was an answer; `seconds` is for the whole of it.
    """

    url: str
    status: int = 0
    body: str = ""
    backend: str = ""
    source: str = ""
    peer: str = ""
    failure: Failure = ""
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.url}: {self.failure or self.status} {self.detail}".rstrip()


def welcomes(pages: Iterable[Page], text: str) -> Result:
    """Met if there are pages and each is a 200 with `text` in it."""
    found = list(pages)
    wrong = [_shown(page) for page in found if page.status != 200 or text not in page.body]
    return expect(bool(found) and not wrong, _wrong(wrong))


def _wrong(pages: Sequence[str]) -> str:
    """Return the wrong pages for a message, or that there is no page."""
    return tally(pages, "; ", MOST_PAGES) if pages else "no answer"


def _shown(page: Page) -> str:
    """Return a page that is not as expected, with the beginning of what it says."""
    return f"{page} with body {' '.join(page.body.split())[:BODY]!r}" if page.status == 200 else str(page)


def _who(page: Page) -> str:
    """Return which backend answered, or what came instead."""
    return (page.backend or "a backend without a name") if page.status == 200 else page.failure or f"status {page.status}"


def all_welcome(text: str, at: str = "") -> Condition[list[Page]]:
    """Every page is a 200 with `text` in it, and, if `at` is given, came from a connection to that address."""

    def check(pages: list[Page]) -> Result:
        result = welcomes(pages, text)
        if not at or not result.met:
            return result
        right = {page.peer for page in pages} == {at}
        return expect(right, tally(page.peer or "no address" for page in pages), f"connections to {at} alone")

    return Condition(f"every answer to say {text!r}", check, DATA_PLANE)


def every_backend(wanted: frozenset[str], text: str) -> Condition[Mapping[str, list[Page]]]:
    """At each place (node address or name), every page is a 200 with `text`, and all `wanted` Pods have answered."""

    def check(places: Mapping[str, list[Page]]) -> Result:
        for place, pages in places.items():
            result = welcomes(pages, text)
            if not result.met:
                return unmet(f"at {place}: {result.got}", f"every answer to say {text!r}")
            if frozenset(page.backend for page in pages) != wanted:
                return unmet(tally(map(_who, pages)), f"answers of {some(sorted(wanted))} at {place}")
        return expect(bool(places), "no place to ask")

    return Condition(f"answers of each of {len(wanted)} backends everywhere", check, DATA_PLANE)


def all_refused() -> Condition[list[Page]]:
    """Every connection is refused: an answer of the network, not silence."""

    def check(pages: list[Page]) -> Result:
        wrong = [str(page) for page in pages if page.failure != "refused"]
        return expect(bool(pages) and not wrong, _wrong(wrong))

    return Condition("every connection refused", check, DATA_PLANE)


def only_from(*backends: str) -> Condition[list[Page]]:
    """Every page is a 200, all of them from these backends, and each of these has answered."""

    def check(pages: list[Page]) -> Result:
        found = {(page.status, page.backend) for page in pages}
        return expect(found == {(200, name) for name in backends}, tally(map(_who, pages)))

    return Condition(f"answers of {some(backends)} alone", check, DATA_PLANE)


def sticks() -> Condition[list[Page]]:
    """Every page is a 200, all from one backend, whichever it is."""

    def check(pages: list[Page]) -> Result:
        seen = {(page.status, page.backend) for page in pages}
        return expect(len(seen) == 1 and next(iter(seen))[0] == 200, tally(map(_who, pages)))

    return Condition("every answer from the same backend", check, DATA_PLANE)


def least_share(requests: int, backends: int, alarm: float = 1e-6) -> int:
    """Return how many of the requests each backend gets, if each request picks one at random, but for a chance `alarm`.

    The chance that any of the backends gets fewer is below `alarm`: the binomial tail, times the number of backends.
    """
    share = 1 / backends
    below, least = 0.0, 0
    while least < requests:
        below += math.comb(requests, least) * share**least * (1 - share) ** (requests - least)
        if backends * below >= alarm:
            break
        least += 1
    return least


def spread_over(backends: frozenset[str]) -> Condition[list[Page]]:
    """Every page is a 200, and each of the backends answered its least share: see `least_share`."""

    def check(pages: list[Page]) -> Result:
        least = least_share(len(pages), len(backends))
        counts = Counter(page.backend for page in pages if page.status == 200)
        fair = frozenset(counts) == backends and counts.total() == len(pages) and min(counts.values()) >= least > 0
        expected = f"at least {least} of {len(pages)} answers of each of {some(sorted(backends))}"
        return expect(fair, tally(map(_who, pages)), expected)

    return Condition(f"requests spread over {some(sorted(backends))}", check, DATA_PLANE)


def none_slower(seconds: float) -> Condition[list[Page]]:
    """Every page is a 200 that came within so many seconds."""

    def check(pages: list[Page]) -> Result:
        wrong = [f"{page} in {page.seconds:.2f} s" for page in pages if page.status != 200 or page.seconds >= seconds]
        found = f"{len(wrong)} of {len(pages)} late or lost: {_wrong(wrong)}" if pages else "no answer"
        return expect(bool(pages) and not wrong, found)

    return Condition(f"every answer within {seconds:g} s", check)


def came_from(address: str) -> Condition[list[Page]]:
    """Every page is a 200, and its backend saw that source address."""

    def check(pages: list[Page]) -> Result:
        right = {(page.status, page.source) for page in pages} == {(200, address)}
        return expect(right, tally(page.source or "no source" if page.status == 200 else _who(page) for page in pages))

    return Condition(f"every backend to see the source address {address}", check, DATA_PLANE)


def no_answer() -> Condition[list[Page]]:
    """Nothing answers: each connection is refused or times out, and none brings a page."""

    def check(pages: list[Page]) -> Result:
        answered = [str(page) for page in pages if page.failure not in ("refused", "timeout", "unreachable")]
        return expect(bool(pages) and not answered, _wrong(answered) if pages else "no request")

    return Condition("every connection refused or without an answer", check, DATA_PLANE)


def forbidden_to(who: str) -> Condition[list[Page]]:
    """Each request is answered with 403 Forbidden, to the user of that name."""

    def check(pages: list[Page]) -> Result:
        wrong = [f"{page} {page.body[:200]}".rstrip() for page in pages if page.status != 403 or f'"{who}\\"' not in page.body]
        return expect(bool(pages) and not wrong, _wrong(wrong))

    return Condition(f"status 403 for {who}", check, API)


def echoed(word: str) -> Condition[Mapping[str, str]]:
    """At each place the word came back."""

    def check(places: Mapping[str, str]) -> Result:
        wrong = {place: answer for place, answer in places.items() if answer != word}
        found = some(f"{answer or 'nothing'} at {place}" for place, answer in wrong.items())
        return expect(bool(places) and not wrong, found if places else "no place to ask")

    return Condition(f"{word!r} to come back everywhere", check, DATA_PLANE)
