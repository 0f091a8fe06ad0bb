"""Evidence on a chain for a claim that did not pass: objects and what changed, answers, refusals, rules, events and logs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from kubechain.claims.claim import Link
from kubechain.claims.requirements import EVENTS
from kubechain.conditions.pods import progress, restarts
from kubechain.core import redact
from kubechain.core.errors import HarnessError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.diagnostics import node_rules, service_endpoints
from kubechain.diagnostics.answer_tables import names, tables
from kubechain.diagnostics.last_changes import last_changes
from kubechain.kube.errors import ApiUnavailable
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.kube.refusals import REFUSALS
from kubechain.kube.rights import named
from kubechain.observe.changes import latest
from kubechain.observe.timeline import milestones
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB

LOG_LINES = "50"
LOG_SECONDS = 3.0
MOST_LOGS, MOST_REFUSED = 8, 40
# Characters.
MOST_OF_SECTION, MOST_OF_CLAIM = 12_000, 55_000
GRAPH, CHANGES, ENDPOINTS, ANSWERS, DNS = "owner graph", "what changed last", "endpoints", "who answered where", "DNS answers"
REFUSED, RULES, EVENT_LIST = "requests that the API server refused", "rules of the Nodes", "events"
TIMELINE, OTHER_LOGS, OBJECTS = "timeline", "other logs", "objects"
# Of the sections, in their order; the logs, "log of POD", are before the last two.
TITLES = (GRAPH, CHANGES, ENDPOINTS, ANSWERS, DNS, REFUSED, RULES, EVENT_LIST, TIMELINE, OTHER_LOGS, OBJECTS)
# Instead of what the API server or a Node would have been asked for.
CUT_SHORT = "not read: the run was interrupted"
NOT_WATCHED = f"events are not watched: needs {named(EVENTS.rights)}"
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice")


@dataclass(frozen=True)
class Section:
    """One piece of evidence: a title and redacted text."""

    title: str
    text: str


@dataclass(frozen=True)
class Occasion:
    """What a claim did before it ended.

    `began` is when (monotonic seconds), `asked` are the sources that it waited for, `link` is the broken one, and `docker` the
    client of the engine of the Nodes; None if they are not those of a kind cluster of this project.
    """

    began: float = 0.0
    asked: Collection[str] = ()
    link: Link | None = None
    docker: Path | None = None


def evidence(chain: Chain, occasion: Occasion | None = None) -> list[Section]:
    """Return the evidence on a chain, bounded; a log that cannot be read is replaced by the error, which is not raised.

    After a signal, it asks the cluster and its Nodes for nothing more.
    """
    about = occasion or Occasion()
    log = chain.objects.log()
    state = latest(log)
    if chain.api.shape.marks:
        # Others use the namespace as well: what happens to their objects is not published.
        own = {entry.resource.uid for entry in log}
        mine = (each for each in state.objects if each.kind != "Event" or each.at("involvedObject.uid") in own)
        state = NamespaceState(tuple(mine))
    answers = chain.last_answers.kept
    sections = [
        Section(GRAPH, "\n".join(graph(state))),
        Section(CHANGES, "\n".join(last_changes(log, KINDS, chain.objects.clock.now()))),
        Section(ENDPOINTS, "\n".join(service_endpoints.lines(state))),
        Section(ANSWERS, tables(answers, about.asked)),
        Section(DNS, names(answers, about.asked)),
        Section(REFUSED, "\n".join(refused(about.began))),
        Section(RULES, INTERRUPTS.unless_interrupted(partial(_rules, chain, about), CUT_SHORT)),
        Section(EVENT_LIST, "\n".join(events(state)) if "Event" in chain.observer.kinds else NOT_WATCHED),
        Section(TIMELINE, "\n".join(f"{m.seconds:8.3f} s  {m.what}" for m in milestones(log, WEB))),
    ]
    silent: set[str] = set()
    pods = state.all("Pod")
    for pod in pods[:MOST_LOGS]:
        log_of_pod = INTERRUPTS.unless_interrupted(partial(_logs, chain, pod, silent), CUT_SHORT)
        sections.append(Section(f"log of {pod.name}", log_of_pod))
    if len(pods) > MOST_LOGS:
        sections.append(Section(OTHER_LOGS, f"of {len(pods) - MOST_LOGS} more Pods, not read"))
    sections.append(Section(OBJECTS, manifests(state)))
    return bounded([Section(section.title, redact.text(section.text)) for section in sections if section.text])


def bounded(sections: Sequence[Section]) -> list[Section]:
    """Return the sections, each cut to MOST_OF_SECTION characters, and all together to MOST_OF_CLAIM."""
    kept: list[Section] = []
    left = MOST_OF_CLAIM
    for section in sections:
        most = min(MOST_OF_SECTION, left)
        # The end of what is in the order of time is nearest to the end of the claim.
        last = section.title == EVENT_LIST or section.title.startswith("log of ")
        text = section.text[-most or len(section.text) :] if last else section.text[:most]
        note = f"... {len(section.text) - most:,} characters are left out"
        parts = [section.text] if len(section.text) <= most else [note, text] if last else [text, note]
        kept.append(Section(section.title, "\n".join(parts)))
        left = max(0, left - len(text))
    return kept


def refused(since: float) -> list[str]:
    """Return the requests that the API server did not carry out since a moment (monotonic seconds), one line each."""
    found = REFUSALS.since(since)
    return [f"{each.at - since:8.1f} s  {each.request} ({each.path}): {each.answer}" for each in found[-MOST_REFUSED:]]


def _rules(chain: Chain, about: Occasion) -> str:
    if about.docker is None or about.link not in node_rules.LINKS:
        return ""
    return node_rules.rules(about.docker, [node.name for node in chain.nodes], chain.namespace)


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
        return f"({progress(node)}, on {node.at('spec.nodeName', 'no node')})"
    if node.kind == "Service":
        return f"({node.at('spec.type')} {node.at('spec.clusterIP')})"
    ready, others = _addresses(node)
    return f"({ready}/{ready + others} ready)" if ready + others else "(no address)"


def _addresses(node: KubeObject) -> tuple[int, int]:
    """Return how many endpoints of an EndpointSlice or Endpoints are ready, and how many are not."""
    entries: list[Json] = node.at("endpoints") or []
    # A condition that is not set means ready.
    ready = sum((entry.get("conditions") or Json()).get("ready") is not False for entry in entries)
    subsets: list[Json] = node.at("subsets") or []
    up, down = (sum(len(subset.get(field) or []) for subset in subsets) for field in ("addresses", "notReadyAddresses"))
    return ready + up, len(entries) - ready + down


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
