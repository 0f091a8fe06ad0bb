"""The ways in which faults are made: static Pods, signals, units, packet rules, files, objects and admission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some
from kubechain.faults.testbed import ASIDE, MANAGER, MANIFESTS, SCHEDULER, SERVER, Testbed, is_frozen
from kubechain.kube.objects import Json, KubeObject


@dataclass(frozen=True)
class StaticPod:
    """A component of the control plane with other arguments (argument -> value), or, without any, not there at all."""

    component: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def _manifest(self) -> str:
        return f"{MANIFESTS}/{self.component}.yaml"

    def inject(self, lab: Testbed) -> None:
        """Put the manifest aside, and another in its place."""
        node = lab.control_plane
        lab.on(node, f"mkdir -p {ASIDE} && cp {self._manifest} {ASIDE}/")
        if self.arguments:
            pod: Any = yaml.safe_load(lab.on(node, f"cat {self._manifest}"))
            (container,) = pod["spec"]["containers"]
            kept = [word for word in container["command"] if word.partition("=")[0] not in self.arguments]
            container["command"] = kept + [f"{name}={value}" for name, value in self.arguments.items()]
            lab.write_on(node, self._manifest, yaml.safe_dump(pod))
        else:
            lab.on(node, f"rm {self._manifest}")
        lab.on(node, self._end(at_once=self.component == SERVER))

    def _end(self, *, at_once: bool) -> str:
        """A shell command that ends the component, if it is not left to end in order, once the kubelet has seen the change.

        What has no lease to give back takes 30 s to end by itself: an API server, and what leads without one.
        """
        return f"sleep 2; pkill -KILL -x {self.component[:15]} || true" if at_once else "true"

    def took(self, lab: Testbed) -> Result:
        """Look at the process and its arguments; an API server must answer too."""
        running = lab.try_on(lab.control_plane, f"pgrep -x {self.component[:15]}")
        if not self.arguments:
            return expect(not running, f"{self.component} running")
        words = lab.on(lab.control_plane, f"pgrep -a {self.component[:15]} || true")
        wrong = [name for name, value in self.arguments.items() if f"{name}={value}" not in words]
        seen = f"{self.component} without {some(wrong)}: {words[:80]}" if wrong else f"no healthy {self.component}"
        return expect(not wrong and _healthy(lab, self.component), seen)

    def heal(self, lab: Testbed) -> None:
        """Put the manifest back."""
        kept = f"{ASIDE}/{self.component}.yaml"
        end = self._end(at_once=self.component == SERVER or self.arguments.get("--leader-elect") == "false")
        lab.on(lab.control_plane, f"test ! -e {kept} || {{ mv {kept} {self._manifest}; {end}; }}")


PORTS = {SERVER: 6443, MANAGER: 10257, SCHEDULER: 10259}


def _healthy(lab: Testbed, component: str) -> bool:
    return lab.try_on(lab.control_plane, f"curl -sfk -m 2 https://127.0.0.1:{PORTS[component]}/healthz")


@dataclass(frozen=True)
class Rule:
    """A rule of iptables on some nodes; "{pods}" in it stands for the node's podCIDR."""

    table: str
    rule: str
    where: str

    def _words(self, lab: Testbed, node: str) -> str:
        chain, _, rest = self.rule.partition(" ")
        pods = next(each.at("spec.podCIDR") for each in lab.chain_factory.environment.nodes if each.name == node)
        return f"{chain} {rest.format(pods=pods)}"

    def inject(self, lab: Testbed) -> None:
        """Put it first."""
        for node in lab.nodes(self.where):
            lab.on(node, f"iptables -w -t {self.table} -I {self._words(lab, node)}")

    def took(self, lab: Testbed) -> Result:
        """Look for it."""
        missing = [
            node
            for node in lab.nodes(self.where)
            if not lab.try_on(node, f"iptables -w -t {self.table} -C {self._words(lab, node)}")
        ]
        return expect(not missing, f"no such rule on {some(missing)}")

    def heal(self, lab: Testbed) -> None:
        """Take it away, however often it is there."""
        for node in lab.nodes(self.where):
            words = f"iptables -w -t {self.table} -D {self._words(lab, node)}"
            lab.on(node, f"while {words} 2> /dev/null; do :; done")


