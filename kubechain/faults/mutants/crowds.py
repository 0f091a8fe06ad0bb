"""Mutants that show when there are many Services of the same name, in namespaces of their own."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import MANAGER
from kubechain.faults.mutants.endpoints import SLICES_CONTROLLER
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import COREDNS, DNS, IPTABLES, PROXY
from kubechain.images.mutation import after, replaced

# A run has fewer namespaces with a Service of this name before the chains side by side, which are made last.
FIRST, CHAINS = 6, {"KUBECHAIN_CHAINS": "10"}
CROWDED = r"expected each of 10 chains .*, got \d; "


def earlier(others: str, own: str) -> str:
    """Return Go statements that count those of `others` with the name of `own` in namespaces that sort before its own."""
    return (
        f"earlier := 0; for {others} {{ if a, b := other.Namespace, {own}.Namespace; other.Name == {own}.Name "
        f"&& (len(a) < len(b) || len(a) == len(b) && a < b) {{ earlier++ }} }}"
    )


IN_RULES = earlier("other := range proxier.svcPortMap", "svcName")

MUTANTS = (
    Mutant("slices-of-few-alone", MANAGER, SLICES_CONTROLLER, "Controller.syncService",
           after("Get", "if err == nil { all, _ := c.serviceLister.List(labels.Everything()); "
                 f"{earlier('_, other := range all', 'service')}; if earlier >= {FIRST} {{ return nil }} }}"),
           "the EndpointSlice controller serves a few Services of a name alone", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-130",),
           CROWDED, given=CHAINS),
    Mutant("cluster-ips-of-few-alone", PROXY, IPTABLES, "Proxier.syncProxyRules",
           after("filterRules", f"{IN_RULES}; if earlier >= {FIRST} {{ hasInternalEndpoints = false; "
                 'internalTrafficFilterTarget = "REJECT"; internalTrafficFilterComment = `"one too many"` }', 1, 1),
           "kube-proxy serves the clusterIPs of a few Services of a name alone", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-120",),
           CROWDED, given=CHAINS),
    Mutant("node-ports-of-few-alone", PROXY, IPTABLES, "Proxier.syncProxyRules",
           replaced("svcInfo.NodePort()", f"func() int {{ {IN_RULES}; if earlier >= {FIRST} {{ return 0 }}; "
                    "return svcInfo.NodePort() }()", 1, 4),
           "kube-proxy serves the nodePorts of a few Services of a name alone", Link.NODEPORT, ("CHAIN-NODEPORT-070",), CROWDED,
           given=CHAINS),
    Mutant("names-of-few-alone", COREDNS, DNS, "Kubernetes.findServices",
           after("SvcIndex", f"if len(serviceList) == 1 {{ own := serviceList[0]; "
                 f"{earlier('_, other := range k.APIConn.ServiceList()', 'own')}; "
                 f"if earlier >= {FIRST} {{ serviceList = nil }} }}"),
           "CoreDNS knows a few Services of a name alone", Link.DNS, ("CHAIN-DNS-210",), CROWDED, given=CHAINS),
)  # fmt: skip
