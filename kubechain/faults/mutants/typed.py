"""Mutants of kubectl: what the commands of the walkthrough make, and what they do not delete."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.mutants.mutant import Mutant
from kubechain.faults.mutants.tools import COMMANDS, KUBECTL
from kubechain.images.mutation import after

MUTANTS = (
    Mutant("expose-keeps-traffic-local", KUBECTL, f"{COMMANDS}/expose", "ExposeServiceOptions.createService",
           after("Type", 'if service.Spec.Type == corev1.ServiceTypeNodePort && o.Name == "" '
                 "{ service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }"),
           "`kubectl expose` makes a Service that answers on the Nodes of its Pods alone", Link.NODEPORT, ("WALK-NODEPORT-010",),
           r"of Node \S+: (timeout|refused|unreachable)"),
    Mutant("expose-mislabels", KUBECTL, f"{COMMANDS}/expose", "ExposeServiceOptions.createService",
           after("labels", 'labels = map[string]string{"app": "another"}'),
           "`kubectl expose` gives the Service other labels than the Deployment has", Link.SERVICE, ("CHAIN-SERVICE-050",),
           r"assert \{'app': 'another'\}"),
    Mutant("run-without-links", KUBECTL, f"{COMMANDS}/run", "RunOptions.createPod",
           after("pod", "none := false; pod.Spec.EnableServiceLinks = &none"), "`kubectl run` makes Pods without service links",
           Link.ENV, ("WALK-ENV-010",), "got none"),
    Mutant("create-without-cluster-dns", KUBECTL, f"{COMMANDS}/create", "CreateDeploymentOptions.buildPodSpec",
           after("podSpec", "podSpec.DNSPolicy = corev1.DNSDefault"),
           "`kubectl create deployment` makes Pods that do not ask the DNS of the cluster", Link.DNS, ("WALK-DNS-010",),
           "exit code (6|28)|got nothing"),
    Mutant("delete-keeps-services", KUBECTL, f"{COMMANDS}/delete", "DeleteOptions.DeleteResult",
           after("PropagationPolicy",
                 'if info.Mapping.Resource.Resource == "services" { o.WaitForDeletion = false; return nil }'),
           "`kubectl delete service` deletes nothing", Link.DELETION, ("WALK-DELETION-010",), "got .*nginx"),
)  # fmt: skip
