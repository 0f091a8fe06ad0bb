"""What a user with exactly the rights of a role does, so that each of them is used; all that is created is deleted."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.cleanup import marked_objects, namespaces
from kubechain.cleanup.marked_objects import RUN
from kubechain.cluster import existing
from kubechain.core.run import CORDONED_BY, EXPIRES_LABEL, POD, RUN_LABEL
from kubechain.faults.admission_policies import rules, selected, set_to
from kubechain.kube.objects import Json
from kubechain.workload import manifests, network_policies, service_manifests
from tests import rigs
from tests.rights.account import Admin
from tests.rights.rows import say

ABSENT = "localhost/kubechain/absent:0"
# So little patience that whatever is not there at once is missing.
AT_ONCE = ("--patience", "0.0001")
POLICY_SECONDS = 3.0
# Claims of which the policy changes what one rests on.
CHANGED = "CHAIN-SERVICE-010,CHAIN-SERVICE-040"
# What `kubechain clean` in one namespace must leave nothing of.
KINDS_LEFT = ("deployments", "replicasets", "pods", "services", "endpointslices", "configmaps", "serviceaccounts",
              "poddisruptionbudgets", "networkpolicies")  # fmt: skip
DURING_SECONDS = 20.0
POLICY = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "kubechain-rights"}}
CHANGING = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            **POLICY,
            "kind": "MutatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"namespaceSelector": selected(), "resourceRules": rules("Service", ["CREATE"])},
                "reinvocationPolicy": "Never",
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": set_to("/spec/sessionAffinity", '"ClientIP"')}}
                ],
            },
        },
        {**POLICY, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "kubechain-rights"}},
    ],
}


@dataclass
class Proof:
    """The proof of one role: `name` is that of its ServiceAccount and context, `kubeconfig` its file, `words` more options."""

    admin: Admin
    name: str
    kubeconfig: Path
    folder: Path
    words: list[str]
    failed: list[str] = field(default_factory=list[str])

    def command(self, *words: str, allowed: Sequence[int] = (0,), seconds: float | None = None) -> None:
        """Run a command of kubechain as the user; after `seconds`, if given, send it SIGINT, as Ctrl-C does."""
        words = (*words, "--context", self.name, "--kubeconfig", str(self.kubeconfig))
        say("+ kubechain " + " ".join(words))
        process = subprocess.Popen(
            [sys.executable, "-m", "kubechain", *words],
            env={**os.environ, "KUBECHAIN_OUT": str(self.folder / "out"), "KUBECHAIN_CACHE": str(self.folder / "cache")},
        )
        with rigs.ending(process):
            if seconds:
                self._interrupt(process, seconds)
            status = process.wait(timeout=1800)
        if status not in allowed:
            self.failed.append(f"{' '.join(words[:2])}: exit status {status}")

    def _interrupt(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Interrupt a run `seconds` after its samplers have begun."""
        began = self.folder / "snapshot.json.asked" / "began"
        while process.poll() is None and not began.exists():
            threading.Event().wait(0.5)
        threading.Event().wait(seconds)
        process.send_signal(signal.SIGINT)

    @contextmanager
    def left(self) -> Generator[str]:
        """Create a namespace of a run that has expired, as the user admin; yield the id of the run."""
        run = secrets.token_hex(4)
        name = f"kubechain-{run}-main-0"
        self.admin.run("create", "namespace", name)
        self.admin.run("label", "namespace", name, f"{RUN_LABEL}={run}", f"{EXPIRES_LABEL}=1")
        self.admin.run("annotate", "namespace", name, f"{POD}={pod_that_is_gone(name)}")
        try:
            yield run
        finally:
            self.admin.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")

    @contextmanager
    def changing(self) -> Generator[None]:
        """Let a policy change every Service of a run, as the user admin."""
        self.admin.run("apply", "-f", "-", given=json.dumps(CHANGING))
        # The API server reads a new policy within a second.
        threading.Event().wait(POLICY_SECONDS)
        try:
            yield
        finally:
            self.admin.run("delete", "-f", "-", "--ignore-not-found", given=json.dumps(CHANGING))

    def renew(self) -> None:
        """Renew the expiry of a namespace, which a run does every 10 minutes."""
        with self.left() as run:
            api = existing.connect(self.kubeconfig, self.name, self.folder / "secrets")
            namespaces.renew(api, run, {})
            api.close()


def run(proof: Proof) -> None:
    """Run every claim; one without its image, one that fails and one whose object is changed, each with its evidence."""
    words = [word for word in proof.words if word != "--disruptive"]
    _claims(proof, words)
    with proof.changing():
        proof.command("run", "--only", CHANGED, *words)
    proof.renew()


