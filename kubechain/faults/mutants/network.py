"""Mutants of kube-proxy in the mode iptables, and of CoreDNS."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.fault import Component
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import after, always, begin, never, replaced, skip

PROXIES, IPTABLES = "k8s.io/kubernetes/pkg/proxy", "k8s.io/kubernetes/pkg/proxy/iptables"
PLUGIN, DNS = "github.com/coredns/coredns/plugin", "github.com/coredns/coredns/plugin/kubernetes"
PROXY: Component = "kube-proxy"
COREDNS: Component = "CoreDNS"

MUTANTS = (
    Mutant("first-endpoint-alone", PROXY, IPTABLES, "Proxier.writeServiceToEndpointRules", never("numEndpoints"),
           "every connection to a Service goes to the same Pod", Link.CLUSTERIP,
           ("CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-080"), r"got web-[\w-]+ \(\d+ times\)", (Link.NODEPORT,), short=True),
    Mutant("probabilities-wrong", PROXY, IPTABLES, "Proxier.probability", begin('return "0.9000000000"'),
           "connections are spread unevenly over Pods", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-080",), r"got web-.*times",
           (Link.NODEPORT,)),
    Mutant("affinity-unheeded", PROXY, IPTABLES, "Proxier.writeServiceToEndpointRules", never("SessionAffinityType"),
           "sessionAffinity ClientIP is ignored", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-040",), "got web-.*, web-"),
    Mutant("internal-policy-ignored", PROXY, PROXIES, "newBaseServiceInfo", replaced("internalPolicyLocal", "false"),
           "internalTrafficPolicy Local is ignored", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-050",), "got web-.*, web-"),
    Mutant("external-policy-ignored", PROXY, PROXIES, "newBaseServiceInfo", replaced("externalPolicyLocal", "false"),
           "externalTrafficPolicy Local is ignored", Link.NODEPORT, ("CHAIN-NODEPORT-040",),
           r"got .*(web-|http|\d+\.\d+\.\d+\.\d+)"),
    Mutant("node-port-unserved", PROXY, PROXIES, "newBaseServiceInfo", replaced("int(port.NodePort)", "0", of="int"),
           "nodePorts lead nowhere", Link.NODEPORT, ("CHAIN-NODEPORT-010",), "refused|timeout"),
    Mutant("localhost-unserved", PROXY, IPTABLES, "Proxier.syncProxyRules", always("localhostNodePorts", 3, 4),
           "nodePorts do not answer at localhost", Link.NODEPORT, ("WALK-NODEPORT-020",),
           r"got http://localhost:\d+/ on Node \S+: refused"),
    Mutant("udp-as-tcp", PROXY, PROXIES, "newBaseServiceInfo", replaced("port.Protocol", "v1.ProtocolTCP"),
           "Services for UDP get the rules of TCP", Link.NODEPORT, ("CHAIN-NODEPORT-050",), "got nothing at", (Link.DNS,)),
    Mutant("alias-unknown", COREDNS, DNS, "Kubernetes.findServices", never("TypeCNAME"),
           "a Service of type ExternalName has no alias", Link.DNS, ("CHAIN-DNS-130",), "got NXDOMAIN|got no record", short=True),
    Mutant("unready-named", COREDNS, f"{DNS}/object", "EndpointSliceToEndpoints", never("endpointsliceReady"),
           "a headless name resolves to Pods that are not ready", Link.DNS, ("CHAIN-DNS-120",), r"got (NOERROR )?10\."),
    Mutant("hostnames-ignored", COREDNS, DNS, "endpointHostname", never("Hostname"),
           "Pods with a hostname have no name below their Service", Link.DNS, ("CHAIN-DNS-110",), "got (NXDOMAIN|SERVFAIL)"),
    Mutant("ports-mixed-up", COREDNS, DNS, "matchPortAndProtocol", begin("return true"),
           "the SRV name of a port has the records of all ports", Link.DNS, ("CHAIN-DNS-080",), "got NOERROR .*,"),
    Mutant("reverse-name-wrong", COREDNS, DNS, "Kubernetes.serviceRecordForIP", replaced("service.Name", '"another"'),
           "the name of an address is that of another Service", Link.DNS, ("CHAIN-DNS-090",), "got another"),
    Mutant("headless-first-alone", COREDNS, PLUGIN, "A", after("records", "if len(records) > 1 { records = records[:1] }", 5, 5),
           "a name with several addresses resolves to one", Link.DNS, ("CHAIN-DNS-100",), r"got [\da-f.:]+( |$)"),
    Mutant("headless-as-cluster-ip", COREDNS, DNS, "Kubernetes.findServices", never("Headless", 2, 2),
           "a headless name has no address of a Pod", Link.DNS, ("CHAIN-DNS-100",), "got (NXDOMAIN|no record|none)"),
    Mutant("namespace-ignored", COREDNS, DNS, "parseRequest", after("namespace", 'r.namespace = "default"'),
           "names are looked up in the namespace default alone", Link.DNS, ("CHAIN-DNS-010",), "got (NXDOMAIN|no record)"),
    Mutant("deleted-names-kept", COREDNS, f"{DNS}/object", "DefaultProcessor", skip("Delete"),
           "the name of a deleted Service resolves", Link.DELETION, ("CHAIN-DELETION-060",), r"got (NOERROR )?10\."),
    Mutant("old-names-kept", COREDNS, f"{DNS}/object", "DefaultProcessor", skip("Delete"),
           "the name of a Service that is made anew has the address of the old one", Link.DNS, ("CHAIN-DNS-150",),
           r"got (NOERROR )?10\.", (Link.DELETION,), more=((f"{DNS}/object", "DefaultProcessor", skip("Update")),)),
)  # fmt: skip
