"""Mutants of what Services do besides the usual: types that change, ports by name, preferences, affinity and health checks."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.api_server import SERVER, SERVICES
from kubechain.faults.mutants.controllers import MANAGER
from kubechain.faults.mutants.endpoints import SLICES
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import COREDNS, DNS, PROXIES, PROXY
from kubechain.images.mutation import after, always, begin, never

UNSERVED = "refused|timeout|unreachable"
SEVERAL = "got web-.*, web-"

MUTANTS = (
    Mutant("former-external-unserved", PROXY, PROXIES, "ServiceChangeTracker.Update",
           begin("if previous != nil && current != nil && previous.Spec.Type == v1.ServiceTypeExternalName { return false }"),
           "kube-proxy does not notice that a Service is no longer of type ExternalName", Link.SERVICE,
           ("CHAIN-SERVICE-160", "CHAIN-SERVICE-170"), UNSERVED),
    Mutant("last-slice-alone", PROXY, PROXIES, "EndpointSliceCache.endpointInfoByServicePort",
           begin('last := ""; for name := range sliceDataByName { last = max(last, name) }; if len(sliceDataByName) > 1 '
                 "{ sliceDataByName = endpointSliceDataByName{last: sliceDataByName[last]} }"),
           "of several EndpointSlices of a Service kube-proxy takes the last one alone", Link.SERVICE, ("CHAIN-SERVICE-180",),
           "got refused"),
    Mutant("port-of-first-pod", MANAGER, SLICES, "Reconciler.reconcileByAddressType",
           after("endpointPorts", "endpointPorts = getEndpointPorts(logger, service, pods[0])"),
           "a targetPort that is a name is for all Pods the number that one of them has", Link.SERVICE, ("CHAIN-SERVICE-190",),
           UNSERVED),
    Mutant("health-port-unallocated", SERVER, f"{SERVICES}/storage", "Allocators.allocHealthCheckNodePort", begin("return nil"),
           "a Service is given no healthCheckNodePort", Link.SERVICE, ("CHAIN-SERVICE-200",),
           "spec.healthCheckNodePort: Required value"),
    Mutant("balancer-unwritten", SERVER, SERVICES, "serviceStatusStrategy.PrepareForUpdate",
           begin("obj.(*api.Service).Status = old.(*api.Service).Status"), "the status of a Service stays as it is", Link.SERVICE,
           ("CHAIN-SERVICE-210",), "got none"),
    Mutant("first-port-for-any-name", MANAGER, SLICES, "FindPort", always("name", 1, 2),
           "a targetPort that is a name leads to the first port of a Pod, whatever its name", Link.ENDPOINTS,
           ("CHAIN-ENDPOINTS-140",), "got .*first at two:"),
    Mutant("node-hints-left-out", MANAGER, f"{SLICES}/trafficdist", "preferCloseHeuristic.update", never("generateNodeHints"),
           "endpoints have no hint for their Node", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-150",), "got none"),
    Mutant("new-affinity-unnoticed", PROXY, PROXIES, "ServiceChangeTracker.Update",
           begin("if previous != nil && current != nil { current = current.DeepCopy(); "
                 "current.Spec.SessionAffinity = previous.Spec.SessionAffinity; "
                 "current.Spec.SessionAffinityConfig = previous.Spec.SessionAffinityConfig }"),
           "kube-proxy does not notice another sessionAffinity", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-130",), SEVERAL),
    Mutant("hints-unheeded", PROXY, PROXIES, "topologyModeFromHints", begin('return ""'),
           "kube-proxy does not look at the hints of endpoints", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-150",), SEVERAL),
    Mutant("ending-endpoint-unused", PROXY, PROXIES, "CategorizeEndpoints", never("clusterEndpoints", 1, 2),
           "kube-proxy does not lead to a Pod that ends, though a Service has no other", Link.CLUSTERIP,
           ("CHAIN-CLUSTERIP-160",), UNSERVED),
    Mutant("node-port-without-affinity", PROXY, PROXIES, "newBaseServiceInfo",
           begin("if service.Spec.Type == v1.ServiceTypeNodePort "
                 "{ service = service.DeepCopy(); service.Spec.SessionAffinity = v1.ServiceAffinityNone }"),
           "sessionAffinity is for Services without nodePorts alone", Link.NODEPORT, ("CHAIN-NODEPORT-080",), SEVERAL),
    Mutant("healthy-without-pods", PROXY, f"{PROXIES}/healthcheck", "hcHandler.ServeHTTP", always("count"),
           "the healthCheckNodePort says on every Node that a Pod is there", Link.NODEPORT, ("CHAIN-NODEPORT-100",),
           r"/healthz of Node \S+: 200"),
    Mutant("srv-unknown", COREDNS, DNS, "Kubernetes.Services",
           begin("if state.QType() == dns.TypeSRV { return nil, errNoItems }"), "the ports of Services have no SRV records",
           Link.DNS, ("CHAIN-DNS-220",), "got (NXDOMAIN|SERVFAIL|timeout)"),
    Mutant("external-names-kept", COREDNS, f"{DNS}/object", "DefaultProcessor",
           after("convert", "if err == nil { if old, exists, _ := clientState.Get(obj); exists "
                 '{ if known, ok := old.(*Service); ok && known.Type == "ExternalName" { continue } } }', 1, 2),
           "the name of a Service of type ExternalName stays as it was first", Link.DNS, ("CHAIN-DNS-230", "CHAIN-DNS-240"),
           r"got (NOERROR )?nginx\.example\.org"),
)  # fmt: skip
