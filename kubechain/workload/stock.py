"""nginx as `kubectl create deployment`, `kubectl expose` and `kubectl run` make it: nothing is set but what a person types."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubechain.claims.obstacles import refuser
from kubechain.conditions import pods
from kubechain.conditions.condition import Condition, Result, fields, hopeless
from kubechain.conditions.objects import one
from kubechain.conditions.obstructed import refusals
from kubechain.core.errors import NotApplicable
from kubechain.kube.creation import CREATE_SECONDS, persistently
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.families import IPV6
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.paths import path_of
from kubechain.workload.chain import Chain

NGINX = "nginx"
LABELS = {"app": NGINX}
PORT, REPLICAS = 80, 2
NOT_IN_NAMES = re.compile(r"[^a-z0-9-]")
# The state of a socket that listens in /proc/net/tcp (https://docs.kernel.org/networking/proc_net_tcp.html).
LISTENS = "0A"
# Why a container ended of itself, or for its limits.
OWN_ENDS = ("Error", "Completed", "OOMKilled")
# What a new namespace has after a moment, and what the controller of a quota counts after a moment.
NOT_YET = ('serviceaccount "default" not found', "status unknown for quota")


def container_of(image: str) -> Json:
    """Return the container that kubectl makes for an image: its name is the last part of the image's."""
    name = re.split("[:@]", image.rpartition("/")[2])[0]
    return {"name": NOT_IN_NAMES.sub("-", name.lower()), "image": image, "ports": [{"containerPort": PORT}]}


def deployment(image: str) -> Json:
    """Return what `kubectl create deployment nginx --image=IMAGE --port=80 --replicas=2` sends."""
    template: Json = {"metadata": {"labels": LABELS}, "spec": {"containers": [container_of(image)]}}
    spec: Json = {"replicas": REPLICAS, "selector": {"matchLabels": LABELS}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NGINX, "labels": LABELS}, "spec": spec}


def pod(image: str) -> Json:
    """Return a Pod of that Deployment."""
    metadata = {"name": NGINX, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container_of(image)]}}


def service() -> Json:
    """Return what `kubectl expose deployment nginx --type=NodePort` sends."""
    spec: Json = {"type": "NodePort", "selector": LABELS, "ports": [{"port": PORT, "targetPort": PORT, "protocol": "TCP"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NGINX, "labels": LABELS}, "spec": spec}


def is_made_of(image: str) -> Condition[NamespaceState]:
    """The Deployment has the fields that were sent: its replicas, its selector, and one container with the image and the port."""
    spec = deployment(image)["spec"]

    def check(stored: KubeObject) -> Result:
        containers: list[Json] = stored.at("spec.template.spec.containers", [])
        ports: list[Json] = [port for each in containers for port in each.get("ports") or list[Json]()]
        of_containers = {"images": [each["image"] for each in containers], "ports": [port["containerPort"] for port in ports]}
        wanted = {"spec.replicas": spec["replicas"], "spec.selector": spec["selector"]}
        actual = {path: stored.at(path) for path in wanted}
        return fields({**actual, **of_containers}, {**wanted, "images": [image], "ports": [PORT]})

    return one("Deployment", NGINX, f"of {REPLICAS} Pods with {image}", check)


def require_accepted(chain: Chain) -> None:
    """Ask by a dry run whether the cluster takes what kubectl makes; NotApplicable if something of the cluster refuses it.

    What kubectl sends has neither the labels of a run nor its overlay.
    """
    for body in (deployment(chain.image), pod(chain.image)):
        refused = persistently(lambda body=body: _refusal(chain, body), CREATE_SECONDS)
        if refuser(refused):
            raise NotApplicable(f"needs a {body['kind']} as kubectl makes it, which is refused by {refuser(refused)}: {refused}")


def _refusal(chain: Chain, body: Json) -> str:
    """Return why an object is refused, "" if it is not, or not for good."""
    try:
        chain.api.call("POST", path_of(body["kind"], chain.namespace), {"dryRun": "All"}, body)
    except ApiRefused as refused:
        if any(words in refused.detail for words in NOT_YET):
            raise ApiUnavailable(str(refused)) from refused
        return refused.detail
    except ApiUnavailable as error:
        if refuser(str(error)):
            return str(error)
        raise
    return ""


def running(labels: Mapping[str, str], count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods with these labels are ready; hopeless if the cluster refuses them, or the image does not run."""
    ready = pods.exactly_ready(labels, count)

    def check(state: NamespaceState) -> Result:
        why = next(filter(refuser, refusals(state)), "") or why_not_run(state, labels)
        return hopeless(why) if why else ready(state)

    return Condition(ready.what, check, ready.timeout)


def why_not_run(state: NamespaceState, labels: Mapping[str, str]) -> str:
    """Return why a container of a Pod with these labels has ended, or may not begin as it is; "" if none has."""
    return next(filter(None, (_end_of(each) for each in state.all("Pod", labels) if not each.deleting)), "")


def _end_of(resource: KubeObject) -> str:
    statuses: list[Json] = resource.at("status.containerStatuses", [])
    for status in statuses:
        states: list[Json] = [status.get("state") or {}, status.get("lastState") or {}]
        ends: list[Json] = [state["terminated"] for state in states if state.get("terminated")]
        for ended in (each for each in ends if each.get("reason") in OWN_ENDS):
            how = f"exit status {ended.get('exitCode')}"
            return f"container {status['name']} of Pod {resource.name} has ended ({ended['reason']}, {how})"
        waiting: Json = states[0].get("waiting") or {}
        if "runAsNonRoot" in (waiting.get("message") or ""):
            return f"container {status['name']} of Pod {resource.name}: {waiting['message']}"
    return ""


def listens(sockets: str, family: str) -> bool:
    """Whether a container listens at PORT over an IP family, by the content of its /proc/net/tcp and tcp6.

    A socket of IPv6 that is not for IPv6 alone serves both; which it is does not show there, so it counts for both.
    """
    places = [line.split()[1].rpartition(":") for line in sockets.splitlines() if line.split()[3:4] == [LISTENS]]
    return any(int(port, 16) == PORT and (family != IPV6 or len(address) > 8) for address, _, port in places)
