"""Mutants that show when a Node is lost, comes back or is drained, or its kubelet is restarted."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import CONTROLLERS, MANAGER
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.network import PROXIES, PROXY
from kubechain.faults.mutants.nodes import KUBELET, LATE_SLICES, RUNTIME, SCHEDULER, SCHEDULING
from kubechain.images.mutation import after, begin, never, replaced

PLUGINS = f"{SCHEDULING}/framework/plugins"
LOST = r"got [\d,]+ of [\d,]+ lost"

MUTANTS = (
    Mutant("unready-endpoints-served", PROXY, PROXIES, "EndpointSliceCache.addEndpoints",
           after("terminating", "ready = true"), "kube-proxy sends connections to Pods that are not ready",
           Link.NODES, ("LIFE-NODES-050",), LOST),
    Mutant("lost-taints-kept", MANAGER, f"{CONTROLLERS}/nodelifecycle", "Controller.markNodeAsReachable",
           begin("return false, nil"), "a Node that comes back keeps the taints of a lost one", Link.NODES, ("LIFE-NODES-060",),
           r"taints node\.kubernetes\.io/unreachable:NoExecute"),
    Mutant("return-unreadies-others", MANAGER, f"{CONTROLLERS}/tainteviction", "Controller.handleNodeUpdate",
           after("cancelWorkWithEvent",
                 # A kubelet reports the conditions of its Pods again every 10 s.
                 "if i == 0 { name := node.Name; go func() { for range 12 { "
                 'if others, err := tc.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{}); err == nil '
                 '{ for _, other := range others.Items { if other.Namespace != "kube-system" && other.Spec.NodeName != name '
                 "&& metav1.GetControllerOf(&other) != nil "
                 "{ _, _ = tc.client.CoreV1().Pods(other.Namespace).Patch(ctx, other.Name, "
                 'types.StrategicMergePatchType, []byte(`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`), '
                 'metav1.PatchOptions{}, "status") } } }; time.Sleep(time.Second / 2) } }() }'),
           "when a Node loses its taints, the Pods of other Nodes count as not ready for some seconds", Link.NODES,
           ("LIFE-NODES-070",), LOST),
    Mutant("cordon-ignored", SCHEDULER, f"{PLUGINS}/nodeunschedulable", "NodeUnschedulable.Filter", begin("return nil"),
           "Pods are bound to Nodes that are cordoned", Link.NODES, ("LIFE-NODES-080",), r"got \d on ",
           more=((f"{PLUGINS}/tainttoleration", "TaintToleration.Filter",
                  begin("if nodeInfo.Node().Spec.Unschedulable { return nil }")),)),
    Mutant("hook-ignored-in-drain", KUBELET, RUNTIME, "kubeGenericRuntimeManager.killContainer", never("PreStop"),
           "containers of drained Pods are stopped at once, a second before EndpointSlices change", Link.NODES,
           ("LIFE-NODES-080",), LOST, more=(LATE_SLICES,)),
    Mutant("containers-restarted-with-kubelet", KUBELET, RUNTIME, "kubeGenericRuntimeManager.computePodActions",
           replaced("changed", 'func() bool { seen, err := time.Parse(time.RFC3339Nano, '
                    'pod.Annotations["kubernetes.io/config.seen"]); return changed || err == nil '
                    '&& pod.Namespace != "kube-system" && containerStatus.StartedAt.Before(seen.Add(-time.Second)) }()'),
           "a kubelet that is restarted restarts the containers that run", Link.NODES, ("LIFE-NODES-090",),
           "with restartCount 1 instead of 0|is False|restartCount"),
)  # fmt: skip
