"""Mutants of kube-apiserver: defaults, validation, allocation, deletion, tables, scale, proxies and tokens."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.faults.fault import Component
from kubechain.faults.mutants.mutant import Mutant
from kubechain.images.mutation import after, begin, never, replaced, skip

PKG = "k8s.io/kubernetes/pkg"
APIS, REGISTRY, SERVICES = f"{PKG}/apis", f"{PKG}/registry", f"{PKG}/registry/core/service"
STORE = "k8s.io/apiserver/pkg/registry/generic/registry"
SERVER: Component = "kube-apiserver"
ACCEPTED = "accepted a request that it must refuse"

MUTANTS = (
    Mutant("surge-default-halved", SERVER, f"{APIS}/apps/v1", "SetDefaults_Deployment", replaced('"25%"', '"50%"', 2, 2),
           "the default of maxSurge is 50%", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-050",), "got 50%"),
    Mutant("history-default-lower", SERVER, f"{APIS}/apps/v1", "SetDefaults_Deployment", replaced("10", "2", of="int32"),
           "the default of revisionHistoryLimit is 2", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-050",), "got 2"),
    Mutant("template-unmatched-accepted", SERVER, f"{APIS}/apps/validation", "ValidateDeploymentSpec",
           skip("ValidatePodTemplateSpecForReplicaSet"), "a Deployment may have a selector that its Pod template does not match",
           Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-070",), ACCEPTED, short=True),
    Mutant("selector-mutable", SERVER, f"{APIS}/apps/validation", "ValidateDeploymentUpdate", skip("ValidateImmutableField"),
           "the selector of a Deployment can be changed", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-080",), ACCEPTED,
           (Link.REPLICASET, Link.PODS)),
    Mutant("generation-fixed", SERVER, f"{REGISTRY}/apps/deployment", "deploymentStrategy.PrepareForUpdate", never("DeepEqual"),
           "a changed Deployment keeps its generation", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-100",), r"assert \d+ > \d+"),
    Mutant("table-miscounts", SERVER, f"{PKG}/printers/internalversion", "printDeployment",
           replaced("int64(updatedReplicas)", "0", of="int64"), "the table of Deployments shows no updated replicas",
           Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-090",), "assert .*'0'"),
    Mutant("table-without-available", SERVER, f"{PKG}/printers/internalversion", "printDeployment",
           replaced("int64(availableReplicas)", "0", of="int64"), "the table of Deployments shows no available replicas",
           Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-090",), "assert .*'0'"),
    Mutant("scale-status-empty", SERVER, f"{REGISTRY}/apps/deployment/storage", "scaleFromDeployment",
           replaced("deployment.Status.Replicas", "0", of="int32"), "the scale subresource of a Deployment counts no replicas",
           Link.SCALE, ("LIFE-SCALE-040",), "assert (0|None) =="),
    Mutant("unknown-conditions-dropped", SERVER, f"{REGISTRY}/apps/deployment", "deploymentStatusStrategy.PrepareForUpdate",
           begin("status := &obj.(*apps.Deployment).Status; all := status.Conditions; status.Conditions = nil; "
                 "for _, each := range all { switch each.Type "
                 "{ case apps.DeploymentAvailable, apps.DeploymentProgressing, apps.DeploymentReplicaFailure: "
                 "status.Conditions = append(status.Conditions, each) } }"),
           "a Deployment keeps no condition of a type that Kubernetes does not know", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-110",),
           "got no condition Written"),
    Mutant("spec-written-by-status", SERVER, f"{REGISTRY}/apps/deployment", "deploymentStatusStrategy.PrepareForUpdate",
           replaced("oldDeployment.Spec", "newDeployment.Spec"), "a change of the status of a Deployment changes its spec",
           Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-120",), r"assert \{"),
    Mutant("replaced-scale-unstored", SERVER, f"{REGISTRY}/apps/deployment/storage", "scaleUpdatedObjectInfo.UpdatedObject",
           after("Replicas", "if info, found := genericapirequest.RequestInfoFrom(ctx); found && info.Verb == \"update\" "
                 "{ deployment.Spec.Replicas = oldScale.Spec.Replicas }"),
           "a Scale that replaces that of a Deployment is not stored", Link.SCALE, ("LIFE-SCALE-060",), r"assert \d+ == "),
    Mutant("replica-set-scale-unstored", SERVER, f"{REGISTRY}/apps/replicaset/storage", "scaleUpdatedObjectInfo.UpdatedObject",
           replaced("scale.Spec.Replicas", "oldScale.Spec.Replicas"), "the Scale of a ReplicaSet is not stored", Link.SCALE,
           ("LIFE-SCALE-070",), "got 1 of 1 ready"),
    Mutant("scale-selector-wrong", SERVER, f"{REGISTRY}/apps/replicaset/storage", "scaleFromReplicaSet",
           replaced("selector.String()", '"name=" + rs.Name'), "the Scale of a ReplicaSet has another selector", Link.SCALE,
           ("LIFE-SCALE-080",), r"assert \(2, 2, 'name="),
    Mutant("qos-burstable", SERVER, f"{REGISTRY}/core/pod", "podStrategy.PrepareForCreate",
           after("GetPodQOS", "pod.Status.QOSClass = api.PodQOSBurstable"), "every Pod is of QoS class Burstable", Link.PODS,
           ("CHAIN-PODS-080",), "got Burstable"),
    Mutant("token-without-namespace", SERVER, "k8s.io/kubernetes/plugin/pkg/admission/serviceaccount", "TokenVolumeSource",
           replaced('"metadata.namespace"', '"metadata.name"'), "the file namespace of the projected volume has the Pod's name",
           Link.PODS, ("CHAIN-PODS-100",), r"fields metadata\.name\b"),
    Mutant("pod-tokens-refused", SERVER, f"{PKG}/serviceaccount", "validator.Validate",
           begin('if private.Kubernetes.Pod != nil && private.Kubernetes.Namespace != "kube-system" '
                 '{ return nil, errors.New("no token of a Pod is accepted") }'),
           "tokens of Pods are refused", Link.PODS, ("CHAIN-PODS-110",), "401", (Link.API,)),
    Mutant("traffic-local-by-default", SERVER, f"{APIS}/core/v1", "SetDefaults_Service",
           replaced("v1.ServiceExternalTrafficPolicyCluster", "v1.ServiceExternalTrafficPolicyLocal"),
           "the default of externalTrafficPolicy is Local", Link.SERVICE, ("CHAIN-SERVICE-040",), "got Local", (Link.NODEPORT,)),
    Mutant("cluster-ip-unallocated", SERVER, f"{SERVICES}/storage", "Allocators.allocClusterIPs", begin("return nil, nil"),
           "a Service is given no clusterIP", Link.SERVICE, ("CHAIN-SERVICE-010",), "got clusterIP none"),
    Mutant("node-port-unallocated", SERVER, f"{SERVICES}/storage", "initNodePorts", begin("return nil"),
           "a Service of type NodePort is given no nodePort", Link.SERVICE, ("CHAIN-SERVICE-010",), "nodePort none"),
    Mutant("node-port-out-of-range", SERVER, f"{SERVICES}/portallocator", "PortAllocator.AllocateNext",
           replaced("r.portRange.Base + offset", "r.portRange.Base - 10000 + offset"), "nodePorts come from below the range",
           Link.SERVICE, ("CHAIN-SERVICE-020",), r"got 2[0-2]\d{3}"),
    Mutant("node-port-shared", SERVER, f"{SERVICES}/portallocator", "PortAllocator.Allocate", never("allocated"),
           "a Service may have the nodePort of another", Link.SERVICE, ("CHAIN-SERVICE-060",), ACCEPTED),
    Mutant("node-port-range-ignored", SERVER, f"{SERVICES}/portallocator", "PortAllocator.Allocate",
           begin("if inside, _ := r.contains(port); !inside { return nil }"), "a nodePort outside the range is accepted",
           Link.SERVICE, ("CHAIN-SERVICE-070",), "got none: nodePorts"),
    Mutant("node-port-unreleased", SERVER, f"{SERVICES}/portallocator", "PortAllocator.Release", begin("return nil"),
           "the nodePort of a deleted Service stays allocated", Link.SERVICE, ("CHAIN-SERVICE-080",), "already allocated"),
    Mutant("cluster-ip-mutable", SERVER, f"{APIS}/core/validation", "validateUpgradeDowngradeClusterIPs", begin("return nil"),
           "the clusterIP of a Service can be changed", Link.SERVICE, ("CHAIN-SERVICE-090",), ACCEPTED),
    Mutant("cluster-ip-taken-unnamed", SERVER, f"{SERVICES}/ipallocator", "Allocator.createIPAddress", never("IsAlreadyExists"),
           "the refusal of a clusterIP that is taken does not say so", Link.SERVICE, ("CHAIN-SERVICE-100",),
           "assert 'already allocated' in"),
    Mutant("node-port-not-added", SERVER, f"{SERVICES}/storage", "Allocators.updateNodePorts", begin("return nil"),
           "a Service whose type turns to NodePort gets no nodePort", Link.SERVICE, ("CHAIN-SERVICE-110",), "nodePort none"),
    Mutant("pod-proxy-astray", SERVER, f"{REGISTRY}/core/pod", "ResourceLocation", after("name", 'name += "x"'),
           "the proxy to a Pod asks for another Pod", Link.API, ("CHAIN-API-020",), "404 NotFound: pods"),
    Mutant("service-proxy-without-endpoints", SERVER, f"{SERVICES}/storage", "REST.ResourceLocation",
           after("slices", "slices = nil"), "the proxy to a Service finds no endpoint", Link.API, ("CHAIN-API-010",),
           "503 ServiceUnavailable: no endpoints available"),
    Mutant("proxy-for-everybody", SERVER, "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac", "RBACAuthorizer.Authorize",
           begin('if requestAttributes.GetSubresource() == "proxy" { return authorizer.DecisionAllow, "", nil }'),
           "everybody may use the proxy to Pods and Services", Link.API, ("CHAIN-API-050",), r"got http\S+: 200"),
    Mutant("foreground-ignored", SERVER, STORE, "shouldDeleteDependentsInForeground", begin("return false"),
           "a deletion in the foreground goes on in the background", Link.DELETION, ("LIFE-DELETION-010",),
           "got (no Deployment web|not deleted|being deleted, finalizers)"),
    Mutant("precondition-ignored", SERVER, "k8s.io/apiserver/pkg/registry/rest", "BeforeDelete", never("Preconditions", 2, 3),
           "a deletion does not look at the UID of its precondition", Link.DELETION, ("LIFE-DELETION-050",), ACCEPTED,
           more=(("k8s.io/apiserver/pkg/storage", "Preconditions.Check", begin("return nil")),)),
    Mutant("orphaning-ignored", SERVER, STORE, "shouldOrphanDependents", begin("return false"),
           "the dependents of a deletion that orphans them are deleted", Link.DELETION, ("LIFE-DELETION-020",),
           "got no ReplicaSet|controller UID none, got"),
    Mutant("budget-ignored", SERVER, f"{REGISTRY}/core/pod/storage", "EvictionREST.checkAndDecrement", begin("return nil"),
           "Pods are evicted, whatever a PodDisruptionBudget says", Link.HEALING, ("LIFE-HEALING-030",), "got status 201"),
)  # fmt: skip
