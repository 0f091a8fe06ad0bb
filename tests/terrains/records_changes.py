"""Terrains by changes at admission: the API server stores other objects than were sent."""

from __future__ import annotations

from kubechain.faults.admission_policies import Mutation, set_to
from kubechain.faults.catalogue.admission import DEPLOYMENT, POD, SERVICE
from kubechain.images import workload
from kubechain.kube.objects import KubeObject
from tests.terrains.records_policies import OF_PODS
from tests.terrains.terrain import Skip, Terrain, Unfit

CHANGED = "changed at admission: {} .* by MutatingAdmissionPolicy {}$"
# An image that is on the Nodes, as that of a mesh is, and that has a shell.
SIDECAR = (
    f'{{name: "mesh", image: "{workload.CLIENT.tag}", command: ["sh", "-c", "trap \'exit 0\' TERM QUIT; sleep infinity & wait"]'
    ', securityContext: Object.spec.%s.securityContext{runAsUser: 65534, runAsNonRoot: true}%s}'
)  # fmt: skip
PLAIN_SIDECAR = "Object.spec.containers" + SIDECAR % ("containers", "")
NATIVE_SIDECAR = "Object.spec.initContainers" + SIDECAR % ("initContainers", ', restartPolicy: "Always"')
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
VARIABLES = ", ".join(f'Object.spec.containers.env{{name: "{name}", value: "http://127.0.0.1:9"}}' for name in PROXIES)
AMOUNTS = '{"cpu": "50m", "memory": "64Mi"}'


def container_names(pod: KubeObject) -> list[str]:
    """Return the names of the containers of a Pod."""
    return [container["name"] for container in pod.at("spec.containers")]


def pods(name: str, expression: str, shows: str, value: object) -> Mutation:
    """Return a policy that changes Pods, in effect when a field of the sample has a value."""
    return Mutation(name, "Pod", expression, POD, lambda pod: pod.at(shows) == value)


def services(name: str, field: str, value: str, condition: str = "true") -> Mutation:
    """Return a policy that gives Services another value of a field of the spec."""
    return Mutation(
        name,
        "Service",
        set_to(f"/spec/{field}", f'"{value}"'),
        SERVICE,
        lambda service: service.at(f"spec.{field}") == value,
        condition,
    )


LAST = Mutation(
    "sidecar-last",
    "Pod",
    set_to("/spec/containers/-", PLAIN_SIDECAR),
    POD,
    lambda pod: container_names(pod)[-1] == "mesh",
)
FIRST = Mutation(
    "sidecar-first",
    "Pod",
    set_to("/spec/containers/0", PLAIN_SIDECAR),
    POD,
    lambda pod: container_names(pod)[0] == "mesh",
)
NATIVE = Mutation(
    "sidecar-native",
    "Pod",
    set_to("/spec/initContainers", f"[{NATIVE_SIDECAR}]"),
    POD,
    lambda pod: bool(pod.at("spec.initContainers")),
)
RESOURCES = Mutation(
    "default-resources",
    "Pod",
    set_to("/spec/containers/0/resources", f"Object.spec.containers.resources{{requests: {AMOUNTS}, limits: {AMOUNTS}}}"),
    POD,
    lambda pod: pod.at("spec.containers")[0]["resources"]["limits"]["memory"] == "64Mi",
)
LINKS_OFF = pods("links-off", set_to("/spec/enableServiceLinks", "false"), "spec.enableServiceLinks", value=False)
PROXIED = Mutation(
    "proxies",
    "Pod",
    set_to("/spec/containers/0/env", f"[{VARIABLES}]"),
    POD,
    lambda pod: "env" in pod.at("spec.containers")[0],
)
# Defaults are set before policies see the object.
SURGE = Mutation(
    "surge",
    "Deployment",
    set_to("/spec/strategy/rollingUpdate/maxSurge", '"50%"'),
    DEPLOYMENT,
    lambda deployment: deployment.at("spec.strategy.rollingUpdate.maxSurge") == "50%",
    "has(object.spec.strategy.rollingUpdate)",
)
SIDECAR_FIRST = (Unfit("the fault changes the first container, which is the sidecar", OF_PODS),)
AFFINITY = services("affinity", "sessionAffinity", "ClientIP")
INTERNAL = services("internal-local", "internalTrafficPolicy", "Local", "object.spec.type != 'ExternalName'")
EXTERNAL = services("external-local", "externalTrafficPolicy", "Local", "object.spec.type == 'NodePort'")


def changed(what: str, by: str, *claims: str) -> tuple[Skip, ...]:
    """Return the skip of claims that rest on what a policy has changed."""
    return (Skip(CHANGED.format(what, by), claims),)


TERRAINS = (
    Terrain("sidecar-last", "changes at admission", "adds a sidecar to every Pod", (LAST,)),
    Terrain(
        "sidecar-first",
        "changes at admission",
        "adds a sidecar before the container of every Pod",
        (FIRST,),
        unfit=SIDECAR_FIRST,
    ),
    Terrain("sidecar-native", "changes at admission", "adds a native sidecar to every Pod", (NATIVE,)),
    Terrain("default-resources", "changes at admission", "sets requests and limits of every Pod", (RESOURCES,)),
    Terrain(
        "links-off",
        "changes at admission",
        "switches service links of every Pod off",
        (LINKS_OFF,),
        skips=changed(
            "Pod client spec.enableServiceLinks", "links-off", "CHAIN-ENV-010", "CHAIN-ENV-020", "CHAIN-ENV-030", "WALK-ENV-010"
        ),
    ),
    Terrain(
        "proxies",
        "changes at admission",
        "puts proxies into the environment of every Pod",
        (PROXIED,),
        unfit=(Unfit("the fault and the terrain set the same field", ("variable-wrong",)),),
    ),
    Terrain(
        "surge",
        "changes at admission",
        "has Deployments roll with a surge of half of their replicas",
        (SURGE,),
        skips=changed("Deployment web spec.strategy.rollingUpdate.maxSurge", "surge", "CHAIN-DEPLOYMENT-050"),
    ),
    Terrain(
        "affinity",
        "changes at admission",
        "gives every Service session affinity",
        (AFFINITY,),
        skips=changed(
            "Service web spec.sessionAffinity",
            "affinity",
            *("CHAIN-SERVICE-040", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-080", "CHAIN-NODEPORT-020"),
        ),
    ),
    Terrain(
        "internal-local",
        "changes at admission",
        "keeps traffic to clusterIPs on the Node",
        (INTERNAL,),
        skips=changed(
            "Service web spec.internalTrafficPolicy",
            "internal-local",
            "CHAIN-SERVICE-040",
            *(f"CHAIN-CLUSTERIP-{number}" for number in ("010", "020", "030", "060", "080", "090")),
            *("CHAIN-DNS-040", "CHAIN-DNS-050", "WALK-DNS-010"),
        ),
    ),
    Terrain(
        "external-local",
        "changes at admission",
        "keeps traffic to nodePorts on the Node",
        (EXTERNAL,),
        skips=changed(
            "Service web spec.externalTrafficPolicy",
            "external-local",
            *("CHAIN-SERVICE-040", "CHAIN-NODEPORT-010", "CHAIN-NODEPORT-020", "CHAIN-NODEPORT-030", "CHAIN-DELETION-050"),
            "WALK-NODEPORT-010",
        ),
    ),
)
