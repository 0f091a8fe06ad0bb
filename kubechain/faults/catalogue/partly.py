"""Faults of a part: one node of three, one replica of two, and two links that are broken at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, unmet
from kubechain.faults.catalogue.admission import NEVER_READY, NO_PODS, OTHER_PORT, WRONG_VARIABLE
from kubechain.faults.catalogue.control_plane import UnboundController
from kubechain.faults.catalogue.dns import servers
from kubechain.faults.catalogue.in_passing import CLIENT_ON_FIRST
from kubechain.faults.catalogue.nodes import MISSING_BACKEND, no_routes
from kubechain.faults.fault import Combined, Fault
from kubechain.faults.injections import IptablesRule, frozen
from kubechain.faults.testbed import Testbed

# Before the address of the DNS Service is translated, and after.
DNS_DROPPED = IptablesRule("raw", "PREROUTING -p udp --dport 53 -j DROP", "all")


@dataclass(frozen=True)
class DroppedServer:
    """No Pod reaches one of the CoreDNS Pods, which stays ready: kubelets probe other ports, from its own node."""

    def _kept(self, testbed: Testbed) -> Path:
        return testbed.folder / "dns-server"

    def _rule(self, testbed: Testbed) -> IptablesRule | None:
        kept = self._kept(testbed)
        address = kept.read_text(encoding="utf-8") if kept.exists() else ""
        return IptablesRule("filter", f"FORWARD -d {address} -p udp --dport 53 -j DROP", "all") if address else None

    def inject(self, testbed: Testbed) -> None:
        """Save the address of one Pod in the testbed's folder; drop UDP to it on every node."""
        self._kept(testbed).write_text(str(servers(testbed)[0].at("status.podIP")), encoding="utf-8")
        rule = self._rule(testbed)
        if rule:
            rule.inject(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the rule on every node."""
        rule = self._rule(testbed)
        return rule.in_effect(testbed) if rule else unmet("no address of a CoreDNS Pod")

    def heal(self, testbed: Testbed) -> None:
        """Delete the rule."""
        rule = self._rule(testbed)
        if rule:
            rule.heal(testbed)
        self._kept(testbed).unlink(missing_ok=True)


FAULTS = (
    Fault("proxy-frozen-beside-client", "node", "kube-proxy is frozen on the client Pod's node", Link.CLUSTERIP,
          Combined((CLIENT_ON_FIRST, frozen("/usr/local/bin/kube-proxy", "worker"))),
          ("CHAIN-CLUSTERIP-010",), "timeout|refused|unreachable|curl exit", also=(Link.NODEPORT,)),
    Fault("route-gone-on-one", "node", "the client Pod's node has no routes to the Pods of other nodes", Link.CLUSTERIP,
          Combined((CLIENT_ON_FIRST, no_routes("worker"))), ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020"),
          f"timeout|refused|unreachable|{MISSING_BACKEND}|curl exit", also=(Link.NODEPORT,)),
    Fault("dns-dropped-on-one", "dns", "the client Pod's node drops DNS over UDP", Link.DNS,
          Combined((CLIENT_ON_FIRST, IptablesRule("filter", "FORWARD -s {pods} -p udp --dport 53 -j DROP", "worker"))),
          ("CHAIN-DNS-010",), "got timeout"),
    # Half of the questions are lost. A claim that asks again may pass; one of these asks each server.
    Fault("dns-one-dropped", "dns", "one CoreDNS Pod of two cannot be reached", Link.DNS, DroppedServer(),
          ("CHAIN-DNS-010", "CHAIN-DNS-040", "CHAIN-DNS-050", "CHAIN-DNS-140", "CHAIN-DNS-170"), "timeout|: name"),
    # No claim is tried as long as Pods are refused: who refuses them is said first, and of the Service nothing is known.
    Fault("pods-denied-and-port-changed", "admission", "every Pod is refused, and Services have another targetPort",
          "refused", Combined((NO_PODS, OTHER_PORT)), symptom="Pod.*ValidatingAdmissionPolicy 'pods-denied'"),
    Fault("never-ready-and-variable-wrong", "workload", "nginx Pods are never ready, and a variable is wrong",
          Link.PODS, Combined((NEVER_READY, WRONG_VARIABLE)), ("CHAIN-PODS-010",), "ContainersReady is False", also=(Link.ENV,)),
    # DNS uses the clusterIP, which needs the EndpointSlices: nothing can be said of it.
    Fault("slices-and-dns-gone", "control plane", "the endpointslice-controller has no permissions, and DNS is dropped",
          Link.ENDPOINTS, Combined((UnboundController(), DNS_DROPPED)), ("CHAIN-ENDPOINTS-010",), "got no ready address"),
)  # fmt: skip
