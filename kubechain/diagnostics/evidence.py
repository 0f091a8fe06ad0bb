"""Evidence on a chain for a claim that did not pass: owner graph, timeline, events, objects and logs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import yaml

from kubechain.claims.requirements import EVENTS
from kubechain.conditions.pods import restarts, why_not_ready
from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.kube.rights import named
from kubechain.observe.history import latest
from kubechain.observe.timeline import milestones
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB

LOG_LINES = "50"
LOG_SECONDS = 3.0
NOT_WATCHED = f"events are not watched: needs {named(EVENTS.rights)}"
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice")


@dataclass(frozen=True)
class Section:
    """One piece of evidence: a title and redacted text."""

    title: str
    text: str


def evidence(chain: Chain) -> list[Section]:
    """Return the evidence on a chain; a log that cannot be read is replaced by the error, which is not raised."""
    log = chain.objects.log()
    state = latest(log)
    if chain.api.shape.marks:
        # Others use the namespace as well: what happens to their objects is not published.
        own = {entry.resource.uid for entry in log}
        mine = (each for each in state.objects if each.kind != "Event" or each.at("involvedObject.uid") in own)
        state = NamespaceState(tuple(mine))
    sections = [
        Section("owner graph", "\n".join(graph(state))),
        Section("timeline", "\n".join(f"{m.seconds:8.3f} s  {m.what}" for m in milestones(log, WEB))),
        Section("events", "\n".join(events(state)) if "Event" in chain.observer.kinds else NOT_WATCHED),
        Section("objects", manifests(state)),
    ]
    silent: set[str] = set()
    sections += [Section(f"log of {pod.name}", _logs(chain, pod, silent)) for pod in state.all("Pod")]
    return [Section(section.title, redact.text(section.text)) for section in sections if section.text]


def graph(state: NamespaceState) -> list[str]:
    """Return the objects as an indented tree, each below its controller, with a summary of its status."""
    objects = [resource for kind in KINDS for resource in state.all(kind)]
    uids = {resource.uid for resource in objects}
    roots = [resource for resource in objects if (resource.controller or {}).get("uid") not in uids]

    def lines(node: KubeObject, depth: int) -> list[str]:
        children = [resource for resource in objects if (resource.controller or {}).get("uid") == node.uid]
        line = f"{'  ' * depth}{node.kind}/{node.name} {summary(node)}"
        return [line, *(below for child in children for below in lines(child, depth + 1))]

    return [line for root in roots for line in lines(root, 0)]


def summary(node: KubeObject) -> str:
    """Return the status of an object in parentheses, such as "(1/2 ready)"."""
    if node.kind in ("Deployment", "ReplicaSet"):
        return f"({node.at('status.readyReplicas', 0)}/{node.at('spec.replicas')} ready)"
    if node.kind == "Pod":
        return f"({why_not_ready(node)}, on {node.at('spec.nodeName', 'no node')})"
    if node.kind == "Service":
        return f"({node.at('spec.type')} {node.at('spec.clusterIP')})"
    entries: list[Json] = node.at("endpoints") or node.at("subsets") or []
    return f"({len(entries)} entries)"


def events(state: NamespaceState) -> list[str]:
    """Return the Events in the order of time, one line each."""

    def when(event: KubeObject) -> str:
        return str(event.at("lastTimestamp") or event.at("eventTime") or event.at("metadata.creationTimestamp"))

    return [
        f"{when(e)} {e.at('type')} {e.at('involvedObject.kind')}/{e.at('involvedObject.name')} "
        f"{e.at('reason')}: {e.at('message', '')}"
        for e in sorted(state.all("Event"), key=when)
    ]


def manifests(state: NamespaceState) -> str:
    """Return the objects as YAML, without managedFields and secrets."""
    bodies = [redact.tree(redact.resource(resource.body)) for kind in KINDS for resource in state.all(kind)]
    # A secret that is split over two lines would not be known.
    return yaml.safe_dump_all(bodies, sort_keys=False, allow_unicode=True, width=math.inf)


def _logs(chain: Chain, pod: KubeObject, silent: set[str]) -> str:
    """Return the log of a Pod before its last restart and since.

    A Node whose kubelet does not answer is added to `silent`, so that no other log there is requested.
    """
    node = str(pod.at("spec.nodeName"))
    if node in silent:
        return f"no log: {node} does not answer"
    logs: list[str] = []
    for previous in ["true"] * bool(restarts(pod)) + ["false"]:
        query = {"tailLines": LOG_LINES, "previous": previous, "container": pod.container}
        try:
            path = path_of("Pod", chain.namespace, pod.name, "log")
            logs.append(chain.api.call("GET", path, query, seconds=LOG_SECONDS, accept="*/*"))
        except HarnessError as error:
            logs.append(f"no log: {error}")
            if isinstance(error, ApiUnavailable):
                silent.add(node)
                break
    return "".join(logs)
