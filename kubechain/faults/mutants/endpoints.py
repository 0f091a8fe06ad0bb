"""Mutants of kube-controller-manager: Endpoints and EndpointSlices."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import CONTROLLERS, MANAGER
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import after, begin, never, replaced, skip
from kubechain.workload.manifests import CONTAINER_PORT

SLICES = "k8s.io/endpointslice"
SLICES_CONTROLLER, ENDPOINTS = f"{CONTROLLERS}/endpointslice", f"{CONTROLLERS}/endpoint"
MOST = "int(r.maxEndpointsPerSlice)"
LAST_KEPT = "left := 0; for _, pod := range pods { if pod.DeletionTimestamp == nil { left++ } }; if left == 0 { return nil }"

MUTANTS = (
    Mutant("slice-port-of-service", MANAGER, SLICES, "getEndpointPorts",
           replaced("int32(portNum)", "servicePort.Port"), "EndpointSlices list the port of the Service, not that of the Pods",
           Link.ENDPOINTS, ("CHAIN-ENDPOINTS-010",), r"got \d addresses \(missing"),
    Mutant("slice-node-unnamed", MANAGER, SLICES, "podToEndpoint", never("NodeName"),
           "endpoints of EndpointSlices name no Node", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-040",), "nodeName .*, got none"),
    Mutant("slice-ending-ready", MANAGER, SLICES, "podToEndpoint", replaced("!terminating", "true"),
           "Pods that end are listed as ready", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-090",), "ending with ready=false"),
    Mutant("slice-never-published", MANAGER, SLICES, "podToEndpoint", replaced("service.Spec.PublishNotReadyAddresses", "false"),
           "EndpointSlices ignore publishNotReadyAddresses", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-100",),
           "got none in EndpointSlices, unready in Endpoints"),
    Mutant("slice-always-published", MANAGER, SLICES, "podToEndpoint", replaced("service.Spec.PublishNotReadyAddresses", "true"),
           "EndpointSlices list every Pod as ready", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-100",),
           "got .+ in EndpointSlices, none in Endpoints"),
    Mutant("endpoints-never-published", MANAGER, ENDPOINTS, "addEndpointSubset", replaced("tolerateUnreadyEndpoints", "false"),
           "Endpoints ignore publishNotReadyAddresses", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-100",),
           "got unready in EndpointSlices, none in Endpoints"),
    Mutant("endpoints-port-of-service", MANAGER, ENDPOINTS, "endpointPortFromServicePort",
           replaced("int32(portNum)", "servicePort.Port"), "Endpoints list the port of the Service, not that of the Pods",
           Link.ENDPOINTS, ("CHAIN-ENDPOINTS-020", "CHAIN-ENDPOINTS-050"), r"got (Endpoints with )?\d addresses \(missing"),
    Mutant("labels-ignored", MANAGER, f"{SLICES}/util", "podEndpointsChanged", never("DeepEqual"),
           "a changed label of a Pod changes no Endpoints", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-070",), "in EndpointSlices"),
    Mutant("readiness-ignored", MANAGER, f"{SLICES}/util", "podEndpointsChanged", never("IsPodReady"),
           "a Pod that turns ready or unready changes no Endpoints", Link.ENDPOINTS,
           ("CHAIN-ENDPOINTS-010", "CHAIN-ENDPOINTS-060"), "got no ready address|in EndpointSlices"),
    Mutant("slices-too-long", MANAGER, SLICES, "Reconciler.reconcileByPortMapping",
           replaced(MOST, "1000", 3, 4, of="int"), "an EndpointSlice lists more than 100 endpoints",
           Link.ENDPOINTS, ("CHAIN-ENDPOINTS-110",), r"got \d+ with [\d, ]+ endpoints",
           more=((SLICES, "Reconciler.reconcileByPortMapping", replaced(MOST, "1000", 4, 4, of="int")),)),
    Mutant("named-port-unfound", MANAGER, SLICES, "FindPort", replaced("port.Name == name", "port.Name != name", 1, 2),
           "a targetPort that is a name leads to no port of that name", Link.SERVICE, ("CHAIN-SERVICE-120",),
           f"got .*(port {CONTAINER_PORT}|refused|timeout|no answer)"),
    Mutant("no-selector-selects-all", MANAGER, SLICES_CONTROLLER, "Controller.syncService", never("Selector"),
           "a Service without a selector gets EndpointSlices of all Pods", Link.SERVICE, ("CHAIN-SERVICE-130",),
           "got .*(refused|web-|timeout)"),
    Mutant("slices-keep-last-pods", MANAGER, SLICES_CONTROLLER, "Controller.syncService",
           after("List", LAST_KEPT, 1, 2), "EndpointSlices keep their Pods when the last of them end",
           Link.DELETION, ("CHAIN-DELETION-030",), r"got .+:\d+ in EndpointSlices, none in Endpoints|in EndpointSlices"),
    Mutant("endpoints-keep-last-pods", MANAGER, ENDPOINTS, "Controller.syncService",
           after("List", LAST_KEPT), "Endpoints keep their Pods when the last of them end",
           Link.DELETION, ("CHAIN-DELETION-030",), r"got none in EndpointSlices, .+:\d+ in Endpoints"),
    Mutant("endpoints-outlive-service", MANAGER, ENDPOINTS, "Controller.syncService", skip("Delete", 1, 2),
           "Endpoints stay when their Service is deleted", Link.DELETION, ("CHAIN-DELETION-070",), "Endpoints web still there"),
    Mutant("slice-hostname-unset", MANAGER, f"{SLICES}/util", "ShouldSetHostname", begin("return false"),
           "endpoints have no hostname, so that DNS has no name for a Pod of a headless Service", Link.DNS,
           ("CHAIN-DNS-110",), "got (NXDOMAIN|SERVFAIL)"),
)  # fmt: skip
