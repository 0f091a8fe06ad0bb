"""Injections that faults share: static Pods, signals, systemd units, iptables rules, files and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some
from kubechain.core import redact
from kubechain.faults.testbed import ASIDE, MANAGER, MANIFESTS, SCHEDULER, SERVER, Testbed, is_frozen
from kubechain.kube.objects import Json, KubeObject


@dataclass(frozen=True)
class StaticPod:
    """A component of the control plane that runs with other arguments (name -> value), or, without `arguments`, not at all."""

    component: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def _manifest(self) -> str:
        return f"{MANIFESTS}/{self.component}.yaml"

    def inject(self, testbed: Testbed) -> None:
        """Copy the manifest to ASIDE, then change it, or remove it."""
        node = testbed.control_plane
        testbed.run_on(node, f"mkdir -p {ASIDE} && cp {self._manifest} {ASIDE}/")
        if self.arguments:
            pod: Any = yaml.safe_load(testbed.run_on(node, f"cat {self._manifest}"))
            (container,) = pod["spec"]["containers"]
            kept = [word for word in container["command"] if word.partition("=")[0] not in self.arguments]
            container["command"] = kept + [f"{name}={value}" for name, value in self.arguments.items()]
            testbed.write_on(node, self._manifest, yaml.safe_dump(pod))
        else:
            testbed.run_on(node, f"rm {self._manifest}")
        testbed.run_on(node, self._end(at_once=self.component == SERVER))

    def _end(self, *, at_once: bool) -> str:
        """Return a shell command that kills the component with `at_once`, after the kubelet has seen the new manifest.

        An API server and a leader without a lease take 30 s to end; other components end in order and release their lease.
        """
        return f"sleep 2; pkill -KILL -x {self.component[:15]} || true" if at_once else "true"

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the process, its arguments and, if it must run, its health endpoint."""
        running = testbed.succeeds_on(testbed.control_plane, f"pgrep -x {self.component[:15]}")
        if not self.arguments:
            return expect(not running, f"{self.component} running")
        words = testbed.run_on(testbed.control_plane, f"pgrep -a {self.component[:15]} || true")
        wrong = [name for name, value in self.arguments.items() if f"{name}={value}" not in words]
        seen = (
            f"{self.component} without {some(wrong)}: {redact.beginning(words, 80)}" if wrong else f"no healthy {self.component}"
        )
        return expect(not wrong and _healthy(testbed, self.component), seen)

    def heal(self, testbed: Testbed) -> None:
        """Restore the manifest."""
        kept = f"{ASIDE}/{self.component}.yaml"
        end = self._end(at_once=self.component == SERVER or self.arguments.get("--leader-elect") == "false")
        testbed.run_on(testbed.control_plane, f"test ! -e {kept} || {{ mv {kept} {self._manifest}; {end}; }}")


PORTS = {SERVER: 6443, MANAGER: 10257, SCHEDULER: 10259}


def _healthy(testbed: Testbed, component: str) -> bool:
    return testbed.succeeds_on(testbed.control_plane, f"curl -sfk -m 2 https://127.0.0.1:{PORTS[component]}/healthz")


@dataclass(frozen=True)
class IptablesRule:
    """An iptables rule on some nodes; "{pods}" in it stands for the node's podCIDR."""

    table: str
    rule: str
    where: str

    def _words(self, testbed: Testbed, node: str) -> str:
        chain, _, rest = self.rule.partition(" ")
        pods = next(each.at("spec.podCIDR") for each in testbed.chain_factory.environment.nodes if each.name == node)
        return f"{chain} {rest.format(pods=pods)}"

    def inject(self, testbed: Testbed) -> None:
        """Insert the rule as the first of its chain."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, f"iptables -w -t {self.table} -I {self._words(testbed, node)}")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that every node has the rule."""
        missing = [
            node
            for node in testbed.nodes(self.where)
            if not testbed.succeeds_on(node, f"iptables -w -t {self.table} -C {self._words(testbed, node)}")
        ]
        return expect(not missing, f"no such rule on {some(missing)}")

    def heal(self, testbed: Testbed) -> None:
        """Delete the rule until no copy of it is left."""
        for node in testbed.nodes(self.where):
            words = f"iptables -w -t {self.table} -D {self._words(testbed, node)}"
            testbed.run_on(node, f"while {words} 2> /dev/null; do :; done")