def _claims(proof: Proof, words: Sequence[str]) -> None:
    """Run every claim, then one without its image and one that fails, with these options in place of all."""
    proof.command("run", "--level", "full", *proof.words)
    proof.command("run", "--only", "CHAIN-PODS-010", "--patience", "0.1", *words, "--nginx-image", ABSENT, allowed=(13,))
    # Where everything is there at once, the claim passes: the rights that its evidence needs are then unused.
    proof.command("run", "--only", "CHAIN-PODS-010", *AT_ONCE, *words, allowed=(0, 1))


def namespace(proof: Proof) -> None:
    """Run every claim in the one namespace of the user; see `run`. Then clean what a dead run has left there of each kind."""
    proof.words += ["--namespace", proof.name]
    _claims(proof, proof.words)
    left = left_in(proof.name, secrets.token_hex(4))
    proof.admin.run("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": left}))
    with closing(existing.connect(proof.kubeconfig, proof.name, proof.folder / "secrets")) as api:
        sign = api.get("ConfigMap", proof.name, RUN)
        marked_objects.renew(api, proof.name, sign.uid if sign else "")
    proof.admin.run("label", "configmap", RUN, "--namespace", proof.name, f"{EXPIRES_LABEL}=1", "--overwrite")
    proof.command("clean", "--namespace", proof.name)
    rest = proof.admin.run("get", ",".join(KINDS_LEFT), "--namespace", proof.name, "-l", RUN_LABEL, "-o", "name").split()
    proof.failed += [f"clean --namespace has left {each}" for each in rest]


def pod_that_is_gone(space: str) -> str:
    """Return the mark of a run that lived in a Pod which is not there: its end is found out by reading the Pod."""
    return f"{space}/gone/0"


def left_in(space: str, run_id: str) -> list[Json]:
    """Return objects as a killed run leaves them in a namespace, one of each kind but those that controllers make of them."""
    labels = {RUN_LABEL: run_id, EXPIRES_LABEL: "1"}
    sign = marked_objects.sign(labels)
    sign["metadata"]["annotations"] |= {POD: pod_that_is_gone(space)}
    bodies = [
        sign,
        manifests.service_account(),
        manifests.deployment(ABSENT),
        service_manifests.service(),
        service_manifests.endpoint_slice("left", "10.0.0.1", port=service_manifests.CONTAINER_PORT),
        manifests.disruption_budget("left", 1),
        network_policies.allow_traffic(labels),
    ]
    for body in bodies:
        metadata: Json = body["metadata"]
        metadata |= {"namespace": space, "labels": {**metadata.get("labels", {}), **labels}}
        if body["kind"] == "Deployment":
            body["spec"]["template"]["metadata"]["labels"] |= labels
    return bodies


def disruptive(proof: Proof) -> None:
    """Run every claim with --disruptive; see `run`."""
    proof.words.append("--disruptive")
    run(proof)


def upgrade(proof: Proof) -> None:
    """Run the three phases, 20 seconds of sampling in the second, and a run that keeps its state for as long.

    The cluster is not upgraded, so claims that ask for it fail.
    """
    snapshot = str(proof.folder / "snapshot.json")
    proof.command("upgrade", "before", "--snapshot", snapshot, *proof.words)
    # For the rights that the evidence of a broken chain needs.
    proof.command("run", "--only", "CHAIN-PODS-010", *AT_ONCE, *proof.words, allowed=(0, 1))
    with proof.changing():
        proof.command("run", "--only", CHANGED, *proof.words)
    # No verdict: too few samples for the claims about availability.
    proof.command("upgrade", "during", "--snapshot", snapshot, *proof.words, allowed=(0, 1, 2, 10), seconds=DURING_SECONDS)
    proof.command("upgrade", "after", "--snapshot", snapshot, *proof.words, allowed=(0, 1))
    # A run that keeps its state looks for the samplers of the one before it.
    kept = ("--state", f"{proof.name}/kept", "--for", f"{DURING_SECONDS:.0f}s")
    proof.command("during", *kept, *proof.words, allowed=(0, 1, 2, 10))
    proof.renew()


def clean(proof: Proof) -> None:
    """Clean a cluster on which a run has left a namespace and the mark of a cordon."""
    with proof.left() as run:
        node = proof.admin.run("get", "nodes", "-o", "name").split()[-1]
        proof.admin.run("annotate", node, f"{CORDONED_BY}={run}", f"{EXPIRES_LABEL}=1", "--overwrite")
        try:
            proof.command("clean")
        finally:
            proof.admin.run("annotate", node, f"{CORDONED_BY}-", f"{EXPIRES_LABEL}-")


ROLES: dict[str, Callable[[Proof], None]] = {
    "run": run,
    "namespace": namespace,
    "disruptive": disruptive,
    "upgrade": upgrade,
    "clean": clean,
}
