"""What an HTTP probe brings back, and the conditions on it; no network in here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from kubechain.conditions.condition import Condition, Result, equal, expect, unmet

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
    wrong = [str(page) for page in found if page.status != 200 or text not in page.body]
    return expect(bool(found) and not wrong, "; ".join(wrong) or "no answer at all")


def all_welcome(text: str, at: str = "") -> Condition[list[Page]]:
    """Every page is a 200 with `text` in it, and, if `at` is given, came from a connection to that address."""

    def check(pages: list[Page]) -> Result:
        peers = {page.peer for page in pages}
        result = welcomes(pages, text)
        return equal("addresses connected to", peers, {at}) if result.met and at else result

    return Condition(f"every answer says {text!r}", check)


def every_backend(wanted: frozenset[str], text: str) -> Condition[Mapping[str, list[Page]]]:
    """At each place (node address or name), every page is a 200 with `text`, and all `wanted` Pods have answered."""

    def check(places: Mapping[str, list[Page]]) -> Result:
        for place, pages in places.items():
            result = welcomes(pages, text)
            if not result.met:
                return unmet(f"at {place}: {result.why}")
            tally = Counter(page.backend for page in pages)
            if frozenset(tally) != wanted:
                return unmet(f"at {place} answered {dict(tally)}, wanted each of {sorted(wanted)}")
        return expect(bool(places), "no place was asked")

    return Condition(f"all of {len(wanted)} backends answer everywhere", check)


def all_refused() -> Condition[list[Page]]:
    """Every connection is refused: an answer of the network, not silence."""

    def check(pages: list[Page]) -> Result:
        wrong = [str(page) for page in pages if page.failure != "refused"]
        return expect(bool(pages) and not wrong, "; ".join(wrong) or "nothing was asked")

    return Condition("every connection is refused", check)


def only_from(*backends: str) -> Condition[list[Page]]:
    """Every page is a 200, all of them from these backends, and each of these has answered."""

    def check(pages: list[Page]) -> Result:
        return equal("answers", {(page.status, page.backend) for page in pages}, {(200, name) for name in backends})

    return Condition(f"answered by {' and '.join(backends)} alone", check)


def sticks() -> Condition[list[Page]]:
    """Every page is a 200, all from one backend, whichever it is."""

    def check(pages: list[Page]) -> Result:
        seen = Counter((page.status, page.backend) for page in pages)
        return expect(len(seen) == 1 and next(iter(seen))[0] == 200, f"answers are {dict(seen)}")

    return Condition("every answer from the same backend", check)


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
        tally = Counter(page.backend for page in pages if page.status == 200)
        fair = frozenset(tally) == backends and tally.total() == len(pages) and min(tally.values()) >= least > 0
        return expect(fair, f"answers {dict(tally)} of {len(pages)}, wanted at least {least} each of {sorted(backends)}")

    return Condition("requests spread over all backends", check)


def none_slower(seconds: float) -> Condition[list[Page]]:
    """Every page is a 200 that came within so many seconds."""

    def check(pages: list[Page]) -> Result:
        wrong = [f"{page} in {page.seconds:.2f} s" for page in pages if page.status != 200 or page.seconds >= seconds]
        return expect(bool(pages) and not wrong, f"{len(wrong)} of {len(pages)}: {'; '.join(wrong[:3])}")

    return Condition(f"every answer within {seconds:g} s", check)


def came_from(address: str) -> Condition[list[Page]]:
    """Every page is a 200, and its backend saw that source address."""

    def check(pages: list[Page]) -> Result:
        return equal("status and source", {(page.status, page.source) for page in pages}, {(200, address)})

    return Condition(f"every backend sees {address}", check)


def no_answer() -> Condition[list[Page]]:
    """Nothing answers: each connection is refused or times out, and none brings a page."""

    def check(pages: list[Page]) -> Result:
        answered = [str(page) for page in pages if page.failure not in ("refused", "timeout", "unreachable")]
        return expect(bool(pages) and not answered, "; ".join(answered) or "nothing was asked")

    return Condition("no answer", check)


def forbidden_to(who: str) -> Condition[list[Page]]:
    """Each request is answered with 403 Forbidden, to the user of that name."""

    def check(pages: list[Page]) -> Result:
        wrong = [f"{page}: {page.body[:200]}" for page in pages if page.status != 403 or f'"{who}\\"' not in page.body]
        return expect(bool(pages) and not wrong, "; ".join(wrong) or "nothing was asked")

    return Condition(f"forbidden to {who}", check)


def echoed(word: str) -> Condition[Mapping[str, str]]:
    """At each place the word came back."""

    def check(places: Mapping[str, str]) -> Result:
        return equal("what came back", places, dict.fromkeys(places, word)) if places else unmet("no place was asked")

    return Condition(f"{word!r} comes back everywhere", check)
