"""Changes that survive a lost answer and a 5xx: they are tried again, and what an earlier attempt did counts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar, cast

from kubechain.core.errors import HarnessError
from kubechain.core.run import RUN_LABEL
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.rights import MANAGER

# No attempt begins later than this. An etcd leader change takes seconds; a webhook that times out takes 10 s by default.
CREATE_SECONDS = 20.0
# Longer than the default timeout of a webhook (10 s), so that the API server's own answer arrives.
ATTEMPT_SECONDS = 12.0
# For a patch or a deletion, and for the reads before a run.
CHANGE_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
T = TypeVar("T")


def now() -> float:
    """Return monotonic seconds."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Wait before the next attempt."""
    threading.Event().wait(seconds)


def persistently(attempt: Callable[[], T], seconds: float) -> T:
    """Return the result of `attempt`, which is repeated while the API server is unavailable; none begins after `seconds`.

    Raises:
        ApiUnavailable: the last attempt failed as well; the type is that of its error.

    """
    began, tries, longest = now(), 0, FIRST_PAUSE
    while True:
        tries += 1
        try:
            return attempt()
        except ApiUnavailable as error:
            wait = longest * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # spreads requests; no secret
            passed = now() - began
            if passed + wait >= seconds:
                if tries == 1:
                    raise
                raise type(error)(f"{error} ({tries} attempts in {passed:.0f} s)", error.code) from error
        pause(wait)
        longest = min(2 * longest, LONGEST_PAUSE)


def create(post: Callable[[], KubeObject], get: Callable[[], KubeObject | None], body: Json, seconds: float) -> KubeObject:
    """Create `body` by `post`; after an attempt without a clear answer, a refusal is success if our own object is there.

    The first attempt may have created it: then the next is refused with AlreadyExists, or because the object has the nodePort,
    the clusterIP or what was left of a quota. `get` reads the object of that name, None if it does not exist.

    Raises:
        HarnessError: the object exists, and may be ours, but the user may not read it.
        ApiRefused: status 4xx: the object is not created.
        ApiUnavailable: 5xx or no answer at every attempt within `seconds`; the object may exist.

    """
    unclear = False

    def attempt() -> KubeObject:
        nonlocal unclear
        try:
            return post()
        except ApiUnavailable:
            unclear = True
            raise
        except ApiRefused as refused:
            stored = _read(get, refused) if unclear else None
            if stored is None or stored.deleting or not is_own(body, stored):
                raise
            return stored

    return persistently(attempt, seconds)


def delete(send: Callable[[], object], missing: Collection[int], seconds: float, *, missing_ok: bool) -> None:
    """Delete an object by `send`; after an attempt without a clear answer, a status in `missing` is success.

    Raises:
        ApiRefused: status 4xx.
        ApiUnavailable: 5xx or no answer at every attempt within `seconds`; the object may be deleted.

    """
    unclear = missing_ok

    def attempt() -> None:
        nonlocal unclear
        try:
            send()
        except ApiUnavailable:
            unclear = True
            raise
        except ApiRefused as refused:
            if not unclear or refused.status not in missing:
                raise

    persistently(attempt, seconds)


def _read(get: Callable[[], KubeObject | None], refusal: ApiRefused) -> KubeObject | None:
    try:
        return get()
    except ApiRefused as refused:
        if refusal.reason != "AlreadyExists":
            return None
        raise HarnessError(
            f"{refusal}; an answer was lost, and who created it cannot be read: {refused}", refused.code
        ) from refused


def is_own(sent: Json, stored: KubeObject) -> bool:
    """Whether a stored object is the one that was sent: same run, else same content, else written by this project.

    The content alone is not enough where admission changes objects.
    """
    run = KubeObject(sent).labels.get(RUN_LABEL)
    if run:
        return stored.labels.get(RUN_LABEL) == run
    managers: list[Json] = stored.at("metadata.managedFields", [])
    return contains(stored.body, sent) or any(each.get("manager") == MANAGER for each in managers)


def contains(stored: object, sent: object) -> bool:
    """Whether JSON has every field of other JSON with the same value; lists have the same length."""
    if isinstance(sent, dict):
        fields = cast("Json", sent)
        there = cast("Json", stored) if isinstance(stored, dict) else {}
        return all(key in there and contains(there[key], value) for key, value in fields.items())
    if isinstance(sent, list):
        items = cast("list[object]", sent)
        others = cast("list[object]", stored) if isinstance(stored, list) else []
        return len(others) == len(items) and all(map(contains, others, items))
    return stored == sent
