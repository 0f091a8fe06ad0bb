"""The walkthrough, command by command: nginx becomes a Deployment, a Service, an address that answers, and nothing again.

Every claim says what a person types and what must come of it. The commands before it are typed if no claim has typed them.
"""

from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import (
    ADDONS,
    AS_TYPED,
    EVENTS,
    EXEC,
    KUBECTL,
    NODE_PORTS,
    NODE_REQUESTS,
    OWN_CLUSTER,
    OWN_NAMESPACE,
    right,
)
from kubechain.conditions import deployments, endpoints, services
from kubechain.conditions.env import printed_variables, service_variables, told_of, variables_are
from kubechain.conditions.http import all_welcome
from kubechain.conditions.printed import describes, describes_events, nothing_found, prints_all, prints_text
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.scenarios.on_the_node import OnTheNode
from kubechain.scenarios.walkthrough import Walkthrough
from kubechain.workload import stock
from kubechain.workload.manifests import WELCOME
from kubechain.workload.stock import LABELS, NGINX, PORT

claim = ClaimDecorator("concepts/workloads/controllers/deployment/", requires=(KUBECTL, OWN_NAMESPACE, AS_TYPED))

CREATE = "kubectl create deployment nginx --image=$IMAGE --port=80 --replicas=2"
EXPOSE = "kubectl expose deployment nginx --type=NodePort"
RUN = "kubectl run {} --image=$IMAGE"
LATER = ("later", "later-1", "later-2", "later-3")
SERVICE = "concepts/services-networking/service/"
KUBECTL_PAGES = "reference/kubectl/generated/"
READ_EVENTS = right("list", "events")
READ_DEPLOYMENT = right("get", "deployments")


