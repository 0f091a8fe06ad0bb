"""Mutants of kubelet and kube-scheduler."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.fault import Component
from kubechain.faults.mutants.controllers import CONTROLLERS
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import always, begin, never, replaced, skip

KUBELET: Component = "kubelet"
SCHEDULER: Component = "kube-scheduler"
PODS, SCHEDULING = "k8s.io/kubernetes/pkg/kubelet", "k8s.io/kubernetes/pkg/scheduler"
RUNTIME = f"{PODS}/kuberuntime"
# A second makes sure that requests meet the Pods that are gone; EndpointSlices may be that late.
LATE_SLICES = (f"{CONTROLLERS}/endpointslice", "Controller.syncService", begin("time.Sleep(1e9)"))

MUTANTS = (
    Mutant("affinity-ignored", SCHEDULER, f"{SCHEDULING}/framework/plugins/interpodaffinity", "InterPodAffinity.Filter",
           begin("return nil"), "Pods are bound to Nodes without the Pods that they must be beside", Link.PODS,
           ("CHAIN-PODS-130",), "got .*(Running|True)", short=True),
    Mutant("unschedulable-unsaid", SCHEDULER, SCHEDULING, "Scheduler.handleSchedulingFailure", skip("updatePod"),
           "a Pod that fits nowhere does not say why", Link.PODS, ("CHAIN-PODS-130",), "got no PodScheduled"),
    Mutant("scheduled-event-missing", SCHEDULER, SCHEDULING, "Scheduler.finishBinding", skip("Eventf"),
           "there is no event Scheduled", Link.PODS, ("CHAIN-PODS-120",), "got Created, Pulled, Started"),
    Mutant("host-address-wrong", KUBELET, PODS, "Kubelet.generateAPIPodStatus",
           replaced("hostIPs[0].String()", '"192.0.2.1"', 2, 3), "Pods report an address that is not of their Node", Link.PODS,
           ("CHAIN-PODS-040",), r"got 192\.0\.2\.1"),
    Mutant("initialized-denied", KUBELET, f"{PODS}/status", "GeneratePodInitializedCondition",
           begin("return v1.PodCondition{Type: v1.PodInitialized, Status: v1.ConditionFalse}"),
           "Pods report Initialized as False", Link.PODS, ("CHAIN-PODS-060",), "Initialized is False", short=True),
    Mutant("restarts-overcounted", KUBELET, PODS, "Kubelet.convertToAPIContainerStatuses",
           replaced("int32(cs.RestartCount)", "int32(cs.RestartCount) + 1", 1, 2), "Pods report one restart too many", Link.PODS,
           ("CHAIN-PODS-070",), "restartCount 1"),
    Mutant("image-unnamed", KUBELET, PODS, "Kubelet.convertToAPIContainerStatuses", replaced("cs.ImageRef", '""'),
           "Pods report no imageID", Link.IMAGE, ("CHAIN-IMAGE-010", "CHAIN-IMAGE-020"), "got (imageID|none|empty)"),
    Mutant("image-wrong", KUBELET, PODS, "Kubelet.convertToAPIContainerStatuses",
           replaced("cs.ImageRef", '"sha256:0000000000000000000000000000000000000000000000000000000000000000"'),
           "Pods report the ID of another image", Link.IMAGE, ("CHAIN-IMAGE-020",), "got sha256:0000"),
    Mutant("back-off-unsaid", KUBELET, f"{PODS}/images", "imageManager.pullImage",
           replaced("ErrImagePullBackOff", "ErrImagePull"), "an image that is not pulled again yet is reported as just refused",
           Link.IMAGE, ("CHAIN-IMAGE-050",), "got container state .*ErrImagePull"),
    Mutant("restarts-uncounted", KUBELET, RUNTIME, "kubeGenericRuntimeManager.startContainer",
           replaced("containerStatus.RestartCount + 1", "containerStatus.RestartCount"), "restarts are not counted", Link.PODS,
           ("CHAIN-PODS-150", "LIFE-HEALING-010"), "restartCount 0|got 0"),
    Mutant("restarted-in-new-sandbox", KUBELET, f"{PODS}/container", "ShouldContainerBeRestarted",
           always("ContainerStateRunning"), "a container that ends is started again in a new sandbox, without back-off",
           Link.PODS, ("CHAIN-PODS-150",), r"got restartCount \d+, last exitCode 1, container state terminated", (Link.HEALING,)),
    Mutant("probe-failure-ignored", KUBELET, f"{PODS}/prober", "manager.UpdatePodStatus", always("result", 1, 2),
           "a running container is ready, whatever its readiness probe says", Link.PODS, ("CHAIN-PODS-140",), "got .*True",
           (Link.ENDPOINTS,)),
    Mutant("hook-ignored", KUBELET, RUNTIME, "kubeGenericRuntimeManager.executePreStopHook", begin("return 0"),
           "the preStop hook of a container is not run", Link.ROLLOUT, ("LIFE-ROLLOUT-030",), r"got [\d,]+ of [\d,]+ lost"),
    Mutant("hook-ignored-in-scaling", KUBELET, RUNTIME, "kubeGenericRuntimeManager.killContainer", never("PreStop"),
           "containers with a preStop hook are stopped at once, a second before the EndpointSlices change", Link.SCALE,
           ("LIFE-SCALE-050",), r"got [\d,]+ of [\d,]+ lost", more=(LATE_SLICES,)),
    Mutant("grace-cut", KUBELET, RUNTIME, "kubeGenericRuntimeManager.killContainer",
           replaced("gracePeriod", "0", 9, 10, of="int64"), "containers are killed at once, without SIGTERM", Link.DELETION,
           ("LIFE-DELETION-030", "LIFE-DELETION-040"), r"assert \(?(137|-1|[0-9.]+ >)"),
    Mutant("variables-of-all-namespaces", KUBELET, PODS, "Kubelet.getServiceEnvVarMap",
           replaced("service.Namespace == ns", "true"), "a Pod gets the variables of Services in other namespaces", Link.ENV,
           ("CHAIN-ENV-030",), "got NEIGHBOUR_"),
    Mutant("links-always", KUBELET, PODS, "Kubelet.getServiceEnvVarMap", replaced("enableServiceLinks", "true"),
           "enableServiceLinks false is ignored", Link.ENV, ("CHAIN-ENV-040",), "got WEB_"),
    Mutant("port-names-untold", KUBELET, f"{PODS}/envvars", "FromServices", never("Name"),
           "ports of a Service have no variable by name", Link.ENV, ("CHAIN-ENV-050",), "got no MULTI_ENV_SERVICE_PORT_BY_N"),
    Mutant("first-port-untold", KUBELET, f"{PODS}/envvars", "makeLinkVariables", never("i"),
           "a Service has no variable NAME_PORT", Link.ENV, ("CHAIN-ENV-010",), "got none"),
    Mutant("address-variable-wrong", KUBELET, f"{PODS}/envvars", "makeLinkVariables",
           replaced("service.Spec.ClusterIP", '"192.0.2.1"', 2, 2), "the variable _ADDR has another address", Link.ENV,
           ("CHAIN-ENV-010",), r"got 192\.0\.2\.1"),
    Mutant("search-list-short", KUBELET, f"{PODS}/network/dns", "Configurer.generateSearchesForDNSClusterFirst",
           begin("return hostSearch"), "Pods search no domain of the cluster", Link.DNS, ("CHAIN-DNS-010",),
           "got (NXDOMAIN|SERVFAIL)|timeout"),
    Mutant("dots-default", KUBELET, f"{PODS}/network/dns", "Configurer.GetPodDNS",
           replaced("defaultDNSOptions", "[]string{}"), "Pods have no ndots:5", Link.DNS, ("CHAIN-DNS-070",),
           "ndots:5 among the options of resolv.conf, got"),
    Mutant("hosts-without-domain", KUBELET, PODS, "managedHostsFileContent", never("hostDomainName"),
           "the file hosts of a Pod lacks its full name", Link.DNS, ("CHAIN-DNS-110",), "assert 'named.sub"),
)  # fmt: skip
