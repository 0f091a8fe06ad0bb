"""The names of what a run makes in a namespace, which are also the values of the label app of its Pods.

In a namespace that others use as well, what has one of these names is of the run, because a run does not begin where others
have them.
"""

from __future__ import annotations

from kubechain.conditions.endpoints import SERVICE_NAME
from kubechain.core.run import RUN_LABEL
from kubechain.kube.objects import KubeObject
from kubechain.observe.filtered import Choice
from kubechain.observe.shared_watcher import Selected
from kubechain.workload.manifests import WEB

# Of the chain, of scenarios, and of the objects that claims make, or of which they say that there are none.
LISTED = """
web client bare absent addressed after-late another astray awaited balanced bordering both changing come-home crashing early
echo elsewhere ending exposed far first handmade headless healthy hinted holder last late later local-inside local-outside lone
lonely loose many mixed moved multi multi-env named named-early named-late near neighbour nobody obedient orphan outside reader
released renamed renewed scaled second settler slices split squatter srv srv-short sticky sticky-outside stubborn sub taken
to-cluster-ip to-node-port twin unlinked unready waiting witness
"""
NAMES = frozenset(LISTED.split())


def _is_named(resource: KubeObject) -> bool:
    return resource.name in NAMES


def _of_service(resource: KubeObject) -> bool:
    return resource.labels.get(SERVICE_NAME) in NAMES


def _of_event(event: KubeObject) -> bool:
    """Whether an Event may be about an object of the run: conditions compare the UID."""
    name = str(event.at("involvedObject.name", ""))
    return name in NAMES or name.startswith(f"{WEB}-")


# What is selected of a kind in all namespaces, if not by the labels of a run: controllers are not bound to give what they make
# of a Service its labels, and Events have none. The kubelet says of every image that it is there, pulled or not.
OF_CHAINS = {
    "EndpointSlice": Selected(labels=f"{SERVICE_NAME}={WEB}"),
    "Endpoints": Selected(fields=f"metadata.name={WEB}"),
    "Event": Selected(fields="reason=Pulled"),
}


def choice(run_id: str) -> Choice:
    """Return which objects are of a run.

    What it sends has its label, and ReplicaSets and Pods have that of their template. Controllers are not bound to give
    Endpoints and EndpointSlices the labels of their Service.
    """
    by_name = {"Endpoints": _is_named, "EndpointSlice": _of_service, "Event": _of_event}
    return Choice(f"{RUN_LABEL}={run_id}", by_name)
