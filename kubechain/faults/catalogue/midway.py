"""Faults in the middle of a run: claims of the broken link have passed by then, and others, which use it, notice it."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.catalogue.control_plane import UnboundController
from kubechain.faults.catalogue.nodes import NODE_PORTS_DROPPED, TO_SERVICES
from kubechain.faults.catalogue.partly import DNS_DROPPED
from kubechain.faults.fault import Fault
from kubechain.faults.injections import IptablesRule, frozen
from kubechain.faults.testbed import SCHEDULER

# Each takes effect within a second, and lasts until the run has ended.
FAULTS = (
    # The readiness probe fails; the master process of nginx, which is not frozen, keeps the container running.
    Fault("midway-server-frozen", "node", "in the middle of the run, the nginx Pods of one worker stop answering", Link.PODS,
          frozen("nginx: worker", "worker"), symptom="[01] of 2 ready", midway=Link.SERVICE),
    Fault("midway-slices-rights-lost", "control plane", "in the middle of the run, the endpointslice-controller loses its "
          "permissions", Link.ENDPOINTS, UnboundController(), symptom="got no ready address", midway=Link.CLUSTERIP),
    Fault("midway-services-dropped", "network", "in the middle of the run, every node drops TCP to Services", Link.CLUSTERIP,
          IptablesRule("raw", f"PREROUTING {TO_SERVICES} -j DROP", "all"), symptom="timeout", midway=Link.ENV),
    Fault("midway-node-port-dropped", "network", "in the middle of the run, one node drops TCP to its nodePorts", Link.NODEPORT,
          IptablesRule("raw", NODE_PORTS_DROPPED, "control-plane"), ("CHAIN-NODEPORT-020", "CHAIN-NODEPORT-030"), "timeout",
          midway=Link.NODEPORT),
    Fault("midway-dns-dropped", "dns", "in the middle of the run, DNS over UDP is dropped", Link.DNS, DNS_DROPPED,
          tuple(f"CHAIN-DNS-{number:03}" for number in range(20, 110, 10)), "timeout|: name", midway=Link.DNS),
    Fault("midway-scheduler-frozen", "control plane", "in the middle of the run, kube-scheduler is frozen", Link.PODS,
          frozen(SCHEDULER), symptom="PodScheduled is|of [02] ready", midway=Link.CLUSTERIP),
)  # fmt: skip
