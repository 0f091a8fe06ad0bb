"""Make the namespace of a chain with its objects, and delete it."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from kubechain.claims.requirements import EVENTS, Environment, ProbeOrigin
from kubechain.cleanup import marked_objects
from kubechain.cleanup.marked_objects import Space
from kubechain.cluster.access import Access
from kubechain.cluster.target import Target
from kubechain.core import registries
from kubechain.core.errors import HarnessError
from kubechain.core.run import RUN_LABEL
from kubechain.kube.client import Api
from kubechain.kube.creation import CREATE_SECONDS
from kubechain.kube.errors import ApiFailed, ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import latest
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import KINDS, Watcher
from kubechain.workload import manifests, names, network_policies, service_manifests
from kubechain.workload.chain import CLIENT
from kubechain.workload.urls import addresses_of

KUBELET_PORT = 10250
CONNECT_SECONDS = 2.0
# Of which the kubelet is tried: a Node that drops packets takes CONNECT_SECONDS, and a cluster may have thousands.
PROBED_NODES = 5
PULL_SECRET = marked_objects.SECRET


def probe_from(nodes: tuple[KubeObject, ...]) -> ProbeOrigin:
    """Return "host" if this machine may reach the InternalIP of a Node, else "cluster".

    It may if it gets a TCP connection to the port of the kubelet, accepted or refused. That the machine there is the Node, only
    its nodePort shows (`workload.node_reach`).
    """
    for address in (address for node in nodes[:PROBED_NODES] for address in addresses_of(node)[:1]):
        try:
            socket.create_connection((address, KUBELET_PORT), timeout=CONNECT_SECONDS).close()
        except ConnectionRefusedError:
            return "host"
        except OSError:
            continue
        return "host"
    return "cluster"


def watched_kinds(access: Access) -> tuple[str, ...]:
    """Return the kinds that are watched in the namespace of a chain: Events only if the user may watch them."""
    return tuple(kind for kind in KINDS if kind != "Event") if access.lacking(EVENTS.rights) else KINDS


@contextmanager
def namespace(api: Api, environment: Environment, name: str, labels: Mapping[str, str], waiter: Waiter) -> Generator[Watcher]:
    """Make a namespace with the objects of `furnish` and watch it; delete it and its Pods after the body and do not wait.

    In a namespace that exists, see `within`.
    """
    if environment.target.namespace:
        with within(api, environment, labels[RUN_LABEL], waiter) as observer:
            yield observer
        return
    pods: tuple[KubeObject, ...] = ()
    try:
        with empty(api, name, labels):
            furnish(api, environment, name)
            with Watcher(api, name, waiter.clock, watched_kinds(environment.access)) as observer:
                try:
                    yield observer
                finally:
                    pods = latest(observer.history.log()).all("Pod")
    finally:
        end(api, name, pods)


@contextmanager
def empty(api: Api, name: str, labels: Mapping[str, str]) -> Generator[None]:
    """Make a namespace; delete it after the body and do not wait. It is deleted as well if the answer to its creation is lost."""
    try:
        api.create(manifests.namespace(name, labels), seconds=CREATE_SECONDS)
    except ApiUnavailable:
        # The first error says what happened; the namespace expires if it cannot be deleted now.
        with suppress(HarnessError):
            delete(api, name)
        raise
    try:
        yield
    finally:
        delete(api, name)


@contextmanager
def within(api: Api, environment: Environment, run_id: str, waiter: Waiter) -> Generator[Watcher]:
    """Make the objects of `furnish` in the only namespace that may be used, and watch what is of the run there.

    After the body all of it is removed, so that another chain can be made.

    Raises:
        HarnessError: an object of the run is not gone in time.

    """
    space = Space(api, environment.target.namespace, environment.access, bool(environment.target.pull_secret))
    try:
        furnish(api, environment, space.name)
    except HarnessError:
        # The first error says what happened; the end of the run tries again.
        with suppress(HarnessError):
            marked_objects.remove_chain(space, run_id)
        raise
    try:
        kinds = watched_kinds(environment.access)
        with Watcher(api, space.name, waiter.clock, kinds, choice=names.choice(run_id)) as observer:
            yield observer
    finally:
        marked_objects.remove_chain(space, run_id)


def delete(api: Api, name: str) -> None:
    """Delete a namespace if it exists, and do not wait; one 5xx or a lost answer does not leave it."""
    api.delete("Namespace", "", name, missing_ok=True, seconds=CREATE_SECONDS)


def end(api: Api, name: str, pods: Iterable[KubeObject]) -> None:
    """Delete Pods of a namespace that is being deleted, each with its grace period, and do not wait.

    The namespace controller begins 5 s after the deletion of the namespace; if it then finds Pods that are still to end, it
    looks again 5 s later. It deletes those by itself whose deletion fails here.
    """
    with suppress(HarnessError):
        for pod in (each for each in pods if not each.deleting):
            api.delete("Pod", name, pod.name, {"preconditions": {"uid": pod.uid}}, missing_ok=True)


def furnish(api: Api, environment: Environment, name: str) -> None:
    """Create the objects that every workload needs: pull Secret, ServiceAccount, ConfigMap of nginx, NetworkPolicy."""
    target = environment.target
    if target.allow_traffic:
        api.create(network_policies.allow_traffic(api.shape.marks), name)
    if target.pull_secret:
        api.create(pull_secret(Path(target.pull_secret), target.nginx, target.client), name)
    api.create(manifests.service_account(PULL_SECRET if target.pull_secret else ""), name)
    api.create(manifests.nginx_config(ipv6=environment.pods_have_ipv6), name)


def pull_secret(config: Path, *images: str) -> Json:
    """Return the Secret (kubernetes.io/dockerconfigjson) with the entries of a docker config.json that images need."""
    auths = {"auths": registries.credentials(config, images)}
    data = base64.b64encode(json.dumps(auths).encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": data},
    }


def objects(target: Target, deployment: Json, service_type: str = service_manifests.NODE_PORT) -> tuple[Json, ...]:
    """Return the manifests of a chain with this Deployment, in the order of their creation.

    The Pod comes after the Service, so that it gets the Service's environment variables.
    """
    return service_manifests.service(kind=service_type), deployment, manifests.client_pod(CLIENT, target.client)


def populate(
    api: Api,
    name: str,
    bodies: Iterable[Json],
    *,
    once: Collection[str] = (),
    seconds: float = CREATE_SECONDS,
    made: list[KubeObject] | None = None,
) -> dict[str, str]:
    """Create the objects of a chain in the namespace `name`, and do not wait for them.

    Return kind -> message for each object that the API server refused (4xx but 401), or failed to create (500) at every attempt
    in `seconds`; the claims of its link then fail. The kinds `once` are tried once: those that an earlier chain could not
    create. What is created is added to `made`, as it is stored.

    Raises:
        ApiUnavailable: the API server could not be reached or answered 429 or another 5xx for as long: nothing is known.

    """
    refused: dict[str, str] = {}
    for body in bodies:
        try:
            stored = api.create(body, name, seconds=0.0 if body["kind"] in once else seconds)
            if made is not None:
                made.append(stored)
        except (ApiRefused, ApiFailed) as error:
            if isinstance(error, ApiRefused) and error.status == HTTPStatus.UNAUTHORIZED:
                raise  # it is about who asks, not about the object
            refused[body["kind"]] = f"{body['kind']} {body['metadata']['name']} is refused: {error}"
    return refused
