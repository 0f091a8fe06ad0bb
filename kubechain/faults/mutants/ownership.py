"""Mutants of kube-controller-manager: whose Pods are whose, what a ReplicaSet counts, names and scales."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.controllers import CONTROLLERS, DEPLOYMENT, MANAGER, REPLICASET
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import after, always, begin, replaced

COLLECTOR = f"{CONTROLLERS}/garbagecollector"
SYNC, SCALES = "ReplicaSetController.syncReplicaSet", "DeploymentController.scaleReplicaSet"

MUTANTS = (
    Mutant("status-miscounts-unavailable", MANAGER, DEPLOYMENT, "calculateStatus",
           replaced("unavailableReplicas", "unavailableReplicas + 1", 2, 2),
           "a Deployment counts one Pod too many as unavailable", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-020",),
           "unavailableReplicas 0, got 1"),
    Mutant("replica-set-misnamed", MANAGER, DEPLOYMENT, "generateReplicaSetName",
           begin('return deploymentName + "-r" + podTemplateSpecHash'), "the name of a ReplicaSet is not made of its hash alone",
           Link.REPLICASET, ("CHAIN-REPLICASET-020",), r"got web-r\w+"),
    Mutant("replica-set-unlabelled", MANAGER, DEPLOYMENT, "DeploymentController.getNewReplicaSet",
           replaced("newRSTemplate.Labels", "d.Spec.Template.Labels"), "a ReplicaSet has no label pod-template-hash",
           Link.REPLICASET, ("CHAIN-REPLICASET-030",), "got labels none"),
    Mutant("controlled-pods-counted", MANAGER, REPLICASET, SYNC,
           after("claimPods", "for _, obj := range rsc.podIndexer.List() { if pod, ok := obj.(*v1.Pod); ok "
                 "&& pod.Namespace == namespace && pod.DeletionTimestamp == nil && selector.Matches(labels.Set(pod.Labels)) "
                 "{ if owner := metav1.GetControllerOf(pod); owner != nil && owner.UID != rs.UID "
                 "{ activePods = append(activePods, pod) } } }"),
           "a ReplicaSet counts Pods that have another controller", Link.REPLICASET, ("CHAIN-REPLICASET-080",),
           r"got \d \(web-|got no Pod taken"),
    Mutant("owner-of-old-version", MANAGER, REPLICASET, "ReplicaSetController.manageReplicas",
           replaced("rsc.GroupVersionKind", 'rsc.GroupVersionKind.GroupKind().WithVersion("v1beta2")'),
           "Pods name their ReplicaSet by an apiVersion that is not served", Link.PODS, ("CHAIN-PODS-020",),
           "got apps/v1beta2",
           more=((COLLECTOR, "GarbageCollector.apiResource",
                  begin('if apiVersion == "apps/v1beta2" { apiVersion = "apps/v1" }')),)),
    Mutant("hash-left-out", MANAGER, CONTROLLERS, "getPodsLabelSet",
           after("desiredLabels", 'defer delete(desiredLabels, "pod-template-hash")', 1, 2),
           "Pods lack a label of their template, and ReplicaSets do not ask for it", Link.PODS, ("CHAIN-PODS-030",),
           r"pod-template-hash \w+, got none",
           more=((REPLICASET, SYNC,
                  after("LabelSelectorAsSelector",
                        "if rs.Spec.Selector != nil { wide := rs.Spec.Selector.DeepCopy(); "
                        "delete(wide.MatchLabels, apps.DefaultDeploymentUniqueLabelKey); "
                        "selector, err = metav1.LabelSelectorAsSelector(wide) }")),
                 (REPLICASET, "calculateStatus", always("templateLabel")))),
    Mutant("scale-up-ignored", MANAGER, DEPLOYMENT, SCALES,
           begin("if newScale > *(rs.Spec.Replicas) { return false, rs, nil }"), "a ReplicaSet is never scaled up", Link.SCALE,
           ("LIFE-SCALE-010",), r"got 2 ready Pods, all listed|got \d addresses"),
    Mutant("scale-down-ignored", MANAGER, DEPLOYMENT, SCALES,
           begin("if newScale < *(rs.Spec.Replicas) { return false, rs, nil }"), "a ReplicaSet is never scaled down", Link.SCALE,
           ("LIFE-SCALE-020",), "got 2 of 2 ready"),
    Mutant("zero-for-ever", MANAGER, DEPLOYMENT, SCALES,
           begin("if newScale > 0 && *(rs.Spec.Replicas) == 0 { return false, rs, nil }"),
           "a ReplicaSet that was scaled to zero stays there", Link.SCALE, ("LIFE-SCALE-030",), "got 0 ready Pods"),
    Mutant("oldest-alone-scaled", MANAGER, DEPLOYMENT, "DeploymentController.reconcileOldReplicaSets",
           begin("var oldest []*apps.ReplicaSet; for _, old := range oldRSs { first := true; for _, other := range allRSs "
                 "{ first = first && (other == nil || !other.CreationTimestamp.Before(&old.CreationTimestamp)) }; "
                 "if first { oldest = append(oldest, old) } }; oldRSs = oldest"),
           "of the old ReplicaSets a roll scales down the oldest alone", Link.ROLLOUT, ("LIFE-ROLLOUT-050",),
           r"got .*replicas 3|got 3|revision 2 with [1-9]"),
    Mutant("neighbours-collected", MANAGER, REPLICASET, "ReplicaSetController.deleteRS",
           after("Clear", "if others, err := rsc.podLister.Pods(rs.Namespace).List(labels.Everything()); err == nil "
                 "{ for _, other := range others "
                 "{ _ = rsc.podControl.DeletePod(context.TODO(), other.Namespace, other.Name, rs) } }"),
           "with a ReplicaSet all Pods of its namespace are deleted", Link.DELETION, ("CHAIN-DELETION-040",),
           "got no Pod|being deleted|is False"),
)  # fmt: skip