@claim("WALK-DEPLOYMENT-010", spec=KUBECTL_PAGES + "kubectl_create/kubectl_create_deployment/")
def test_create_deployment(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl create deployment` MUST make a Deployment with the image, the port and the number of replicas that it names."""
    walkthrough.types(CREATE)
    walkthrough.kept(stock.deployment(walkthrough.chain.image))
    eventually(walkthrough.objects, stock.is_made_of(walkthrough.chain.image))


@claim("WALK-DEPLOYMENT-020", spec="#creating-a-deployment", requires=[READ_DEPLOYMENT, READ_EVENTS])
def test_describe_deployment(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl describe deployment` MUST print the labels and the numbers of replicas that the API holds."""
    walkthrough.after(CREATE)
    eventually(walkthrough.prints("kubectl describe deployment nginx"), describes("Deployment"))


@claim(
    "WALK-REPLICASET-010",
    spec="concepts/workloads/controllers/replicaset/#example",
    requires=[right("get", "replicasets"), READ_EVENTS],
)
def test_describe_replica_set(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl describe replicaset` MUST print that the Deployment controls it, its labels and its numbers of replicas."""
    walkthrough.after(CREATE)
    eventually(walkthrough.objects, deployments.controls_one_replica_set(NGINX, walkthrough.replicas))
    eventually(walkthrough.prints("kubectl describe replicaset"), describes("ReplicaSet"))


@claim("WALK-PODS-010", spec="#creating-a-deployment")
def test_get_deployment_replicasets_pods(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl get` MUST print the Deployment, its ReplicaSet and its running Pods with the counts that the API holds."""
    walkthrough.after(CREATE).await_pods(LABELS, walkthrough.replicas)
    printed = walkthrough.prints("kubectl get deployment,replicasets,pods")
    eventually(printed, prints_all("Deployment", "ReplicaSet", "Pod"))


@claim(
    "WALK-PODS-020",
    spec="concepts/workloads/pods/pod-lifecycle/",
    upstream="Kubectl, describe pod or rc",
    requires=[right("get", "pods"), READ_EVENTS],
)
def test_describe_pods(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl describe pods` MUST print that the ReplicaSet controls each, its labels, its Node, its address and its status."""
    walkthrough.after(CREATE).with_pods()
    eventually(walkthrough.prints("kubectl describe pods"), describes("Pod"))


@claim("WALK-PODS-030", spec="tasks/debug/debug-application/debug-running-pod/", requires=[right("get", "pods"), EVENTS])
def test_describe_pod_prints_its_events(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl describe pod` MUST print the Events of the Pod, from its scheduling to its start."""
    walkthrough.after(CREATE).with_pods()
    started = "Scheduled", "Started"
    walkthrough.require_events(*started)
    eventually(walkthrough.prints("kubectl describe pod $POD"), describes_events("Pod", *started))


@claim(
    "WALK-SERVICE-010",
    spec=KUBECTL_PAGES + "kubectl_expose/",
    upstream="Kubectl, create service, replication controller",
    requires=[NODE_PORTS, READ_DEPLOYMENT],
    premises=premises.NODE_PORT,
)
def test_expose_deployment(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl expose deployment` MUST make a Service of the type asked for, with the Deployment's selector and port."""
    walkthrough.after(CREATE).types(EXPOSE)
    sent = stock.service()
    walkthrough.kept(sent)
    # A policy may add labels to the selector, and to the Pods.
    wanted = {"spec.type": "NodePort", "spec.selector.app": NGINX}
    eventually(walkthrough.objects, services.service_has(NGINX, wanted, port=sent["spec"]["ports"][0]))


@claim("WALK-SERVICE-020", spec=SERVICE + "#type-nodeport", requires=[NODE_PORTS, READ_DEPLOYMENT], premises=premises.NODE_PORT)
def test_get_service(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl get service` MUST print the type, the clusterIP, the port and the nodePort of the Service that the API holds."""
    walkthrough.after(CREATE, EXPOSE).ahead(RUN.format(LATER[0]))
    eventually(walkthrough.objects, services.allocated(NGINX, cluster_ip=True, node_port=True))
    eventually(walkthrough.prints("kubectl get service"), prints_all("Service"))


@claim("WALK-ENDPOINTS-010", spec=SERVICE + "#endpoints", requires=[NODE_PORTS, READ_DEPLOYMENT])
def test_get_endpoints(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl get endpoints` MUST print the address and port of each ready Pod of the Service."""
    walkthrough.after(CREATE, EXPOSE).with_pods()
    walkthrough.require_endpoints()
    eventually(walkthrough.objects, endpoints.endpoints_list_exactly(NGINX, LABELS, PORT, walkthrough.replicas))
    eventually(walkthrough.prints("kubectl get endpoints"), prints_all("Endpoints"))


@claim("WALK-ENDPOINTS-020", spec="concepts/services-networking/endpoint-slices/", requires=[NODE_PORTS, READ_DEPLOYMENT])
def test_get_endpointslices(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl get endpointslices` MUST print the port and the address of each ready Pod of the Service."""
    walkthrough.after(CREATE, EXPOSE).with_pods()
    eventually(walkthrough.objects, endpoints.slices_list_exactly(NGINX, LABELS, PORT, walkthrough.replicas))
    eventually(walkthrough.prints("kubectl get endpointslices"), prints_all("EndpointSlice"))


@claim("WALK-NODEPORT-010", spec=SERVICE + "#type-nodeport", requires=[NODE_REQUESTS, EXEC, READ_DEPLOYMENT])
def test_curl_node(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`curl NODE:PORT` from outside MUST print the page of nginx, at the address of any Node and the nodePort."""
    walkthrough.after(CREATE, EXPOSE).with_pods().require_served()
    eventually(walkthrough.curl_nodes(), walkthrough.asked.among(all_welcome(WELCOME)))


@claim(
    "WALK-NODEPORT-020",
    spec="reference/networking/virtual-ips/",
    requires=[OWN_CLUSTER, NODE_REQUESTS, EXEC, READ_DEPLOYMENT, ADDONS],
)
def test_curl_localhost_on_the_node(walkthrough: Walkthrough, on_the_node: OnTheNode, eventually: Eventually) -> None:
    """`curl localhost:PORT` on a Node MUST print the page of nginx, where kube-proxy is in the mode iptables."""
    walkthrough.after(CREATE, EXPOSE).with_pods().require_served()
    on_the_node.require_promised(walkthrough.chain.api, str(walkthrough.service.at("spec.clusterIP")))
    eventually(on_the_node.curl_localhost(walkthrough.chain, services.node_port(walkthrough.service)), all_welcome(WELCOME))


@claim(
    "WALK-ENV-010",
    spec=SERVICE + "#environment-variables",
    upstream="Kubectl, run pod",
    requires=[NODE_PORTS, EXEC, READ_DEPLOYMENT, right("get", "pods")],
)
def test_environment_of_a_later_pod(walkthrough: Walkthrough) -> None:
    """A Pod that `kubectl run` makes after the Service MUST find NGINX_SERVICE_HOST and NGINX_SERVICE_PORT in its environment."""
    walkthrough.after(CREATE, EXPOSE)
    variables = dict[str, str]()
    # The kubelet may not know of the Service yet when it starts the first of them; what a container starts with stays.
    for name in LATER:
        if not told_of(NGINX, variables):
            walkthrough.types(RUN.format(name))
            walkthrough.await_pods({"run": name}, 1)
            variables = printed_variables(walkthrough.types(f"kubectl exec {name} -- env"))
    wanted = service_variables(NGINX, str(walkthrough.service.at("spec.clusterIP")), PORT)
    require(variables, variables_are(NGINX, wanted))


@claim(
    "WALK-DNS-010",
    spec="tutorials/services/connect-applications-service/#dns",
    requires=[NODE_PORTS, EXEC, READ_DEPLOYMENT, right("get", "pods")],
    after=[Link.CLUSTERIP],
    premises=premises.REACHED,
)
def test_curl_by_name(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`curl nginx:80` in a Pod MUST print the page of nginx: the name is that of the Service."""
    walkthrough.after(CREATE, EXPOSE).with_pods().require_served()
    eventually(walkthrough.prints("kubectl exec $POD -- curl -s -m 3 --noproxy '*' nginx:80"), prints_text(WELCOME))


@claim(
    "WALK-DELETION-010",
    spec=KUBECTL_PAGES + "kubectl_delete/",
    requires=[NODE_PORTS, READ_DEPLOYMENT, right("get", "services"), right("delete", "services")],
)
def test_delete_service(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl delete service` MUST delete the Service, so that `kubectl get service` finds none."""
    walkthrough.after(CREATE, EXPOSE).types("kubectl delete service nginx")
    eventually(walkthrough.prints("kubectl get service"), nothing_found())


@claim(
    "WALK-DELETION-020",
    spec="concepts/architecture/garbage-collection/#cascading-deletion",
    upstream="Garbage Collector, delete deployment,  propagation policy background",
    requires=[READ_DEPLOYMENT, right("delete", "deployments")],
)
def test_delete_deployment(walkthrough: Walkthrough, eventually: Eventually) -> None:
    """`kubectl delete deployment` MUST take the ReplicaSet and the Pods with it, so that `kubectl get` finds none of them."""
    walkthrough.after(CREATE).with_pods().types("kubectl delete deployment nginx")
    eventually(walkthrough.prints("kubectl get deployment,replicasets,pods -l app=nginx"), nothing_found())
