"""What claims rest on besides the cluster: values of fields that admission may change.

A premise is a field of an object of the chain, with the value that was sent, or else the default of the API. Where admission
changes it, what the claim says is not promised: the claim is skipped, with the change as the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kubechain.kube.objects import Json, KubeObject

# The Service and the Deployment web, each of the Deployment's Pods, and the client Pod.
# The proxy is that of Services: not admission, but its configuration says what it does.
Role = Literal["Service", "Deployment", "Pod", "client", "proxy"]


@dataclass(frozen=True)
class Premise:
    """A field of an object of the chain, by a dotted path, and its value; None for a field that is not set."""

    role: Role
    path: str
    value: object

    @property
    def field(self) -> tuple[str, ...]:
        """The path, as that of a Change."""
        return tuple(self.path.split("."))

    def there(self, resource: KubeObject) -> object:
        """Return the value that an object has, None if the field is missing."""
        return resource.at(self.path)

    def holds(self, resource: KubeObject) -> bool:
        """Whether an object has the value. A field that is missing is not changed: the API server did not default it."""
        there = self.there(resource)
        return there is None or there == self.value


class TolerationSeconds(Premise):
    """For how many seconds a Pod tolerates the NoExecute taint node.kubernetes.io/NAME; `path` is the name, such as "not-ready".

    A toleration without a key, as virtual Nodes ask for, speaks of every taint.
    """

    @property
    def field(self) -> tuple[str, ...]:
        """The path, as that of a Change."""
        return ("spec", "tolerations", f"[{self.path}]", "tolerationSeconds")

    def there(self, resource: KubeObject) -> object:
        """Return the seconds, "for ever" without a bound, None if the Pod says nothing of the taint."""
        tolerations: list[Json] = resource.at("spec.tolerations", [])
        keys = (f"node.kubernetes.io/{self.path}", "", None)
        meant = [each for each in tolerations if each.get("key") in keys and each.get("effect") in ("NoExecute", "", None)]
        return next((each.get("tolerationSeconds", "for ever") for each in meant), None)


class Annotation(Premise):
    """An annotation; `path` is its key."""

    @property
    def field(self) -> tuple[str, ...]:
        """The path, as that of a Change."""
        return ("metadata", "annotations", f"[{self.path}]")

    def there(self, resource: KubeObject) -> object:
        """Return the value, None without the annotation."""
        return resource.annotations.get(self.path)


def defaults(role: Role, **values: object) -> tuple[Premise, ...]:
    """Return premises about fields of the spec; two underscores stand for a dot."""
    return tuple(Premise(role, f"spec.{path.replace('__', '.')}", value) for path, value in values.items())


# Every Pod reaches the Service at its clusterIP.
REACHED = defaults("Service", internalTrafficPolicy="Cluster")
# No annotation says for which zones endpoints are. It takes precedence over the field trafficDistribution.
# https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/
ZONELESS = tuple(Annotation("Service", f"service.kubernetes.io/topology-{name}", None) for name in ("mode", "aware-hints"))
# The service proxy leads the connections of one client to every Pod.
CHOICE = Premise("proxy", "ipvs.scheduler", None)
# Each new connection may lead to any Pod of the Service.
SPREAD = (
    *defaults("Service", sessionAffinity="None", trafficDistribution=None),
    *ZONELESS,
    # https://istio.io/latest/docs/ambient/usage/traffic-distribution/
    Annotation("Service", "networking.istio.io/traffic-distribution", None),
    CHOICE,
)
# The Service has a nodePort, and every Node answers there.
NODE_PORT = defaults("Service", type="NodePort")
NODE_PORTS = (*NODE_PORT, *defaults("Service", externalTrafficPolicy="Cluster"))
# The kubelet tells the containers of a Pod about Services.
SERVICE_LINKS = defaults("client", enableServiceLinks=True)
# Pods ask the cluster's DNS, by the search list of the cluster.
CLUSTER_DNS = defaults("client", dnsPolicy="ClusterFirst")
SEARCH_LIST = (*CLUSTER_DNS, *defaults("client", dnsConfig=None))
# The first process of a container is its own.
OWN_PROCESSES = defaults("Pod", shareProcessNamespace=False)
TOLERATED_300_S = tuple(TolerationSeconds("Pod", name, 300) for name in ("not-ready", "unreachable"))
# A Deployment of a few replicas keeps them all while it rolls.
ROLLING = defaults(
    "Deployment",
    strategy__type="RollingUpdate",
    strategy__rollingUpdate__maxSurge="25%",
    strategy__rollingUpdate__maxUnavailable="25%",
)
DEPLOYMENT_DEFAULTS = (*ROLLING, *defaults("Deployment", revisionHistoryLimit=10, progressDeadlineSeconds=600))
ONE_FAMILY = defaults("Service", ipFamilyPolicy="SingleStack")
SERVICE_DEFAULTS = (
    *defaults("Service", sessionAffinity="None", internalTrafficPolicy="Cluster", externalTrafficPolicy="Cluster"),
    *ONE_FAMILY,
)
