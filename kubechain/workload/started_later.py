"""Pods whose kubelet knows of a Service when it starts their container: only these have the variables of the Service.

A kubelet learns of Services and of Pods by two watches, so that right after a Service is made it may start a Pod and not know of
the Service yet, on a healthy cluster too. What a container starts with stays, so only a later Pod can have the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, met
from kubechain.conditions.env import told_of
from kubechain.conditions.timeouts import IN_CONTAINER
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.protocols import Eventually
from kubechain.probes.pod import PodProbe
from kubechain.workload import manifests, sources
from kubechain.workload.chain import Chain

# How many Pods are started after the first, each once the one before is ready: some seconds on any machine.
MOST_LATER = 3
READ = Condition[Mapping[str, str]]("the environment to be read", lambda _: met(), IN_CONTAINER)
Make = Callable[[Chain, Json], KubeObject]


def place(chain: Chain, eventually: Eventually, service: str, first: PodProbe, make: Make) -> PodProbe:
    """Return the first of a Pod and of others, started after it, that has a variable of the Service; the last if none has.

    Whether the variables are right, the claim says.
    """
    probe = first
    for number in range(1, MOST_LATER + 1):
        if told_of(service, eventually(sources.environment(chain, probe), READ).state):
            break
        probe = chain.ready_inside(make(chain, manifests.client_pod(f"{first.pod}-{number}", chain.client_image)).name)
    return probe


def kept(chain: Chain, body: Json) -> KubeObject:
    """Make a Pod that is deleted with its chain: for claims that may not delete anything."""
    return chain.api.create(body, chain.namespace)
