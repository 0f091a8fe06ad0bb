"""Mutants of kube-proxy, kubelet and CoreDNS: rules for Services with no Pods, with the same Pods, and that are gone."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import MANAGER
from kubechain.faults.mutants.endpoints import SLICES
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import COREDNS, DNS, IPTABLES, PROXIES, PROXY
from kubechain.faults.mutants.nodes import KUBELET, PODS, RUNTIME
from kubechain.images.mutation import after, begin, replaced, skip

RULES = "Proxier.syncProxyRules"

MUTANTS = (
    Mutant("pod-of-second-family", KUBELET, PODS, "Kubelet.convertStatusToAPIStatus",
           after("sortPodIPs", 'if len(podIPs) > 0 && !strings.Contains(podIPs[0], ":") '
                 '{ podIPs = append(podIPs[:1:1], "2001:db8::1") }'),
           "Pods report an address besides that in the range of their Node", Link.PODS, ("CHAIN-PODS-050",), "got 2001:db8::1"),
    Mutant("back-off-renamed", KUBELET, RUNTIME, "kubeGenericRuntimeManager.doBackOff",
           replaced("kubecontainer.ErrCrashLoopBackOff", 'errors.New("RestartDelayed")', of="error"),
           "a container that waits for its restart does not say CrashLoopBackOff", Link.PODS, ("CHAIN-PODS-150",),
           r"in CrashLoopBackOff .*got restartCount \d+, last exitCode 1"),
    Mutant("pull-told-of-present-image", KUBELET, f"{PODS}/images", "imageManager.EnsureImageExists",
           after("imagePullRequired", "m.logIt(logger, objRef, v1.EventTypeNormal, events.PullingImage, logPrefix, "
                 'fmt.Sprintf("Pulling image %q", requestedImage))', 2, 3),
           "an event says that an image which is on the Node is pulled", Link.IMAGE, ("CHAIN-IMAGE-040",), r"got one for web-"),
    Mutant("termination-message-unread", KUBELET, RUNTIME, "getTerminationMessage", begin('return "", false'),
           "the termination message of a container is not read", Link.DELETION, ("LIFE-DELETION-030",), r"assert \(7, ''\)"),
    Mutant("grace-overrun", KUBELET, RUNTIME, "kubeGenericRuntimeManager.killContainer",
           replaced("gracePeriod", "gracePeriod + 60", 9, 10, of="int64"),
           "containers that ignore SIGTERM are let go on after their grace period", Link.DELETION, ("LIFE-DELETION-040",),
           "Pod stubborn still there"),
    Mutant("restarts-counted-twice", KUBELET, RUNTIME, "kubeGenericRuntimeManager.startContainer",
           replaced("containerStatus.RestartCount + 1", "containerStatus.RestartCount + 2"), "a restart is counted as two",
           Link.HEALING, ("LIFE-HEALING-010",), "restartCount 1.*, got (restartCount )?2"),
    Mutant("ready-endpoints-stay", MANAGER, SLICES, "Reconciler.reconcileByPortMapping",
           after("got", "if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready { if got == nil "
                 "{ newEndpoints = append(newEndpoints, endpoint); continue }; "
                 "if !*got.Conditions.Ready { kept := endpoint; got = &kept } }"),
           "EndpointSlices keep the address of a Pod that is deleted while others are there", Link.ENDPOINTS,
           ("CHAIN-ENDPOINTS-080",), r"got \d[\d.]+:\d+ in EndpointSlices, none in Endpoints"),
    Mutant("empty-cluster-ip-dropped", PROXY, IPTABLES, RULES, replaced('"REJECT"', '"DROP"', 1, 2),
           "the clusterIP of a Service with no endpoints gives no answer", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-060",),
           r"got http\S+: timeout"),
    Mutant("empty-node-port-dropped", PROXY, IPTABLES, RULES, replaced('"REJECT"', '"DROP"', 2, 2),
           "the nodePort of a Service with no endpoints gives no answer", Link.NODEPORT, ("CHAIN-NODEPORT-030",),
           r"of Node \S+: timeout"),
    Mutant("pods-shared-by-one", PROXY, IPTABLES, RULES,
           after("CategorizeEndpoints", "for other := range proxier.svcPortMap { if others := proxier.endpointsMap[other]; "
                 "other.Namespace == svcName.Namespace && other.Port == svcName.Port && other.Protocol == svcName.Protocol "
                 "&& other.Name > svcName.Name && len(clusterEndpoints) > 1 && len(others) == len(allEndpoints) "
                 "&& others[0].String() == allEndpoints[0].String() { clusterEndpoints = clusterEndpoints[:1] } }"),
           "of two Services with the same Pods one reaches the first of them alone", Link.CLUSTERIP, ("CHAIN-CLUSTERIP-070",),
           r"got web-[\w-]+( \(\d+ times\))?( |$)"),
    Mutant("node-port-first-endpoint", PROXY, IPTABLES, RULES,
           after("usesExternalTrafficChain", "if len(clusterEndpoints) > 0 && !svcInfo.ExternalPolicyLocal() "
                 "{ if first, ok := clusterEndpoints[0].(*endpointInfo); ok { externalPolicyChain = first.ChainName } }"),
           "every connection to a nodePort goes to the same Pod", Link.NODEPORT, ("CHAIN-NODEPORT-020",),
           r"got web-[\w-]+ \(\d+ times\)"),
    Mutant("deleted-services-served", PROXY, PROXIES, "ServicePortMap.Update", skip("unmerge"),
           "the nodePort of a deleted Service leads to its Pods", Link.DELETION, ("CHAIN-DELETION-050",), r"of Node \S+: 200",
           more=((PROXIES, "ServicePortMap.Update",
                  replaced("make(map[types.NamespacedName]*serviceChange)",
                           "func() map[types.NamespacedName]*serviceChange { kept := map[types.NamespacedName]*serviceChange{}; "
                           "for nn, change := range sct.items { if len(change.current) == 0 { kept[nn] = change } }; "
                           "return kept }()")),
                 (PROXIES, "EndpointsMap.Update", skip("unmerge")))),
    Mutant("commands-get-variables", KUBELET, PODS, "Kubelet.GetExec",
           begin('if _, namespace, err := kubecontainer.ParsePodFullName(podFullName); err == nil '
                 "{ if known, err := kl.getServiceEnvVarMap(namespace, true); err == nil { words := []string{\"env\"}; "
                 'for name, value := range known { words = append(words, name+"="+value) }; cmd = append(words, cmd...) } }'),
           "what runs in a Pod gets the variables of Services that were made after it", Link.ENV, ("CHAIN-ENV-020",),
           "got LATE_"),
    Mutant("services-never-renewed", COREDNS, f"{DNS}/object", "DefaultProcessor", skip("Delete"),
           "the name of a Service that is made anew resolves to its old address", Link.ENV, ("CHAIN-ENV-060",),
           r"moved\S* -> \S+, got 10\.", (Link.DNS,),
           more=((f"{DNS}/object", "DefaultProcessor",
                  after("convert", "if service, ok := obj.(*Service); ok && err == nil "
                        "{ if old, exists, _ := clientState.Get(service); exists { obj = old.(meta.Object) } }", 1, 2)),)),
)  # fmt: skip
