"""The result of an HTTP request, and the conditions on lists of them; this module does no request."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kubechain.conditions.condition import Condition, Result, expect, unmet
from kubechain.conditions.text import some, tally
from kubechain.conditions.timeouts import API, DATA_PLANE
from kubechain.core import redact

# A message shows at most MOST_PAGES wrong pages, and BODY characters of the body of each.
MOST_PAGES, BODY = 3, 60
Failure = Literal["", "refused", "timeout", "reset", "unreachable", "name", "local", "other"]
# Failures whose name says nothing in a message.
FAILED: dict[Failure, str] = {"name": "name not found", "local": "not sent", "other": "no answer"}
# Failures of connections that nobody accepts.
ABSENT: tuple[Failure, ...] = ("refused", "timeout", "unreachable")


@dataclass(frozen=True, slots=True)
class Page:
    """The response to one HTTP request on a new connection, or its failure ("" with a response).

    `backend` is the Pod that answered (header X-Backend), `source` the client address that it saw (X-Source), `peer` the
    address of the connection, `seconds` the duration from connect to the end of the body, `connected` until the connection was
    there, which the kernels do alone (asked from a Pod).
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
    connected: float = 0.0

    def __str__(self) -> str:
        what = FAILED.get(self.failure, self.failure) or self.status
        return f"{self.url}: {what}" + (f" ({self.detail})" if self.detail else "")


def welcomes(pages: Sequence[Page], text: str) -> Result:
    """Return met if there are pages and each is a 200 with `text` in its body."""
    wrong = [_shown(page) for page in pages if page.status != 200 or text not in page.body]
    return expect(bool(pages) and not wrong, _wrong(wrong))


def _wrong(pages: Sequence[str]) -> str:
    """Return the wrong pages for a message; "no answer" if there is none."""
    return tally(pages, "; ", MOST_PAGES) if pages else "no answer"


def _shown(page: Page) -> str:
    """Return a wrong page for a message, with the beginning of its body if the status is 200."""
    return f"{page} with body {redact.beginning(' '.join(page.body.split()), BODY)!r}" if page.status == 200 else str(page)


def who(page: Page) -> str:
    """Return the backend that answered, else the failure or the status."""
    return (page.backend or "a backend without a name") if page.status == 200 else page.failure or f"status {page.status}"


def all_welcome(text: str, at: str = "") -> Condition[list[Page]]:
    """Every page is a 200 with `text` in its body; if `at` is given, every connection went to that address."""

    def check(pages: list[Page]) -> Result:
        result = welcomes(pages, text)
        if not at or not result.met:
            return result
        all_at = {page.peer for page in pages} == {at}
        return expect(all_at, tally(page.peer or "no address" for page in pages), f"connections to {at} alone")

    return Condition(f"every answer to say {text!r}", check, DATA_PLANE)


def every_backend(wanted: frozenset[str], text: str) -> Condition[Mapping[str, list[Page]]]:
    """At each place (node name or URL), every page is a 200 with `text`, and exactly the `wanted` Pods answered."""

    def check(places: Mapping[str, list[Page]]) -> Result:
        for place, pages in places.items():
            result = welcomes(pages, text)
            if not result.met:
                # Each page says its URL, which may be the place.
                where = "" if any(page.url == place for page in pages) else f"at {place}: "
                return unmet(f"{where}{result.got}", f"every answer to say {text!r}")
            if frozenset(page.backend for page in pages) != wanted:
                return unmet(tally(map(who, pages)), f"answers of {some(sorted(wanted))} at {place}")
        return expect(bool(places), "no place to ask")

    return Condition(f"answers of each of {len(wanted)} backends everywhere", check, DATA_PLANE)


def all_refused() -> Condition[list[Page]]:
    """Every connection is refused; a timeout does not meet the condition."""

    def check(pages: list[Page]) -> Result:
        wrong = [str(page) for page in pages if page.failure != "refused"]
        return expect(bool(pages) and not wrong, _wrong(wrong))

    return Condition("every connection refused", check, DATA_PLANE)


def only_from(*backends: str) -> Condition[list[Page]]:
    """Every page is a 200 from one of these backends, and each of them answered at least once."""

    def check(pages: list[Page]) -> Result:
        answers = {(page.status, page.backend) for page in pages}
        return expect(answers == {(200, name) for name in backends}, tally(map(who, pages)))

    return Condition(f"answers of {some(backends)} alone", check, DATA_PLANE)


def one_backend() -> Condition[list[Page]]:
    """Every page is a 200 from the same backend."""

    def check(pages: list[Page]) -> Result:
        answers = {(page.status, page.backend) for page in pages}
        return expect(len(answers) == 1 and next(iter(answers))[0] == 200, tally(map(who, pages)))

    return Condition("every answer from the same backend", check, DATA_PLANE)