@dataclass(frozen=True)
class Script:
    """Shell scripts on some nodes: `breaks` injects, `shows` exits with 0 while the fault is in effect, `mends` heals.

    `also` must return True too before the fault counts as in effect.
    """

    where: str
    breaks: str
    shows: str
    mends: str
    also: Callable[[Testbed], bool] = lambda _: True

    def inject(self, testbed: Testbed) -> None:
        """Run `breaks` on every node."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, self.breaks)

    def in_effect(self, testbed: Testbed) -> Result:
        """Run `shows` on every node, then check `also`."""
        whole = testbed.failing_nodes(self.where, self.shows)
        return expect(not whole and self.also(testbed), f"{some(whole)} whole" if whole else "no effect yet")

    def heal(self, testbed: Testbed) -> None:
        """Run `mends` on every node."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, self.mends)


def frozen(process: str, where: str = "control-plane") -> Script:
    """Return the injection that stops processes with SIGSTOP on some nodes, until it is healed."""
    return Script(where, f"pkill -STOP -f '^{process}'", is_frozen(process), f"pkill -CONT -f '^{process}' || true")


def unit_stopped(name: str, where: str) -> Script:
    """Return the injection that stops a systemd unit on some nodes."""
    return Script(where, f"systemctl stop {name}", f"! systemctl is-active {name}", f"systemctl start {name}")


@dataclass(frozen=True)
class KubeletSetting:
    """A field of the kubelet's configuration file with another value, on some nodes."""

    where: str
    field: str
    value: str

    def inject(self, testbed: Testbed) -> None:
        """Write the value and restart the kubelet."""
        for node in testbed.nodes(self.where):
            testbed.run_on(
                node,
                f"mkdir -p {ASIDE} && cp -n /var/lib/kubelet/config.yaml {ASIDE}/kubelet.yaml && "
                f"sed -i '/^{self.field}:/,/^[a-zA-Z]/{{/^{self.field}:/d;/^- /d}}' /var/lib/kubelet/config.yaml && "
                f"printf '{self.field}: {self.value}\\n' >> /var/lib/kubelet/config.yaml && systemctl restart kubelet",
            )

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the file, and that the kubelet is healthy."""
        wanted = (
            f"grep -qxF '{self.field}: {self.value}' /var/lib/kubelet/config.yaml && curl -sf -m 2 http://127.0.0.1:10248/healthz"
        )
        wrong = testbed.failing_nodes(self.where, wanted)
        return expect(not wrong, f"another {self.field}, or no healthy kubelet, on {some(wrong)}")

    def heal(self, testbed: Testbed) -> None:
        """Restore the file and restart the kubelet."""
        kept = f"{ASIDE}/kubelet.yaml"
        for node in testbed.nodes(self.where):
            testbed.run_on(
                node, f"test ! -e {kept} || {{ mv {kept} /var/lib/kubelet/config.yaml && systemctl restart kubelet; }}"
            )


@dataclass(frozen=True)
class Objects:
    """Objects that exist for as long as the fault; `shows` checks their effect."""

    manifests: tuple[Json, ...]
    shows: Callable[[Testbed], Result]
    namespace: str = ""

    def inject(self, testbed: Testbed) -> None:
        """Create the objects."""
        for manifest in self.manifests:
            testbed.recreate(manifest, self.namespace)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the effect."""
        return self.shows(testbed)

    def heal(self, testbed: Testbed) -> None:
        """Delete the objects."""
        for manifest in self.manifests:
            testbed.delete(manifest["kind"], manifest["metadata"]["name"], self.namespace)


@dataclass(frozen=True)
class Patched:
    """An object with a merge patch, `back` the merge patch that reverts it; `shows` returns whether the object is patched.

    `settled` checks the effect of the patch on the rest of the cluster.
    """

    kind: str
    namespace: str
    name: str
    patch: Json
    back: Json
    shows: Callable[[KubeObject], bool]
    settled: Callable[[Testbed], Result] | None = None

    def inject(self, testbed: Testbed) -> None:
        """Apply the patch."""
        testbed.api.patch(self.kind, self.namespace, self.name, self.patch)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the object, then `settled`."""
        resource = testbed.api.get(self.kind, self.namespace, self.name)
        patched = expect(resource is not None and self.shows(resource), f"{self.kind} {self.name} without the patch")
        return self.settled(testbed) if patched.met and self.settled else patched

    def heal(self, testbed: Testbed) -> None:
        """Apply the patch that reverts."""
        testbed.api.patch(self.kind, self.namespace, self.name, self.back)
