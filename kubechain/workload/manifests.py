"""The workload as manifests: nginx behind a Service, and Pods to look from. Pure functions, no client.

Everything satisfies the `restricted` Pod Security Standard
(https://kubernetes.io/docs/concepts/security/pod-security-standards/).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.kube.objects import Json, KubeObject

WEB = "web"
REPLICAS = 2
SERVICE_PORT = 80
# Not 80: a Service that ignored targetPort would go unnoticed.
CONTAINER_PORT = 8080
WELCOME = "Welcome to nginx!"
LABELS = {"app": WEB}
NGINX_UID = 101
NOBODY = 65534
ACCOUNT = "chain"
# Nothing listens there: the pull fails on the node itself, at once.
ABSENT_IMAGE = "127.0.0.1:9/kubechain/absent:none"

# Runs as any user; tells who answered and whom it saw; /tmp/unready turns the readiness probe off.
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
  }}
}}
"""


def namespace(name: str, labels: Mapping[str, str]) -> Json:
    """Return a Namespace that enforces the `restricted` Pod Security Standard."""
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**security, **labels}}}


def service_account(pull_secret: str = "") -> Json:
    """Return the ServiceAccount of all Pods; one of our own, so that nothing waits for "default" to appear."""
    secrets = {"imagePullSecrets": [{"name": pull_secret}]} if pull_secret else {}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}, **secrets}


def nginx_config() -> Json:
    """Return the ConfigMap with nginx's configuration."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "nginx"},
        "data": {"nginx.conf": NGINX_CONF},
    }


def nginx_pod_spec(image: str) -> Json:
    """Return the PodSpec of an nginx that listens on CONTAINER_PORT (named "http")."""
    return {
        "serviceAccountName": ACCOUNT,
        "containers": [
            {
                "name": "nginx",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["nginx", "-c", "/etc/chain/nginx.conf", "-g", "daemon off;"],
                "ports": [{"name": "http", "containerPort": CONTAINER_PORT}],
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": "http"},
                    "periodSeconds": 1,
                    "failureThreshold": 1,
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/chain"}],
                "securityContext": _container_security(),
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "nginx"}}],
        "securityContext": _pod_security(NGINX_UID),
    }


def deployment(image: str, *, name: str = WEB, replicas: int = REPLICAS) -> Json:
    """Return a Deployment of nginx, its Pods labelled app=<name>."""
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


def lingering(manifest: Json, seconds: int) -> Json:
    """Return the Deployment, its Pods serving on for `seconds` after they were told to end (KEP-3960, sleep action)."""
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}}
    return manifest


def rolling(manifest: Json, surge: int, unavailable: int) -> Json:
    """Return the Deployment, to be rolled with `surge` Pods more and `unavailable` fewer at a time."""
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    manifest["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": bounds}
    return manifest


def spread(manifest: Json, *, strictly: bool = False) -> Json:
    """Return the Deployment, its Pods spread over the Nodes as far as possible, or strictly over those without a taint.

    Not strictly, an image that one Node is thought not to have outweighs it
    (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/).
    """
    labels = manifest["spec"]["selector"]
    constraint = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    if strictly:
        constraint |= {"whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": "Honor"}
    manifest["spec"]["template"]["spec"]["topologySpreadConstraints"] = [{**constraint, "labelSelector": labels}]
    return manifest


def disruption_budget(name: str, least: int) -> Json:
    """Return a PodDisruptionBudget that keeps at least `least` of the Pods labelled app=<name>."""
    spec = {"minAvailable": least, "selector": {"matchLabels": {"app": name}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}


def many_pods(name: str, image: str, replicas: int) -> Json:
    """Return a Deployment of Pods that do nothing, which costs the least and counts as ready at once."""
    made = deployment(image, name=name, replicas=replicas)
    made["spec"]["template"]["spec"] = client_pod(name, image)["spec"]
    return made


def client_pod(name: str, image: str, labels: Mapping[str, str] | None = None) -> Json:
    """Return a Pod that does nothing but wait for commands, and ends at once when told to; it is labelled app=client."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {"app": "client"})},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
                    "securityContext": _container_security(),
                }
            ],
            "securityContext": _pod_security(NOBODY),
        },
    }


def web_pod(name: str, image: str) -> Json:
    """Return a Pod of nginx alone, labelled app=<name>."""
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": nginx_pod_spec(image)}


def ending_pod(name: str, image: str) -> Json:
    """Return a Pod of nginx, labelled app=<name>, that stays ready for 3 s after it was told to end."""
    pod = web_pod(name, image)
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 3}}}
    return pod


def obedient_pod(name: str, image: str) -> Json:
    """Return a Pod that, told to end, says "TERM" as its termination message a second later, and ends with status 7."""
    script = "trap 'sleep 1; echo TERM > /dev/termination-log; exit 7' TERM; sleep infinity & wait"
    pod = running(client_pod(name, image), script)
    return {**pod, "spec": {**pod["spec"], "terminationGracePeriodSeconds": 30, "restartPolicy": "Never"}}


def stubborn_pod(name: str, image: str, grace: int) -> Json:
    """Return a Pod that ignores SIGTERM, with a grace period in seconds."""
    pod = running(client_pod(name, image), "trap '' TERM; while true; do sleep 1; done")
    return {**pod, "spec": {**pod["spec"], "terminationGracePeriodSeconds": grace}}


def unready_pod(name: str, image: str) -> Json:
    """Return a Pod, labelled app=<name>, that runs and is never ready."""
    pod = client_pod(name, image, {"app": name})
    pod["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    return pod


def udp_echo(name: str, image: str) -> Json:
    """Return a Pod, labelled app=<name>, that sends back every datagram."""
    return running(client_pod(name, image, {"app": name}), f"exec socat UDP-RECVFROM:{CONTAINER_PORT},fork EXEC:cat")


def running(pod: Json, script: str) -> Json:
    """Return the Pod with a shell script as the command of its container."""
    (container,) = pod["spec"]["containers"]
    return {**pod, "spec": {**pod["spec"], "containers": [{**container, "command": ["sh", "-c", script]}]}}


def unlinked(pod: Json) -> Json:
    """Return the Pod, to be told of no Service by environment variables."""
    return {**pod, "spec": {**pod["spec"], "enableServiceLinks": False}}


def with_hostname(pod: Json, subdomain: str) -> Json:
    """Return the Pod with its own name as hostname, under the headless Service `subdomain`."""
    return {**pod, "spec": {**pod["spec"], "hostname": pod["metadata"]["name"], "subdomain": subdomain}}


def on_node(pod: Json, name: str) -> Json:
    """Return the Pod, to be scheduled on that Node alone."""
    return {**pod, "spec": {**pod["spec"], "nodeSelector": {"kubernetes.io/hostname": name}}}


def beside(pod: Json, labels: Mapping[str, str]) -> Json:
    """Return the Pod, to be scheduled only on a Node where a Pod with these labels runs."""
    term = {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def controlled(manifest: Json, owner: KubeObject) -> Json:
    """Return the manifest with `owner` as its controller."""
    reference = {"apiVersion": owner.at("apiVersion"), "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    metadata = {**manifest["metadata"], "ownerReferences": [{**reference, "controller": True}]}
    return {**manifest, "metadata": metadata}


def _pod_security(uid: int) -> Json:
    return {"runAsNonRoot": True, "runAsUser": uid, "seccompProfile": {"type": "RuntimeDefault"}}


def _container_security() -> Json:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
