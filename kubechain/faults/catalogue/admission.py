"""Faults at admission: the API server stores another object than the requested one, or refuses it."""

from __future__ import annotations

import re

from kubechain.claims.claim import Link
from kubechain.faults.admission_policies import DeadWebhook, Denial, Mutation, StuckDeletion, set_to, without
from kubechain.faults.api_limits import ZeroPodQuota
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import NOBODY
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload import manifests, service_manifests
from kubechain.workload.manifests import WEB

ANY = "127.0.0.1:9/any"
POD = manifests.web_pod(WEB, ANY)
SERVICE = service_manifests.service(kind=service_manifests.NODE_PORT)
DEPLOYMENT = manifests.deployment(ANY)
CONFIG = manifests.nginx_config()
CONTAINER = "/spec/containers/0"


def of_app(name: str) -> str:
    """Return in CEL whether an object has the label app=`name`."""
    return f"has(object.metadata.labels) && 'app' in object.metadata.labels && object.metadata.labels['app'] == '{name}'"


OF_WEB = of_app(WEB)
ADDRESS: Json = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IPAddress",
    "metadata": {"name": "10.96.255.252"},
    "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "any"}},
}
# CEL: whether endpoint number i is terminating.
ENDS = (
    "i < size(object.endpoints) && has(object.endpoints[i].conditions) && "
    "has(object.endpoints[i].conditions.terminating) && object.endpoints[i].conditions.terminating"
)


def ending_slice() -> Json:
    """Return an EndpointSlice with a terminating endpoint."""
    manifest = service_manifests.endpoint_slice(WEB, "10.0.0.1", port=80)
    (endpoint,) = manifest["endpoints"]
    return {**manifest, "endpoints": [{**endpoint, "conditions": {"ready": False, "serving": True, "terminating": True}}]}


def replica_set() -> Json:
    """Return a ReplicaSet with the labels that a Deployment gives it."""
    labels = {**manifests.LABELS, "pod-template-hash": "0"}
    template = {"metadata": {"labels": labels}, "spec": POD["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-0", "labels": labels}, "spec": spec}


def owned(manifest: Json) -> Json:
    """Return the manifest with an owner that does not exist."""
    owner = KubeObject({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "uid": "0-0-0"}})
    return manifests.controlled(manifest, owner)


def pod_mutation(name: str, expression: str, shows: str, value: object) -> Mutation:
    """Return a mutation of nginx Pods, in effect when the field `shows` of the sample's first container is `value`."""
    return Mutation(name, "Pod", expression, POD, lambda pod: pod.at("spec.containers")[0].get(shows) == value, OF_WEB)


def page(name: str, line: str) -> Mutation:
    """Return a mutation of nginx's configuration that adds a line to its server block."""
    edited = (
        f'object.data["nginx.conf"].replace("listen {manifests.CONTAINER_PORT};", "listen {manifests.CONTAINER_PORT}; {line}")'
    )
    return Mutation(
        name,
        "ConfigMap",
        set_to("/data/nginx.conf", edited),
        CONFIG,
        lambda config: line in config.at("data")["nginx.conf"],
        "object.metadata.name == 'nginx'",
    )


OTHER_PORT = Mutation("target-port-changed", "Service", set_to("/spec/ports/0/targetPort", "8081"), SERVICE,
                      lambda s: s.at("spec.ports")[0]["targetPort"] == 8081, OF_WEB)  # fmt: skip
# A variable of the container itself stands before that of the Service, as if the kubelet had told it so.
WRONG_VARIABLE = Mutation("variable-wrong", "Pod",
                          set_to(f"{CONTAINER}/env",
                                 f'[Object.spec.containers.env{{name: "WEB_SERVICE_HOST", value: "{NOBODY}"}}]'), POD,
                          lambda pod: pod.at("spec.containers")[0].get("env") ==
                          [{"name": "WEB_SERVICE_HOST", "value": NOBODY}])  # fmt: skip
NO_PODS = Denial("pods-denied", "Pod", POD)
NEVER_READY = Mutation("never-ready", "Pod", set_to(f"{CONTAINER}/readinessProbe/httpGet/path", '"/never"'), POD,
                       lambda pod: pod.at("spec.containers")[0]["readinessProbe"]["httpGet"]["path"] == "/never",
                       OF_WEB)  # fmt: skip