def least_share(requests: int, backends: int, alarm: float = 1e-6) -> int:
    """Return the largest number of requests that each backend gets with a probability above 1 - `alarm`.

    Each request picks a backend at random. The probability that any backend gets fewer is at most the binomial tail times
    the number of backends.
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
    """Every page is a 200 from one of the backends, and each of them answered at least `least_share` requests."""

    def check(pages: list[Page]) -> Result:
        least = least_share(len(pages), len(backends))
        counts = Counter(page.backend for page in pages if page.status == 200)
        if counts.total() < len(pages):
            return unmet(tally(map(who, pages)), "an answer to every request")
        fair = frozenset(counts) == backends and min(counts.values()) >= least > 0
        expected = f"at least {least} of {len(pages)} answers of each of {some(sorted(backends))}"
        return expect(fair, tally(map(who, pages)), expected)

    return Condition(f"requests spread over {some(sorted(backends))}", check, DATA_PLANE)


def none_slower(seconds: float) -> Condition[list[Page]]:
    """Every page is a 200 whose connection was there in less than `seconds`, however long a busy Node takes for the rest."""

    def check(pages: list[Page]) -> Result:
        wrong = [f"{page} in {page.connected:.2f} s" for page in pages if page.status != 200 or page.connected >= seconds]
        got = f"{len(wrong)} of {len(pages)} late or lost: {_wrong(wrong)}" if pages else "no answer"
        return expect(bool(pages) and not wrong, got)

    return Condition(f"an answer to each request, connected within {seconds:g} s", check)


def came_from(address: str) -> Condition[list[Page]]:
    """Every page is a 200, and its backend saw this source address."""

    def check(pages: list[Page]) -> Result:
        all_from = {(page.status, page.source) for page in pages} == {(200, address)}
        return expect(all_from, tally(page.source or "no source" if page.status == 200 else who(page) for page in pages))

    return Condition(f"every backend to see the source address {address}", check, DATA_PLANE)


def no_answer() -> Condition[list[Page]]:
    """Each connection is refused, times out or finds no route."""

    def check(pages: list[Page]) -> Result:
        answered = [str(page) for page in pages if page.failure not in ABSENT]
        return expect(bool(pages) and not answered, _wrong(answered) if pages else "no request")

    return Condition("every connection refused or without an answer", check, DATA_PLANE)


def forbidden_to(who: str) -> Condition[list[Page]]:
    """Each page is a 403 whose message names the user `who`."""

    def check(pages: list[Page]) -> Result:
        wrong = [
            f"{page} {redact.beginning(page.body, 200)}".rstrip()
            for page in pages
            if page.status != 403 or f'"{who}\\"' not in page.body
        ]
        return expect(bool(pages) and not wrong, _wrong(wrong))

    return Condition(f"status 403 for {who}", check, API)


def all_status(status: int) -> Condition[list[Page]]:
    """Every page has this status."""

    def check(pages: list[Page]) -> Result:
        wrong = [str(page) for page in pages if page.status != status]
        return expect(bool(pages) and not wrong, _wrong(wrong))

    return Condition(f"status {status} of every answer", check, DATA_PLANE)


def any_accepted() -> Condition[list[Page]]:
    """At least one connection is not refused, and is not without an answer."""

    def check(pages: list[Page]) -> Result:
        return expect(any(page.failure not in ABSENT for page in pages), _wrong([str(page) for page in pages]))

    return Condition("any connection accepted", check, DATA_PLANE)


def came_back() -> Condition[tuple[str, str]]:
    """What came back is what was sent; both are a checksum and a number of bytes, as `cksum` prints them."""

    def check(echo: tuple[str, str]) -> Result:
        (sum_sent, sent), (sum_back, back) = (each.split() for each in echo)
        got = f"{back} of {sent} bytes" if sent != back else f"{back} bytes with checksum {sum_back} in place of {sum_sent}"
        return expect(echo[0] == echo[1], got, f"{sent} bytes to come back unchanged")

    return Condition("every byte to come back unchanged", check, DATA_PLANE)


def echoed(word: str) -> Condition[Mapping[str, str]]:
    """The answer at each place is `word`."""

    def check(places: Mapping[str, str]) -> Result:
        wrong = {place: answer for place, answer in places.items() if answer != word}
        got = some(f"{answer or 'nothing'} at {place}" for place, answer in wrong.items())
        return expect(bool(places) and not wrong, got if places else "no place to ask")

    return Condition(f"{word!r} to come back everywhere", check, DATA_PLANE)
