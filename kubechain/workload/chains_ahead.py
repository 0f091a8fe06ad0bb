"""Makes chains, and deletes them, in a thread of its own: while a claim is judged, the next chains are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.workload.chain import Chain

# A chain takes longer to come up than most claims take, but more of them would take the room of the Pods that claims make.
MOST = 2
# Makes a chain by an API client, with a Deployment or the default one; the stack deletes it.
Make = Callable[[Api, Json | None], tuple[ExitStack, Chain]]


class ChainsAhead:
    """The chains that are made in the thread: the next ones, and those that claims use.

    One thread makes and deletes them all, so that one API client suffices, and a deletion is never before its creation.
    """

    def __init__(self, api: Api, make: Make) -> None:
        """Take what makes a chain; it is called with a client that only the thread uses."""
        self._twin, self._make = api.twin, make
        self._pool: ThreadPoolExecutor | None = None
        self._api: Api | None = None
        self._next: deque[Future[tuple[ExitStack, Chain]]] = deque()
        # What was made and not closed yet: also a chain that nobody waited for, because an interrupt came.
        self._open: list[ExitStack] = []
        self._closing: list[Future[None]] = []
        # Namespaces of chains that no claim has used.
        self.unused: set[str] = set()

    def prepare(self, count: int) -> None:
        """Begin to make the next chains, so that there are `count` of them, at most MOST."""
        while len(self._next) < min(count, MOST):
            self._next.append(self._submit(None))

    def take(self) -> tuple[ExitStack, Chain]:
        """Return the next chain once it is made, with what deletes it; an error of its creation is raised here."""
        self.prepare(1)
        # An interrupt during this wait leaves the chain to `drop`.
        self._next[0].exception()
        return self._used(self._next.popleft())

    def make(self, deployment: Json) -> tuple[ExitStack, Chain]:
        """Make a chain with a Deployment, and return it with what deletes it."""
        return self._used(self._submit(deployment))

    def close(self, stack: ExitStack) -> None:
        """Begin to delete a chain; an error is raised by `end`."""
        self._closing.append(self._started().submit(self._close, stack))

    def drop(self) -> None:
        """Delete the next chains if there are any, and wait until every deletion so far has begun; raise their first error.

        One that has not been begun is not made: the API server may be away, and each object of a chain waits for it.
        """
        begun = [made for made in self._next if not made.cancel()]
        self._next.clear()
        for made in begun:
            if made.exception() is None:
                self.close(made.result()[0])
        closing, self._closing = self._closing, []
        errors = [error for each in closing if (error := each.exception())]
        if errors:
            raise errors[0]

    def end(self) -> None:
        """Delete every chain that is left, and end the thread; raise the first error of a deletion."""
        if self._pool is None:
            return
        try:
            # After all that was begun: the thread does one after another.
            self._pool.submit(lambda: None).result()
            for stack in list(self._open):
                self.close(stack)
            self.drop()
        finally:
            self._pool.shutdown()
            self._pool = None
            if self._api:
                self._api.close()
                self._api = None

    def _used(self, made: Future[tuple[ExitStack, Chain]]) -> tuple[ExitStack, Chain]:
        stack, chain = made.result()
        self.unused.discard(chain.namespace)
        return stack, chain

    def _submit(self, deployment: Json | None) -> Future[tuple[ExitStack, Chain]]:
        return self._started().submit(self._made, deployment)

    def _started(self) -> ThreadPoolExecutor:
        self._pool = self._pool or ThreadPoolExecutor(1, "chains")
        return self._pool

    def _made(self, deployment: Json | None) -> tuple[ExitStack, Chain]:
        self._api = self._api or self._twin()
        stack, chain = self._make(self._api, deployment)
        self._open.append(stack)
        self.unused.add(chain.namespace)
        return stack, chain

    def _close(self, stack: ExitStack) -> None:
        if stack in self._open:
            self._open.remove(stack)
            stack.close()
