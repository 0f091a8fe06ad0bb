"""What kubectl prints, and the conditions that it is what the API holds. Pure functions of text and objects.

https://kubernetes.io/docs/reference/kubectl/#formatting-output
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubechain.conditions.condition import Condition, Result, expect, fields, met, unmet
from kubechain.conditions.objects import events_of
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import DELETION, DNS, KUBECTL
from kubechain.core.redact import beginning
from kubechain.kube.families import host_of
from kubechain.kube.objects import Json, KubeObject, NamespaceState, names

# Kind -> how kubectl writes it before a name where it prints objects of several kinds.
PREFIXES = {"Deployment": "deployment.apps/", "ReplicaSet": "replicaset.apps/", "Pod": "pod/"}
# A column of kubectl's shows at most this many addresses.
MOST_ADDRESSES = 3
# A message shows the beginning of what a command printed.
MOST_CHARACTERS = 200
NONE, NOTHING = "<none>", "No resources found"
HEADING = re.compile(r"\S+(?: \S+)*")
FIELD = re.compile(r"(?P<name>[A-Z][\w -]*):(?:\s+(?P<value>.*))?")
Columns = Mapping[str, Callable[[KubeObject], str]]


@dataclass(frozen=True)
class Printed:
    """What a command printed, to stdout and stderr, and the watched objects right after that."""

    stdout: str
    stderr: str
    state: NamespaceState


def rows(stdout: str) -> dict[str, dict[str, str]]:
    """Return the rows of the tables that `kubectl get` prints: NAME -> column -> cell; columns begin below their headings."""
    found: dict[str, dict[str, str]] = {}
    for table in stdout.split("\n\n"):
        heading, *lines = table.strip("\n").splitlines() or [""]
        starts = [(match[0], match.start()) for match in HEADING.finditer(heading)]
        ends = [start for _, start in starts[1:]] + [None]
        for line in lines:
            cells = {name: line[start:end].strip() for (name, start), end in zip(starts, ends, strict=True)}
            found[cells.get("NAME", "")] = cells
    return found


def described(stdout: str) -> dict[str, dict[str, list[str]]]:
    """Return what `kubectl describe` prints: Name -> field -> lines, without those that belong to a field further in."""
    found: dict[str, dict[str, list[str]]] = {}
    lines: list[str] = []
    of_object: dict[str, list[str]] = {}
    for line in stdout.splitlines():
        match = FIELD.fullmatch(line)
        if match:
            lines = [match["value"].strip()] if match["value"] else []
            if match["name"] == "Name":
                of_object = found.setdefault(lines[0], {})
            of_object[match["name"]] = lines
        elif line.startswith(" ") and line.strip():
            lines.append(line.strip())
    return found


def _containers(pod: KubeObject, part: str, statuses: str) -> tuple[list[Json], list[Json]]:
    """Return containers of a Pod that run as long as it does, and their statuses."""
    specs: list[Json] = pod.at(f"spec.{part}", [])
    lasting = {each["name"] for each in specs if part == "containers" or each.get("restartPolicy") == "Always"}
    known: list[Json] = pod.at(f"status.{statuses}", [])
    return [each for each in specs if each["name"] in lasting], [each for each in known if each["name"] in lasting]


def _ready(pod: KubeObject) -> str:
    pairs = [_containers(pod, "containers", "containerStatuses"), _containers(pod, "initContainers", "initContainerStatuses")]
    ready = sum(bool(status.get("ready")) for _, statuses in pairs for status in statuses)
    return f"{ready}/{sum(len(specs) for specs, _ in pairs)}"


def _counted(resource: KubeObject, path: str) -> str:
    return str(resource.at(path, 0))


def listed(addresses: Iterable[str]) -> str:
    """Return addresses as a column shows them: three of them, and how many more there are."""
    every = list(addresses)
    more = f" + {len(every) - MOST_ADDRESSES} more..." if len(every) > MOST_ADDRESSES else ""
    return (",".join(every[:MOST_ADDRESSES]) or NONE) + more


def _endpoints(resource: KubeObject) -> str:
    subsets: list[dict[str, list[Json]]] = resource.at("subsets", [])
    return listed(
        f"{host_of(address['ip'])}:{port['port']}"
        for subset in subsets
        for port in subset.get("ports") or []
        for address in subset.get("addresses") or []
    )


def _of_slice(resource: KubeObject) -> str:
    entries: list[Json] = resource.at("endpoints", [])
    return listed(address for entry in entries for address in entry["addresses"])


def _ports(service: KubeObject) -> str:
    ports: list[Json] = service.at("spec.ports", [])
    numbers = [(str(port["port"]) + (f":{port['nodePort']}" if port.get("nodePort") else ""), port["protocol"]) for port in ports]
    return ",".join(f"{number}/{protocol}" for number, protocol in numbers)


# Kind -> the columns of `kubectl get` that say what the API holds.
COLUMNS: dict[str, Columns] = {
    "Deployment": {
        "READY": lambda each: f"{_counted(each, 'status.readyReplicas')}/{_counted(each, 'spec.replicas')}",
        "UP-TO-DATE": lambda each: _counted(each, "status.updatedReplicas"),
        "AVAILABLE": lambda each: _counted(each, "status.availableReplicas"),
    },
    "ReplicaSet": {
        "DESIRED": lambda each: _counted(each, "spec.replicas"),
        "CURRENT": lambda each: _counted(each, "status.replicas"),
        "READY": lambda each: _counted(each, "status.readyReplicas"),
    },
    "Pod": {"READY": _ready, "STATUS": lambda each: str(each.at("status.phase"))},
    "Service": {
        "TYPE": lambda each: str(each.at("spec.type")),
        "CLUSTER-IP": lambda each: str(each.at("spec.clusterIP")),
        "PORT(S)": _ports,
    },
    "Endpoints": {"ENDPOINTS": _endpoints},
    "EndpointSlice": {
        "ADDRESSTYPE": lambda each: str(each.at("addressType")),
        "PORTS": lambda each: ",".join(str(port["port"]) for port in each.at("ports", [])) or "<unset>",
        "ENDPOINTS": _of_slice,
    },
}


def _labels(resource: KubeObject) -> list[str]:
    return [f"{key}={value}" for key, value in resource.labels.items()]


def _controller(resource: KubeObject) -> list[str]:
    controller = resource.controller
    # Nothing prints the controller of an object that has none.
    return [f"{controller['kind']}/{controller['name']}" if controller else "its controller"]


def _replicas(deployment: KubeObject) -> str:
    counts = {
        "desired": "spec.replicas",
        "updated": "status.updatedReplicas",
        "total": "status.replicas",
        "available": "status.availableReplicas",
        "unavailable": "status.unavailableReplicas",
    }
    return " | ".join(f"{_counted(deployment, path)} {word}" for word, path in counts.items())


# Kind -> the fields of `kubectl describe` that say what the API holds, and the lines of each.
FIELDS: dict[str, Callable[[KubeObject], Mapping[str, Sequence[str]]]] = {
    "Deployment": lambda each: {"Labels": _labels(each), "Replicas": [_replicas(each)]},
    "ReplicaSet": lambda each: {
        "Controlled By": _controller(each),
        "Labels": _labels(each),
        "Replicas": [f"{_counted(each, 'status.replicas')} current / {_counted(each, 'spec.replicas')} desired"],
    },
    "Pod": lambda each: {
        "Controlled By": _controller(each),
        "Labels": _labels(each),
        "Status": [str(each.at("status.phase"))],
        "IP": [str(each.at("status.podIP"))],
        "Node": [f"{each.at('spec.nodeName')}/{each.at('status.hostIP')}"],
    },
}


def prints_all(*kinds: str) -> Condition[Printed]:
    """`kubectl get` prints a row for each object of these kinds, and the values that the API holds in COLUMNS; no other row."""

    def check(printed: Printed) -> Result:
        objects = [(kind, each) for kind in kinds for each in printed.state.all(kind)]
        there = rows(printed.stdout)
        named = {(PREFIXES.get(kind, "") if len(kinds) > 1 else "") + each.name: (kind, each) for kind, each in objects}
        if set(there) != set(named) or not all(printed.state.all(kind) for kind in kinds):
            return unmet(some(there), some(named) if named else f"an object of each kind {some(kinds)}")
        for name, (kind, each) in named.items():
            wanted = {column: value(each) for column, value in COLUMNS[kind].items()}
            result = fields({column: there[name].get(column) for column in wanted}, wanted)
            if not result.met:
                return result.of(f"{name} with")
        return met()

    return Condition(f"the rows of each {some(kinds)} as the API holds them", check, KUBECTL)


def describes(kind: str) -> Condition[Printed]:
    """`kubectl describe` prints each object of a kind, with what the API holds in FIELDS; no other object."""

    def check(printed: Printed) -> Result:
        there, objects = described(printed.stdout), printed.state.all(kind)
        if set(there) != {each.name for each in objects} or not objects:
            return unmet(some(there), f"a description of {kind} {names(objects)}")
        for each in objects:
            for name, lines in FIELDS[kind](each).items():
                shown = there[each.name].get(name, [])
                if not set(lines) <= set(shown):
                    return unmet(some(shown, "; "), f"{kind} {each.name} with {name}: {some(lines, '; ')}")
        return met()

    return Condition(f"a description of each {kind} as the API holds it", check, KUBECTL)


def describes_events(kind: str, *reasons: str) -> Condition[Printed]:
    """`kubectl describe` of one object prints an Event of every reason that its Events have, these among them."""

    def check(printed: Printed) -> Result:
        there = described(printed.stdout)
        objects = [each for each in printed.state.all(kind) if each.name in there]
        for each in objects:
            stored = {*reasons, *(str(event.at("reason")) for event in events_of(printed.state, each))}
            lines = [line.split() for line in there.get(each.name, {}).get("Events", [])]
            shown = {words[1] for words in lines if len(words) > 1}
            if not stored or not stored <= shown:
                return unmet(some(sorted(shown)), f"{kind} {each.name} with Events {some(sorted(stored))}")
        return expect(bool(objects), f"no {kind}")

    return Condition(f"the Events of a {kind} in its description", check, KUBECTL)


def nothing_found() -> Condition[Printed]:
    """`kubectl get` prints no object, and says so."""

    def check(printed: Printed) -> Result:
        if printed.stdout.strip():
            return unmet(some(rows(printed.stdout)))
        return expect(NOTHING in printed.stderr, printed.stderr.strip() or "no word")

    return Condition(f"kubectl to print {NOTHING!r}", check, DELETION)


def prints_text(text: str) -> Condition[Printed]:
    """The command prints a text."""
    return Condition(
        f"a page that says {text!r}",
        lambda printed: expect(
            text in printed.stdout, beginning(" ".join((printed.stdout or printed.stderr or "nothing").split()), MOST_CHARACTERS)
        ),
        DNS,
    )
