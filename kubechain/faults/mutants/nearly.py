"""Mutants that do nearly what they should: too early, too late to notice, or for another port."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import CONTROLLERS, MANAGER
from kubechain.faults.mutants.endpoints import SLICES
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import IPTABLES, PROXIES, PROXY
from kubechain.faults.mutants.nodes import KUBELET, PODS, RUNTIME
from kubechain.images.mutation import always, begin, replaced
from kubechain.workload.manifests import CONTAINER_PORT

FIRST, SECONDS = "service.Spec.Ports[0].Port", "*(tolerations[i].TolerationSeconds)"

MUTANTS = (
    Mutant("eviction-early", MANAGER, f"{CONTROLLERS}/tainteviction", "getMinTolerationTime",
           replaced(SECONDS, f"{SECONDS} - 3", of="int64"), "Pods are evicted three seconds before their toleration has run out",
           Link.NODES, ("LIFE-NODES-040",), r"assert \(?[\d.]+ > "),
    Mutant("grace-quartered", KUBELET, RUNTIME, "kubeGenericRuntimeManager.killContainer",
           replaced("gracePeriod", "max(gracePeriod/4, 1)", 9, 10, of="int64"),
           "containers that ignore SIGTERM are killed after a quarter of their grace period", Link.DELETION,
           ("LIFE-DELETION-040",), r"assert \(?[\d.]+ >= "),
    Mutant("new-external-policy-unnoticed", PROXY, PROXIES, "ServiceChangeTracker.Update",
           begin("if previous != nil && current != nil { current = current.DeepCopy(); "
                 "current.Spec.ExternalTrafficPolicy = previous.Spec.ExternalTrafficPolicy }"),
           "kube-proxy does not notice another externalTrafficPolicy", Link.NODEPORT, ("CHAIN-NODEPORT-040",),
           r"got .*(web-|http|\d+\.\d+\.\d+\.\d+)"),
    Mutant("local-source-hidden", PROXY, IPTABLES, "Proxier.syncProxyRules", always("ExternalPolicyLocal", 2, 2),
           "with externalTrafficPolicy Local, too, Pods see an address of their Node for that of the client", Link.NODEPORT,
           ("CHAIN-NODEPORT-040",), r"got \d+\.\d+\.\d+\.\d+"),
    Mutant("links-off-wholly", KUBELET, PODS, "Kubelet.getServiceEnvVarMap",
           begin("if !enableServiceLinks { return map[string]string{}, nil }"),
           "enableServiceLinks false takes the variables of the API server's Service away, too", Link.ENV, ("CHAIN-ENV-040",),
           "got no KUBERNETES_SERVICE_HOST"),
    Mutant("dashes-kept", KUBELET, f"{PODS}/envvars", "makeEnvVariableName", begin("return strings.ToUpper(str)"),
           "names of variables keep the dashes of the name of a Service", Link.ENV, ("CHAIN-ENV-050",), "got none"),
    Mutant("node-port-variable", KUBELET, f"{PODS}/envvars", "FromServices",
           replaced(FIRST, f"max({FIRST}, service.Spec.Ports[0].NodePort)"),
           "the variable _SERVICE_PORT has the nodePort of a Service that has one", Link.ENV, ("CHAIN-ENV-010",), r"got 3\d{4}"),
    Mutant("first-target-for-all", MANAGER, SLICES, "getEndpointPorts",
           replaced("servicePort", "&service.Spec.Ports[0]", 1, 4, of="*v1.ServicePort"),
           "all ports of a Service lead to the targetPort of the first", Link.SERVICE, ("CHAIN-SERVICE-120",),
           f"got .*port {CONTAINER_PORT}"),
)  # fmt: skip
