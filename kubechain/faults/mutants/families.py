"""Mutants that show on a cluster with two IP families alone."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.api_server import SERVER, SERVICES
from kubechain.faults.mutants.controllers import MANAGER
from kubechain.faults.mutants.endpoints import SLICES
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import COREDNS, DNS, PROXIES, PROXY
from kubechain.images.mutation import after, begin, replaced

ALLOCATES, TO_MAP = "Allocators.allocClusterIPs", "ServiceChangeTracker.serviceToServiceMap"
UNREACHED = "timeout|refused|unreachable|curl exit"

MUTANTS = (
    Mutant("second-family-first", SERVER, f"{SERVICES}/storage", ALLOCATES,
           begin("if both := service.Spec.IPFamilies; len(both) == 2 && len(service.Spec.ClusterIPs) == 0 "
                 "{ service.Spec.IPFamilies = []api.IPFamily{both[1], both[0]} }"),
           "a Service with two IP families is given that of the second first", Link.SERVICE, ("CHAIN-SERVICE-140",),
           "got spec.ipFamilies IPv6, IPv4", dual=True),
    Mutant("family-ignored", SERVER, f"{SERVICES}/storage", ALLOCATES,
           begin("if one := service.Spec.IPFamilies; len(one) == 1 && len(service.Spec.ClusterIPs) == 0 "
                 "{ one[0] = al.defaultServiceIPFamily }"),
           "a Service is given the default IP family, whatever it asks for", Link.SERVICE, ("CHAIN-SERVICE-150",),
           "got spec.ipFamilies IPv4", dual=True),
    Mutant("slices-of-first-family", MANAGER, SLICES, "getAddressTypesForService",
           begin("if both := service.Spec.IPFamilies; len(both) == 2 { if both[0] == v1.IPv6Protocol "
                 "{ return sets.New(discovery.AddressTypeIPv6) }; return sets.New(discovery.AddressTypeIPv4) }"),
           "a Service with two IP families has EndpointSlices of the first alone", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-120",),
           "got no ready address", dual=True),
    Mutant("second-cluster-ip-unserved", PROXY, PROXIES, TO_MAP,
           after("clusterIP", "if both := service.Spec.ClusterIPs; len(both) == 2 && both[0] != clusterIP { return nil }"),
           "the second clusterIP of a Service leads nowhere", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-100",), UNREACHED,
           (Link.NODEPORT,), dual=True),
    Mutant("lone-second-family-unserved", PROXY, PROXIES, TO_MAP,
           after("clusterIP", "if len(service.Spec.ClusterIPs) == 1 && sct.ipFamily == v1.IPv6Protocol { return nil }"),
           "the clusterIP of a Service of the second IP family leads nowhere", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-110",),
           UNREACHED, dual=True),
    Mutant("second-node-port-unserved", PROXY, PROXIES, "newBaseServiceInfo",
           after("info", "if len(service.Spec.ClusterIPs) == 2 && ipFamily == v1.IPv6Protocol { info.nodePort = 0 }"),
           "a nodePort answers at addresses of the first IP family alone", Link.NODEPORT, ("CHAIN-NODEPORT-060",), UNREACHED,
           dual=True),
    Mutant("second-family-unnamed", COREDNS, DNS, "Kubernetes.findServices", replaced("svc.ClusterIPs", "svc.ClusterIPs[:1]"),
           "the name of a Service resolves to the first of its addresses alone", Link.DNS, ("CHAIN-DNS-190",), "got no record",
           dual=True),
    Mutant("lone-second-family-unnamed", COREDNS, DNS, "Kubernetes.findServices",
           replaced("svc.ClusterIPs", "func() []string { if one := svc.ClusterIPs; len(one) == 1 && "
                    'strings.Contains(one[0], ":") { return nil }; return svc.ClusterIPs }()'),
           "the name of a Service of the second IP family has no address", Link.DNS, ("CHAIN-DNS-200",), "got no record",
           dual=True),
)  # fmt: skip
