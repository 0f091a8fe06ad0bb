"""Runs the suite as a user with exactly the rights of a generated role, and compares the role with the audit log.

Nothing may be refused, and every right of the role must be used. All that is created on the cluster is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kubechain.claims.rights import ALLOWING, CORE, YIELDING
from kubechain.cleanup import namespaces
from kubechain.cluster import docker_engine, existing
from kubechain.core.default_folders import default_cache
from kubechain.core.interrupts import INTERRUPTS
from kubechain.core.run import CORDONED_BY, EXPIRES_LABEL, RUN_LABEL
from kubechain.faults.admission_policies import rules, selected, set_to
from kubechain.kube import rights as kube_rights
from reports import catalogue, rights
from tests.rights import audit_log, deprived
from tests.rights.account import Admin, account, renamed

ABSENT = "localhost/kubechain/absent:0"
# So little patience that whatever is not there at once is missing.
AT_ONCE = ("--patience", "0.0001")
POLICY_SECONDS = 3.0
# Claims of which the policy changes what one rests on.
CHANGED = "CHAIN-SERVICE-010,CHAIN-SERVICE-040"
DURING_SECONDS = 20.0
# The log is written after the answer.
LOG_SECONDS = 2.0

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


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


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
    proof.command("run", "--level", "full", *proof.words)
    words = [word for word in proof.words if word != "--disruptive"]
    proof.command("run", "--only", "CHAIN-PODS-010", "--patience", "0.1", *words, "--nginx-image", ABSENT, allowed=(13,))
    proof.command("run", "--only", "CHAIN-PODS-010", *AT_ONCE, *words, allowed=(1,))
    with proof.changing():
        proof.command("run", "--only", CHANGED, *words)
    proof.renew()


def disruptive(proof: Proof) -> None:
    """Run every claim with --disruptive; see `run`."""
    proof.words.append("--disruptive")
    run(proof)


def upgrade(proof: Proof) -> None:
    """Run the three phases, 20 seconds of sampling in the second; the cluster is not upgraded, so claims that ask for it fail."""
    snapshot = str(proof.folder / "snapshot.json")
    proof.command("upgrade", "before", "--snapshot", snapshot, *proof.words)
    proof.command("upgrade", "before", "--snapshot", f"{snapshot}.broken", *AT_ONCE, *proof.words, allowed=(1,))
    with proof.changing():
        proof.command("run", "--only", CHANGED, *proof.words)
    # No verdict: too few samples for the claims about availability.
    proof.command("upgrade", "during", "--snapshot", snapshot, *proof.words, allowed=(0, 1, 2, 10), seconds=DURING_SECONDS)
    proof.command("upgrade", "after", "--snapshot", snapshot, *proof.words, allowed=(0, 1))
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


ROLES: dict[str, Callable[[Proof], None]] = {"run": run, "disruptive": disruptive, "upgrade": upgrade, "clean": clean}


def prove(role: rights.Role, admin: Admin, log: str, words: list[str]) -> bool:
    """Prove one role; print what was refused, what was unused, and what claims declare in vain."""
    name = f"kubechain-{role.name}-{secrets.token_hex(3)}"
    user = f"system:serviceaccount:{name}:{name}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with account(admin, renamed(rights.manifest(role), name), name, folder) as kubeconfig:
            proof = Proof(admin, name, kubeconfig, folder, words)
            ROLES[role.name](proof)
            threading.Event().wait(LOG_SECONDS)
        with subprocess.Popen([*shlex.split(log), user], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            found = audit_log.uses(process.stdout, user)
    # They are used only on a cluster that denies traffic in new namespaces, that has webhooks, or where a drain waits.
    seldom = ALLOWING.requirement.rights | YIELDING.requirement.rights | {kube_rights.right("get", "services")}
    unused = sorted(role.rights - found.rights.keys() - seldom)
    for line in (*found.refused, *proof.failed, *(f"unused: {right}" for right in unused)):
        say(line)
    for claim in role.claims:
        idle = audit_log.idle(claim, found)
        if idle:
            say(f"{claim.id} declares and did not use: {', '.join(map(str, idle))}")
    summary = f"{found.requests} requests, refused {len(found.refused)}, unused {len(unused)}, rights {len(role.rights)}"
    say(f"role {role.name}: {summary}, commands that failed {len(proof.failed)}")
    return not (found.refused or unused or proof.failed)


def deprive(role: rights.Role, taken: Sequence[str], admin: Admin, words: list[str]) -> bool:
    """Take rights such as "get pods/proxy", or ("all") every one that not all claims need, from a role, one at a time."""
    every = sorted(role.rights - CORE.rights)
    good = True
    for right in [each for each in every if "all" in taken or str(each) in taken]:
        skipped, wrong = deprived.trouble(role, right, admin, words)
        say(f"without {right}: {skipped} skipped, {len(wrong)} wrong")
        for line in wrong:
            say(f"  {line}")
        good = good and not wrong
    return good


def main() -> int:
    """Prove the roles that the command line names; return 1 if one is not exact."""
    INTERRUPTS.arm()
    parser = argparse.ArgumentParser(prog="python -m tests.rights", description=__doc__)
    parser.add_argument("--context", default=os.environ.get("KUBECHAIN_CONTEXT", ""), help="of a user who may create roles")
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECHAIN_KUBECONFIG", ""))
    parser.add_argument("--roles", nargs="+", choices=list(ROLES), default=["run", "upgrade", "clean"])
    parser.add_argument("--without", nargs="+", default=[], help="rights to take away instead, one at a time, or all")
    parser.add_argument("--log", help="command that prints the lines of the audit log with the text that follows it")
    options, words = parser.parse_known_args()
    keys = tempfile.TemporaryDirectory()
    kubeconfig = existing.kubeconfig(options.kubeconfig, options.context, Path(keys.name))
    node = options.context.removeprefix("kind-") + "-control-plane"
    docker_engine.find(default_cache())
    log = options.log or f"docker exec {node} grep -F -h -r --include=audit*.log /var/log/kubernetes -e"
    roles = rights.roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()])
    admin = Admin(kubeconfig, options.context)
    if options.without:
        return 0 if deprive(roles[options.roles[0]], options.without, admin, words) else 1
    exact = [prove(roles[name], admin, log, words) for name in options.roles]
    return 0 if all(exact) else 1


if __name__ == "__main__":
    sys.exit(main())
