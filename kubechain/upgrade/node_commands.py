"""Commands on the nodes of a kind cluster while it is upgraded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kubechain.cluster.kind import Cluster
from kubechain.conditions.condition import Condition, Result, hopeless, met, unmet
from kubechain.conditions.timeouts import Timeout
from kubechain.core import redact
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import Completed, check, run
from kubechain.observe.wait import Polled, Waiter

NODE_SECONDS = 300.0
COPY_SECONDS = 120.0
RETRY_SECONDS = 2.0
COMMAND = Timeout(420, "a drain takes up to 180 s; a starting API server forbids a Node's requests for some seconds")
# Parts of an error after which the command may succeed later.
TRANSIENT = ("forbidden", "refused", "Unable to connect", "EOF", "timed out", "Timeout", "TLS handshake", "etcdserver")
T = TypeVar("T")


@dataclass(frozen=True)
class NodeCommands:
    """Commands of the hop to the version `to`, with the folder `bundle` of its programs."""

    cluster: Cluster
    waiter: Waiter
    to: str
    bundle: Path

    def run(self, node: str, *words: str, seconds: float = COPY_SECONDS) -> str:
        """Run a command on a node and return its stdout; SetupError if it fails (exit code CLUSTER)."""
        command = [self.cluster.docker.client, "exec", node, *words]
        doing = f"`{redact.text(' '.join(words[:4]))}` on {node}"
        return check(command, timeout=seconds, code=ExitCode.CLUSTER, doing=doing)

    def retry(self, node: str, *words: str) -> Completed:
        """Run an idempotent command on a node, again while the API server does not answer or forbids the Node's requests.

        The new kubelet of the control plane restarts it some seconds after it was ready.
        """
        command = [self.cluster.docker.client, "exec", node, *words]
        source = Polled("commands", lambda: run(command, timeout=NODE_SECONDS), self.waiter.clock, RETRY_SECONDS)
        return self.wait(source, Condition(f"`{' '.join(words[:3])}` on {node} to succeed", succeeded), COMMAND)

    def replace(self, node: str, program: str) -> None:
        """Replace a program of a node by that of the bundle, atomically."""
        path = f"/usr/bin/{program}"
        words = [self.cluster.docker.client, "cp", self.bundle / program, f"{node}:{path}.new"]
        check(words, timeout=COPY_SECONDS, code=ExitCode.CLUSTER, doing=f"copying {program} to {node}")
        self.run(node, "sh", "-c", f"chmod 755 {path}.new && mv {path}.new {path}")

    def wait(self, source: Polled[T], condition: Condition[T], within: Timeout) -> T:
        """Wait for a condition and return the state that met it; SetupError if it is not met (exit code CLUSTER)."""
        with unmet_as(SetupError, f"the upgrade to {self.to} stopped", code=ExitCode.CLUSTER):
            return self.waiter.eventually(source, condition, within=within).state


def succeeded(done: Completed) -> Result:
    """Return whether a command on a node succeeded; hopeless unless its error is TRANSIENT."""
    if done.status == 0:
        return met()
    why = f"status {done.status}: {done.last_words}"
    return unmet(why) if any(word in done.stderr + done.stdout for word in TRANSIENT) else hopeless(why)