FAULTS = (
    Fault("slice-owner-stripped", "admission", "EndpointSlices lose their ownerReferences", Link.ENDPOINTS,
          Mutation("slice-owner-stripped", "EndpointSlice", without("/metadata/ownerReferences"),
                   owned(service_manifests.endpoint_slice(WEB, "10.0.0.1", port=80)), lambda s: s.controller is None,
                   "has(object.metadata.ownerReferences)", ("CREATE", "UPDATE")),
          ("CHAIN-ENDPOINTS-030",), r"controller UID \S+, got none|got no EndpointSlice"),
    Fault("hash-stripped", "admission", "ReplicaSets lose the label pod-template-hash", Link.REPLICASET,
          Mutation("hash-stripped", "ReplicaSet", without("/metadata/labels/pod-template-hash"), replica_set(),
                   lambda rs: "pod-template-hash" not in rs.labels,
                   "has(object.metadata.labels) && 'pod-template-hash' in object.metadata.labels", ("CREATE", "UPDATE")),
          ("CHAIN-REPLICASET-020", "CHAIN-REPLICASET-030"), "with name web-, got|got labels none"),
    Fault("selector-changed", "admission", "Services select other labels", Link.SERVICE,
          Mutation("selector-changed", "Service", set_to("/spec/selector", '{"app": "another"}'), SERVICE,
                   lambda s: s.at("spec.selector.app") == "another", OF_WEB),
          ("CHAIN-SERVICE-030",), r"got (spec\.selector )?app=another"),
    Fault("target-port-changed", "admission", "Services have another targetPort", Link.SERVICE, OTHER_PORT,
          ("CHAIN-SERVICE-030",), r"targetPort \d+, got (spec\.ports\.targetPort )?8081"),
    Fault("variable-wrong", "admission", "a variable of the Service has another address", Link.ENV,
          WRONG_VARIABLE, ("CHAIN-ENV-010",), f"got (WEB_SERVICE_HOST )?{re.escape(NOBODY)}"),
    Fault("image-replaced", "admission", "nginx Pods get another image", Link.PODS,
          pod_mutation("image-replaced", set_to(f"{CONTAINER}/image", f'"{manifests.ABSENT_IMAGE}"'), "image",
                       manifests.ABSENT_IMAGE),
          ("CHAIN-PODS-010",), "ImagePull|ContainersReady"),
    Fault("replica-set-stuck", "admission", "ReplicaSets have a finalizer that is never removed", Link.DELETION,
          StuckDeletion("replica-set-stuck", "ReplicaSet", set_to("/metadata/finalizers", '["kubechain.test/never"]'),
                        replica_set(), lambda rs: "kubechain.test/never" in rs.at("metadata.finalizers", []),
                        "!has(object.metadata.finalizers)"),
          ("CHAIN-DELETION-010",), "still there"),
    Fault("pods-denied", "admission", "every Pod of the suite is refused", "refused",
          NO_PODS, symptom="Pod.*ValidatingAdmissionPolicy 'pods-denied'"),
    Fault("webhook-dead", "admission", "a webhook for Pods with failurePolicy Fail does not answer", "refused",
          DeadWebhook("webhook-dead", POD), symptom='Pod.*failed calling webhook "dead.kubechain.test"'),
    Fault("quota-of-nothing", "admission", "every namespace of the suite has a ResourceQuota of no Pods", "refused",
          ZeroPodQuota(), symptom="Pod.*(exceeded quota|status unknown for quota): nothing"),
    # The API server creates an IPAddress for each clusterIP; it is refused as if no address were free.
    Fault("addresses-exhausted", "admission", "no clusterIP is free for a Service", Link.SERVICE,
          Denial("addresses-exhausted", "IPAddress", ADDRESS), ("CHAIN-SERVICE-010",), "failed to allocate", short=True),
    Fault("not-ready-published", "endpoints", "Services list Pods that are not ready", Link.ENDPOINTS,
          Mutation("not-ready-published", "Service", set_to("/spec/publishNotReadyAddresses", "true"), SERVICE,
                   lambda s: s.at("spec.publishNotReadyAddresses") is True),
          ("CHAIN-ENDPOINTS-060",), r"got \S+, \S+ in EndpointSlices", short=True),
    Fault("foreign-address", "endpoints", "EndpointSlices list an address of no Pod", Link.ENDPOINTS,
          Mutation("foreign-address", "EndpointSlice",
                   set_to("/endpoints/-", f'Object.endpoints{{addresses: ["{NOBODY}"]}}'),
                   service_manifests.endpoint_slice(WEB, "10.0.0.1", port=80), lambda s: len(s.at("endpoints")) == 2,
                   "has(object.endpoints) && size(object.endpoints) > 0 && "
                   f"!object.endpoints.exists(e, '{NOBODY}' in e.addresses)",
                   ("CREATE", "UPDATE")),
          ("CHAIN-ENDPOINTS-010",), f"surplus {NOBODY}:"),
    Fault("ending-listed", "endpoints", "EndpointSlices list terminating Pods as ready", Link.ENDPOINTS,
          Mutation("ending-listed", "EndpointSlice",
                   f'[0, 1, 2, 3].filter(i, {ENDS}).map(i, JSONPatch{{op: "replace", path: "/endpoints/" + string(i) + '
                   '"/conditions", value: Object.endpoints.conditions{ready: true, serving: true, terminating: false}})',
                   ending_slice(), lambda s: s.at("endpoints")[0]["conditions"].get("ready") is True,
                   f"has(object.endpoints) && [0, 1, 2, 3].exists(i, {ENDS})", ("CREATE", "UPDATE")),
          ("CHAIN-ENDPOINTS-090",), "got ready true|got 0 endpoints"),
    Fault("endpoints-emptied", "endpoints", "Endpoints are empty, EndpointSlices are not", Link.ENDPOINTS,
          Mutation("endpoints-emptied", "Endpoints", without("/subsets"),
                   {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": WEB},
                    "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
                   lambda e: not e.at("subsets"), "has(object.subsets)", ("CREATE", "UPDATE")),
          ("CHAIN-ENDPOINTS-020", "CHAIN-ENDPOINTS-050"), "got no ready address|got Endpoints with 0 addresses"),
    Fault("page-wrong", "workload", "nginx serves another page", Link.CLUSTERIP,
          page("page-wrong", "error_page 418 =200 @odd; location @odd { return 200 odd; } location = / { return 418; }"),
          ("CHAIN-CLUSTERIP-010",), ": 200 with body", breaks=(Link.NODEPORT, Link.API)),
    Fault("server-error", "workload", "nginx answers with status 500", Link.CLUSTERIP,
          page("server-error", "location = / { return 500; }"), ("CHAIN-CLUSTERIP-010",), ": 500",
          breaks=(Link.NODEPORT, Link.API)),
    Fault("crash-loop", "workload", "nginx exits at once", Link.PODS,
          pod_mutation("crash-loop", set_to(f"{CONTAINER}/command", '["false"]'), "command", ["false"]),
          ("CHAIN-PODS-010",), "ContainersReady is False|Ready is False"),
    Fault("out-of-memory", "workload", "nginx has a memory limit of 2 MiB", Link.PODS,
          pod_mutation("out-of-memory",
                       set_to(f"{CONTAINER}/resources", 'Object.spec.containers.resources{limits: {"memory": "2Mi"}}'),
                       "resources", {"limits": {"memory": "2Mi"}, "requests": {"memory": "2Mi"}}),
          ("CHAIN-PODS-010",), "ContainersReady is|Ready is"),
    Fault("never-ready", "workload", "the readiness probe requests a page that does not exist", Link.PODS,
          NEVER_READY, ("CHAIN-PODS-010",), "ContainersReady is False"),
    Fault("pods-never-end", "workload", "Pods ignore SIGTERM and have an hour to end", Link.DELETION,
          StuckDeletion("pods-never-end", "Pod",
                        '[JSONPatch{op: "add", path: "/spec/terminationGracePeriodSeconds", value: 3600},'
                        'JSONPatch{op: "add", path: "/spec/containers/0/lifecycle",'
                        ' value: Object.spec.containers.lifecycle{preStop: Object.spec.containers.lifecycle.preStop{'
                        'sleep: Object.spec.containers.lifecycle.preStop.sleep{seconds: 3000}}}}]',
                        POD, lambda pod: pod.at("spec.terminationGracePeriodSeconds") == 3600, OF_WEB),
          ("CHAIN-DELETION-020",), "still there"),
)  # fmt: skip