@dataclass(frozen=True)
class Script:
    """Shell scripts on some nodes: one that breaks, one that shows by its exit status that it is broken, one that mends.

    `also` says what else must be seen before the fault has taken.
    """

    where: str
    breaks: str
    shows: str
    mends: str
    also: Callable[[Testbed], bool] = lambda _: True

    def inject(self, lab: Testbed) -> None:
        """Break."""
        for node in lab.nodes(self.where):
            lab.on(node, self.breaks)

    def took(self, lab: Testbed) -> Result:
        """Look."""
        whole = lab.failing(self.where, self.shows)
        return expect(not whole and self.also(lab), f"{some(whole)} whole" if whole else "no effect yet")

    def heal(self, lab: Testbed) -> None:
        """Mend."""
        for node in lab.nodes(self.where):
            lab.on(node, self.mends)


def frozen(process: str, where: str = "control-plane") -> Script:
    """Return the injection by which processes are stopped in their tracks on some nodes, until they are healed."""
    return Script(where, f"pkill -STOP -f '^{process}'", is_frozen(process), f"pkill -CONT -f '^{process}' || true")


def unit_stopped(name: str, where: str) -> Script:
    """Return the injection by which a unit of systemd is stopped on some nodes."""
    return Script(where, f"systemctl stop {name}", f"! systemctl is-active {name}", f"systemctl start {name}")


@dataclass(frozen=True)
class Kubelet:
    """A line of the kubelet's configuration that is put in place of all that begin alike (sed), on some nodes."""

    where: str
    field: str
    value: str

    def inject(self, lab: Testbed) -> None:
        """Write it and restart the kubelet."""
        for node in lab.nodes(self.where):
            lab.on(
                node,
                f"mkdir -p {ASIDE} && cp -n /var/lib/kubelet/config.yaml {ASIDE}/kubelet.yaml && "
                f"sed -i '/^{self.field}:/,/^[a-zA-Z]/{{/^{self.field}:/d;/^- /d}}' /var/lib/kubelet/config.yaml && "
                f"printf '{self.field}: {self.value}\\n' >> /var/lib/kubelet/config.yaml && systemctl restart kubelet",
            )

    def took(self, lab: Testbed) -> Result:
        """Look at the file, and whether the kubelet serves."""
        wanted = (
            f"grep -qxF '{self.field}: {self.value}' /var/lib/kubelet/config.yaml && curl -sf -m 2 http://127.0.0.1:10248/healthz"
        )
        wrong = lab.failing(self.where, wanted)
        return expect(not wrong, f"another {self.field}, or no healthy kubelet, on {some(wrong)}")

    def heal(self, lab: Testbed) -> None:
        """Put the file back and restart the kubelet."""
        kept = f"{ASIDE}/kubelet.yaml"
        for node in lab.nodes(self.where):
            lab.on(node, f"test ! -e {kept} || {{ mv {kept} /var/lib/kubelet/config.yaml && systemctl restart kubelet; }}")


@dataclass(frozen=True)
class Objects:
    """Objects that are there for as long as the fault; `shows` says whether they have an effect."""

    manifests: tuple[Json, ...]
    shows: Callable[[Testbed], Result]
    namespace: str = ""

    def inject(self, lab: Testbed) -> None:
        """Create them."""
        for manifest in self.manifests:
            lab.created(manifest, self.namespace)

    def took(self, lab: Testbed) -> Result:
        """Look at the effect."""
        return self.shows(lab)

    def heal(self, lab: Testbed) -> None:
        """Delete them."""
        for manifest in self.manifests:
            lab.removed(manifest["kind"], manifest["metadata"]["name"], self.namespace)


@dataclass(frozen=True)
class Patched:
    """An object with a merge patch on it, and the patch that takes it back."""

    kind: str
    namespace: str
    name: str
    patch: Json
    back: Json
    shows: Callable[[KubeObject], bool]
    settled: Callable[[Testbed], Result] | None = None

    def inject(self, lab: Testbed) -> None:
        """Patch it."""
        lab.api.patch(self.kind, self.namespace, self.name, self.patch)

    def took(self, lab: Testbed) -> Result:
        """Look at it."""
        found = lab.api.get(self.kind, self.namespace, self.name)
        seen = expect(found is not None and self.shows(found), f"{self.kind} {self.name} without the patch")
        return self.settled(lab) if seen.met and self.settled else seen

    def heal(self, lab: Testbed) -> None:
        """Patch it back."""
        lab.api.patch(self.kind, self.namespace, self.name, self.back)
