"""Mutants of kubectl, which runs on the machine of the run, and of the tables that it prints, which kube-apiserver makes."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.fault import Component
from kubechain.faults.mutants.api_server import PKG, SERVER
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import after, begin, never, replaced

COMMANDS, DESCRIBE = "k8s.io/kubectl/pkg/cmd", "k8s.io/kubectl/pkg/describe"
KUBECTL: Component = "kubectl"
TABLES = f"{PKG}/printers/internalversion"

MUTANTS = (
    Mutant("create-without-port", KUBECTL, f"{COMMANDS}/create", "CreateDeploymentOptions.createDeployment", never("Port"),
           "`kubectl create deployment` ignores --port", Link.DEPLOYMENT, ("WALK-DEPLOYMENT-010",), "ports .*, got none"),
    Mutant("describe-deployment-miscounts", KUBECTL, DESCRIBE, "describeDeployment",
           replaced("d.Status.UpdatedReplicas", "0", of="int32"), "`kubectl describe deployment` prints no updated replicas",
           Link.DEPLOYMENT, ("WALK-DEPLOYMENT-020",), r"got 2 desired \| 0 updated", short=True),
    Mutant("describe-without-controller", KUBECTL, DESCRIBE, "describeReplicaSet", never("controlledBy"),
           "`kubectl describe replicaset` does not say what controls it", Link.REPLICASET, ("WALK-REPLICASET-010",), "got none"),
    Mutant("describe-pod-wrong-node", KUBECTL, DESCRIBE, "describePod", replaced("pod.Status.HostIP", '"192.0.2.1"'),
           "`kubectl describe pods` prints another address of the Node", Link.PODS, ("WALK-PODS-020",), r"got \S+/192\.0\.2\.1"),
    Mutant("describe-events-wrong", KUBECTL, DESCRIBE, "DescribeEvents", replaced("e.Reason", '"Unknown"'),
           "`kubectl describe` prints no reason of an Event", Link.PODS, ("WALK-PODS-030",), "got .*Unknown"),
    Mutant("expose-ignores-type", KUBECTL, f"{COMMANDS}/expose", "ExposeServiceOptions.createService", never("Type", 1, 2),
           "`kubectl expose` ignores --type", Link.SERVICE, ("WALK-SERVICE-010",), "got .*ClusterIP"),
    Mutant("expose-wrong-selector", KUBECTL, f"{COMMANDS}/expose", "ExposeServiceOptions.createService",
           after("selector", 'selector = map[string]string{"app": "another"}'),
           "`kubectl expose` makes a Service with another selector", Link.SERVICE, ("CHAIN-SERVICE-050", "WALK-SERVICE-010"),
           "assert {|got another"),
    Mutant("delete-orphans", KUBECTL, f"{COMMANDS}/delete", "DeleteOptions.DeleteResult",
           after("PropagationPolicy", "orphan := metav1.DeletePropagationOrphan; options.PropagationPolicy = &orphan"),
           "`kubectl delete` orphans the dependents", Link.DELETION, ("WALK-DELETION-020",), "got .*nginx"),
    Mutant("proxy-refuses", KUBECTL, "k8s.io/kubectl/pkg/proxy", "FilterServer.accept", begin("return false"),
           "`kubectl proxy` refuses every request", Link.API, ("CHAIN-API-030",), r"got http\S+: 403"),
    Mutant("table-of-replica-sets-empty", SERVER, TABLES, "printReplicaSet", replaced("int64(currentReplicas)", "0", of="int64"),
           "the table of ReplicaSets shows no replicas", Link.PODS, ("WALK-PODS-010",), "got 0"),
    Mutant("table-of-services-wrong", SERVER, TABLES, "printService", replaced("internalIP", '"192.0.2.1"'),
           "the table of Services shows another clusterIP", Link.SERVICE, ("WALK-SERVICE-020",), r"got 192\.0\.2\.1"),
    Mutant("table-of-endpoints-empty", SERVER, TABLES, "printEndpoints", replaced("formatEndpoints(obj, nil)", '"<none>"'),
           "the table of Endpoints shows no address", Link.ENDPOINTS, ("WALK-ENDPOINTS-010",), "got <none>"),
    Mutant("table-of-slices-empty", SERVER, TABLES, "printEndpointSlice",
           replaced("formatDiscoveryEndpoints(obj.Endpoints)", '"<unset>"'), "the table of EndpointSlices shows no address",
           Link.ENDPOINTS, ("WALK-ENDPOINTS-020",), "got <unset>"),
)  # fmt: skip
