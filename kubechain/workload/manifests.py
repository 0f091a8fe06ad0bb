"""Manifests of the workload: an nginx Deployment and client Pods. Pure functions, without an API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kubechain.core.run import owner_marks
from kubechain.kube.families import IPV4
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.pod_spec import ACCOUNT, container, pod_spec

WEB = "web"
REPLICAS = 2
SERVICE_PORT = 80
# Differs from SERVICE_PORT, so that a Service that ignores targetPort is detected.
CONTAINER_PORT = 8080
# Where a Pod of `web_pod_at` may listen instead.
OTHER_PORT = 8081
WELCOME = "Welcome to nginx!"
LABELS = {"app": WEB}
NGINX_UID, NOBODY = 101, 65534
# Nothing listens there, so that the pull fails at once.
ABSENT_IMAGE = "127.0.0.1:9/kubechain/absent:none"
# A terminating Pod serves until kube-proxy on every Node has removed its address: it syncs once in a minSyncPeriod, by default
# 1 s, on GKE 10 s. https://kubernetes.io/docs/reference/networking/virtual-ips/#minsyncperiod
LINGER_SECONDS = 15

# Runs as any user; returns the Pod and the source address in headers, and at /port the port that was asked; is not ready while
# /tmp/unready exists.
NGINX_CONF = f"""
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {{
    listen {CONTAINER_PORT};
    root /usr/share/nginx/html;
    add_header X-Backend $hostname always;
    add_header X-Source $remote_addr always;
    location = /ready {{
      if (-f /tmp/unready) {{ return 503; }}
      return 200 "ready\\n";
    }}
    location = /port {{ return 200 "port $server_port\\n"; }}
  }}
}}
"""

# The ports at which nginx listens, by their names in a Pod of `two_port_pod`.
BOTH_PORTS = {"http": CONTAINER_PORT, "other": OTHER_PORT}
# The ports at which nginx listens -> the name of its configuration.
CONFIGURATIONS: dict[tuple[int, ...], str] = {
    (CONTAINER_PORT,): "nginx.conf",
    (OTHER_PORT,): "other-port.conf",
    (CONTAINER_PORT, OTHER_PORT): "both-ports.conf",
}


def namespace(name: str, labels: Mapping[str, str]) -> Json:
    """Return a Namespace with an annotation that names its owner.

    Its Pod Security level is that of the cluster: some clusters let nobody but their administrators set one.
    """
    metadata = {"name": name, "labels": dict(labels), "annotations": owner_marks()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def service_account(pull_secret: str = "") -> Json:
    """Return the ServiceAccount of all Pods, so that they do not wait for the controller that creates "default"."""
    secrets = {"imagePullSecrets": [{"name": pull_secret}]} if pull_secret else {}
    metadata = {"name": ACCOUNT}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False, **secrets}


def nginx_config(*, ipv6: bool = False) -> Json:
    """Return the ConfigMap with the configurations of nginx, by the ports at which it listens.

    With `ipv6` it listens on IPv6 as well: without IPv6 in the kernel of the Node, nginx would end. IPv4 is in every kernel.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "nginx"},
        "data": {name: _listening(ports, ipv6=ipv6) for ports, name in CONFIGURATIONS.items()},
    }


def _listening(ports: tuple[int, ...], *, ipv6: bool) -> str:
    lines = [f"listen {place}{port};" for port in ports for place in (("", "[::]:") if ipv6 else ("",))]
    return NGINX_CONF.replace(f"listen {CONTAINER_PORT};", "\n    ".join(lines))


