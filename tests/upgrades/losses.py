"""Losses of exactly some seconds on one path of a Node that stays, made with a rule on the Node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from kubechain.cluster.kind import LOAD_BALANCER
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import PODS_READY
from kubechain.core.errors import ExitCode
from kubechain.core.process import check
from kubechain.core.run import UPGRADE_LABEL
from kubechain.images.docker import Docker
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Polled, Waiter
from kubechain.upgrade import routes
from kubechain.upgrade.model import Kind
from kubechain.upgrade.sampler_manifests import SAMPLER
from kubechain.workload.manifests import SERVICE_PORT, WEB
from tests.upgrades.records import Loss

SECONDS = 3.0
# Between two losses, so that each is an outage of its own.
BETWEEN = 4.0
NODE_SECONDS = 60.0


@dataclass(frozen=True)
class Scene:
    """What rules are made of: a Node, the witnesses' Service, and the Pod of the sampler on that Node."""

    node: str
    service: KubeObject
    sampler: KubeObject

    @property
    def pod(self) -> str:
        """The address of the sampler's Pod."""
        return str(self.sampler.at("status.podIP"))


@dataclass(frozen=True)
class Path:
    """A path that can be lost: the arguments of iptables that match its packets as they arrive on the Node, before any NAT."""

    kind: Kind
    claim: str
    rule: Callable[[Scene], str]
    routes: tuple[str, ...]
    also: tuple[str, ...] = ()


def _node_port(scene: Scene) -> str:
    return f"-p tcp --dport {scene.service.at('spec.ports')[0]['nodePort']}"


def _cluster_ip(scene: Scene) -> str:
    # By its source ports: the path of DNS leads to the same address, from others.
    first, count = routes.source_ports(0, 2)
    ports = f"--sport {first}:{first + count - 1} --dport {SERVICE_PORT}"
    return f"-s {scene.pod} -d {scene.service.at('spec.clusterIP')} -p tcp {ports}"


def _dns(scene: Scene) -> str:
    return f"-s {scene.pod} -p udp --dport 53"


PATHS: dict[Kind, Path] = {
    path.kind: path
    for path in (
        Path(
            "NodePort",
            "DURING-NODEPORT-010",
            _node_port,
            ("NodePort {node}, new connections", "NodePort {node}, kept connections"),
        ),
        Path("ClusterIP", "DURING-CLUSTERIP-010", _cluster_ip, ("ClusterIP from {node}, new connections",)),
        Path(
            "DNS",
            "DURING-DNS-010",
            _dns,
            ("DNS from {node}, new connections",),
            ("DNS from {node}, kept connections",),
        ),
    )
}


def staying(nodes: Sequence[str], busy: str) -> str:
    """Return a Node that stays while the worker `busy` is upgraded or replaced: the last other worker, or a control plane."""
    others = [node for node in nodes if node != busy and not node.endswith(LOAD_BALANCER)]
    workers = [node for node in others if "control-plane" not in node]
    return (workers or others)[-1]


def scene_on(api: Api, node: str, waiter: Waiter) -> Scene:
    """Return the scene on a Node; Unmet if no sampler runs there."""
    ready = Condition[Scene | None](f"a sampler on {node}", lambda scene: expect(scene is not None, "none"))
    found = waiter.eventually(Polled("samplers", lambda: _scene(api, node), waiter.clock, 1.0), ready, within=PODS_READY).state
    return cast("Scene", found)


def _scene(api: Api, node: str) -> Scene | None:
    for namespace in api.list("Namespace", selector=UPGRADE_LABEL).items:
        service = api.get("Service", namespace.name, WEB)
        pods = api.list("Pod", namespace.name, f"app={SAMPLER}").items
        sampler = next((pod for pod in pods if pod.at("spec.nodeName") == node and pod.at("status.podIP")), None)
        if service and sampler:
            return Scene(node, service, sampler)
    return None


def script(rule: str, seconds: float = SECONDS) -> str:
    """Return a shell script that drops what the rule matches for some seconds, and prints when it began and ended to.

    It goes on by itself if whoever started it is gone.
    """
    table = "iptables -w -t raw"
    added, removed = (f"{table} {how} PREROUTING {rule} -j DROP" for how in ("-I", "-D"))
    return f"set -e; {added}; date +%s.%N; sleep {seconds:g}; {removed}; date +%s.%N"


def lose(docker: Docker, scene: Scene, path: Path, seconds: float = SECONDS) -> Loss:
    """Lose a path on a Node for some seconds; return what was lost, and when, by the clock of the Node."""
    words = [docker.client, "exec", scene.node, "sh", "-c", script(path.rule(scene), seconds)]
    printed = check(words, timeout=NODE_SECONDS, code=ExitCode.HARNESS, doing=f"losing {path.kind} on {scene.node}")
    start, end = map(float, printed.split())
    return Loss(
        path=path.kind,
        node=scene.node,
        routes=[name.format(node=scene.node) for name in path.routes],
        also=[name.format(node=scene.node) for name in path.also],
        claim=path.claim,
        start=start,
        seconds=end - start,
    )