def nginx_pod_spec(image: str, ports: Mapping[str, int] = MappingProxyType({"http": CONTAINER_PORT})) -> Json:
    """Return the PodSpec of nginx that listens at one or both of CONTAINER_PORT and OTHER_PORT; `ports` is name -> port."""
    # It turns unready at once where nginx says so; the default timeout of 1 s would make it so on a busy Node as well.
    probe = {
        "httpGet": {"path": "/ready", "port": next(iter(ports))},
        "periodSeconds": 1,
        "timeoutSeconds": 3,
        "failureThreshold": 1,
    }
    nginx = container(
        "nginx",
        image,
        ["nginx", "-c", f"/etc/chain/{CONFIGURATIONS[tuple(ports.values())]}", "-g", "daemon off;"],
        ports=[{"name": name, "containerPort": port} for name, port in ports.items()],
        readinessProbe=probe,
        volumeMounts=[{"name": "config", "mountPath": "/etc/chain"}],
    )
    return pod_spec(nginx, NGINX_UID, [{"name": "config", "configMap": {"name": "nginx"}}])


def deployment(image: str, *, name: str = WEB, replicas: int = REPLICAS) -> Json:
    """Return a Deployment of nginx whose Pods have the label app=<name>."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": nginx_pod_spec(image)},
        },
    }


def lingering(manifest: Json) -> Json:
    """Return the Deployment with a preStop sleep, so that a terminating Pod serves for LINGER_SECONDS (KEP-3960)."""
    (nginx,) = manifest["spec"]["template"]["spec"]["containers"]
    nginx["lifecycle"] = {"preStop": {"sleep": {"seconds": LINGER_SECONDS}}}
    return manifest


def rolling(manifest: Json, surge: int, unavailable: int) -> Json:
    """Return the Deployment with the RollingUpdate bounds maxSurge and maxUnavailable."""
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    manifest["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": bounds}
    return manifest


def spread(manifest: Json, *, strictly: bool = False) -> Json:
    """Return the Deployment with a topology spread constraint over the Nodes: preferred, or required with `strictly`.

    The scheduler may prefer a Node with the image to a preferred spread. The required spread ignores Nodes with a taint that
    the Pods do not tolerate (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/).
    """
    labels = manifest["spec"]["selector"]
    constraint = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    if strictly:
        constraint |= {"whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": "Honor"}
    manifest["spec"]["template"]["spec"]["topologySpreadConstraints"] = [{**constraint, "labelSelector": labels}]
    return manifest


def disruption_budget(name: str, least: int) -> Json:
    """Return a PodDisruptionBudget with minAvailable `least` for the Pods with the label app=<name>.

    A Pod that is not ready may be evicted in any case: it serves nobody, and must not hold up a drain.
    """
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": name}}, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}


def replica_set(name: str, image: str, replicas: int) -> Json:
    """Return a ReplicaSet without a Deployment, of client Pods with the label app=<name>, which are ready at once."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": client_pod(name, image)["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "labels": labels}, "spec": spec}


def many_pods(name: str, image: str, replicas: int) -> Json:
    """Return a Deployment of client Pods, which need little memory and are ready at once."""
    manifest = deployment(image, name=name, replicas=replicas)
    manifest["spec"]["template"]["spec"] = client_pod(name, image)["spec"]
    return manifest


def client_pod(name: str, image: str, labels: Mapping[str, str] | None = None) -> Json:
    """Return a Pod that sleeps and exits at once on SIGTERM; its default label is app=client."""
    client = container("client", image, ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {"app": "client"})},
        "spec": pod_spec(client, NOBODY, terminationGracePeriodSeconds=1),
    }


def bare_pod(name: str, image: str) -> Json:
    """Return a client Pod that asks for no resources and has a token: what policies often refuse."""
    pod = client_pod(name, image, {"app": name})
    del pod["spec"]["containers"][0]["resources"]
    return {**pod, "spec": {**pod["spec"], "automountServiceAccountToken": True}}


def web_pod(name: str, image: str) -> Json:
    """Return a Pod of nginx without a controller, with the label app=<name>."""
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": nginx_pod_spec(image)}


def web_pod_at(name: str, image: str, app: str, port_name: str, port: int) -> Json:
    """Return a Pod of nginx, with the label app=<app>, that listens at one port, under its name."""
    metadata = {"name": name, "labels": {"app": app}}
    return {**web_pod(name, image), "metadata": metadata, "spec": nginx_pod_spec(image, {port_name: port})}


def two_port_pod(name: str, image: str) -> Json:
    """Return a Pod of nginx, with the label app=<name>, that listens at BOTH_PORTS."""
    return {**web_pod(name, image), "spec": nginx_pod_spec(image, BOTH_PORTS)}


def ending_pod(name: str, image: str, seconds: int) -> Json:
    """Return a Pod of nginx, with the label app=<name>, that stays ready for some seconds while it terminates."""
    pod = web_pod(name, image)
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}}
    return pod


def obedient_pod(name: str, image: str) -> Json:
    """Return a Pod that writes the termination message "TERM" 1 s after SIGTERM and exits with status 7."""
    script = "trap 'sleep 1; echo TERM > /dev/termination-log; exit 7' TERM; sleep infinity & wait"
    pod = running(client_pod(name, image), script)
    return {**pod, "spec": {**pod["spec"], "terminationGracePeriodSeconds": 30, "restartPolicy": "Never"}}


def stubborn_pod(name: str, image: str, grace: int) -> Json:
    """Return a Pod with a grace period that does not end at SIGTERM; its termination message is when that came (Unix seconds)."""
    told = "test -s /dev/termination-log || date +%s > /dev/termination-log"
    pod = running(client_pod(name, image), f"trap '{told}' TERM; while true; do sleep 1 & wait; done")
    return {**pod, "spec": {**pod["spec"], "terminationGracePeriodSeconds": grace}}


def unready_pod(name: str, image: str) -> Json:
    """Return a Pod, with the label app=<name>, that runs and is never ready."""
    pod = client_pod(name, image, {"app": name})
    pod["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    return pod


def udp_echo(name: str, image: str, family: str = IPV4) -> Json:
    """Return a Pod, with the label app=<name>, that echoes UDP datagrams to CONTAINER_PORT of its address of a family."""
    # Not UDP-RECVFROM with fork: on a busy machine socat misses the signal of its child, and is deaf from then on.
    script = f"exec socat -T 2 UDP{family[-1]}-LISTEN:{CONTAINER_PORT},fork,reuseaddr PIPE"
    return running(client_pod(name, image, {"app": name}), script)


def tcp_echo(name: str, image: str, family: str) -> Json:
    """Return a Pod, with the label app=<name>, that sends back what comes to CONTAINER_PORT of its address of a family."""
    # By default, socat waits for half a second for the rest, once one direction has ended.
    script = f"exec socat -t 10 TCP{family[-1]}-LISTEN:{CONTAINER_PORT},fork,reuseaddr PIPE"
    return running(client_pod(name, image, {"app": name}), script)


def running(pod: Json, script: str) -> Json:
    """Return the Pod with a shell script as the command of its container."""
    (only,) = pod["spec"]["containers"]
    return {**pod, "spec": {**pod["spec"], "containers": [{**only, "command": ["sh", "-c", script]}]}}


def unlinked(pod: Json) -> Json:
    """Return the Pod without environment variables of Services (enableServiceLinks: false)."""
    return {**pod, "spec": {**pod["spec"], "enableServiceLinks": False}}


def with_hostname(pod: Json, subdomain: str) -> Json:
    """Return the Pod with its name as hostname and a headless Service as `subdomain`."""
    return {**pod, "spec": {**pod["spec"], "hostname": pod["metadata"]["name"], "subdomain": subdomain}}


def on_node(pod: Json, name: str) -> Json:
    """Return the Pod with a required affinity to one Node by its name, from which its label hostname may differ."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def beside(pod: Json, labels: Mapping[str, str]) -> Json:
    """Return the Pod with a required affinity to Pods with these labels, for the same Node."""
    term = {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def controlled(manifest: Json, owner: KubeObject) -> Json:
    """Return the manifest with `owner` as its controller (an ownerReference with controller: true)."""
    reference = {"apiVersion": owner.at("apiVersion"), "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    metadata = {**manifest["metadata"], "ownerReferences": [{**reference, "controller": True}]}
    return {**manifest, "metadata": metadata}
