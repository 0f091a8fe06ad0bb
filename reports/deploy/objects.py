"""The objects of a run in a cluster, from one source for kubectl and for Helm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubechain.claims.claim import Claim
from kubechain.claims.rights import RESULT
from kubechain.core.errors import ExitCode
from kubechain.kube import in_cluster
from reports import rights

from . import monitoring
from .nodes import NAMESPACE, Conditional, Either, If, Text, Value

Json = dict[str, Any]
NAME, RUNNER = "kubechain", "kubechain-runner"
RESULTS, FILES, TEMPORARY = "/results", "/etc/kubechain", "/tmp"  # noqa: S108  # nosec B108  # a volume of the Pod
HOME = Value(NAMESPACE)
LABELS = {"app.kubernetes.io/name": RUNNER, "app.kubernetes.io/part-of": NAME}
RBAC = "rbac.authorization.k8s.io"
ACCOUNT = {"kind": "ServiceAccount", "name": NAME, "namespace": HOME}
IN_CLUSTER, IN_NAMESPACE = (If(Value("scope"), equals=each) for each in ("cluster", "namespace"))
MANY = If(Value("shards"), above=1)
WATCHING = If(Value("watch.enabled"))
DETACHED = If(Value("detached.enabled"))
# Each reboot of a Node that kills the Pod without an eviction counts.
RETRIES, DETACHED_RETRIES = 1, 6
WATCH = f"{NAME}-watch"
WATCH_LABELS = {**LABELS, "app.kubernetes.io/component": "watch"}
METRICS, METRICS_PORT = "metrics", 9464
OPERATOR = "monitoring.coreos.com/v1"
# A run that ended by itself has said what there is to say, and another would say it again; one that was killed is run again.
FINAL = sorted(int(code) for code in ExitCode if code not in (ExitCode.HOLDS, ExitCode.INTERRUPTED))
# Nor is an API server that is away at the begin of a run around a change, which may be what replaces it.
DETACHED_FINAL = [code for code in FINAL if code != ExitCode.UNREACHABLE]
INDEX = "$(JOB_COMPLETION_INDEX)"
# A run that is ended removes its namespaces first.
GRACE_SECONDS = 120


def metadata(name: str, labels: Json = LABELS) -> Json:
    """Return the metadata of an object in the namespace of the runner."""
    return {"name": name, "namespace": HOME, "labels": labels}


def namespace() -> list[Conditional]:
    """Return the Namespace, in which Pods have to be `restricted`; Helm makes it by itself (--create-namespace)."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "labels": {**LABELS, **levels}}}
    return [Conditional(body, (IN_CLUSTER,))]


def access(claims: Sequence[tuple[str, Claim]]) -> list[Conditional]:
    """Return the ServiceAccount with its roles: what claims declare, and the ConfigMap of the result."""
    found = rights.roles(claims)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(NAME), "automountServiceAccountToken": False}
    objects = [Conditional(account)]
    granted_to = ((found["run"], IN_CLUSTER), (found["namespace"], IN_NAMESPACE), (found["upgrade"], DETACHED))
    for role, condition in granted_to:
        for space in sorted({right.namespace for right in role.rights}):
            granted = rights.rules(right for right in role.rights if right.namespace == space)
            place = {"namespace": HOME if space == role.inside else space} if space else {}
            objects += _granted(f"{NAME}-{role.name}", place, granted, (condition,))
    return objects + _granted(f"{NAME}-result", {"namespace": HOME}, rights.rules(RESULT.rights), ())


def _granted(name: str, place: Json, granted: list[Json], conditions: tuple[If, ...]) -> list[Conditional]:
    """Return a Role, or without a place a ClusterRole, and its binding to the ServiceAccount."""
    kind = "Role" if place else "ClusterRole"
    where = {"name": name, **place, "labels": LABELS}
    reference = {"apiGroup": RBAC, "kind": kind, "name": name}
    bodies = (
        {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": where, "rules": granted},
        {"apiVersion": f"{RBAC}/v1", "kind": f"{kind}Binding", "metadata": where, "roleRef": reference, "subjects": [ACCOUNT]},
    )
    return [Conditional(body, conditions) for body in bodies]


def options() -> list[Conditional]:
    """Return the ConfigMaps with the settings of the runs, and with the files that they name."""
    return [
        Conditional({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(f"{NAME}-{name}"), "data": Value(name)})
        for name in ("options", "files")
    ]


def network_policy() -> list[Conditional]:
    """Return the NetworkPolicy of the runner: Prometheus reads the figures of a watch."""
    incoming: Any = Either(WATCHING, [{"ports": [{"port": METRICS_PORT, "protocol": "TCP"}]}], [])
    spec: Json = {
        "podSelector": {"matchLabels": LABELS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": incoming,
        "egress": [{}],
    }
    body: Json = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata(NAME), "spec": spec}
    return [Conditional(body, (If(Value("networkPolicy.enabled")),))]


def job() -> list[Conditional]:
    """Return the Job that runs once."""
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(NAME), "spec": _run_spec()}
    return [Conditional(body, (If(Value("job.enabled")),))]


def detached() -> list[Conditional]:
    """Return the Job around a change, whose state is in a ConfigMap."""
    name, length = f"{NAME}-detached", Value("detached.for")
    arguments = [
        "during",
        f"--state=$(POD_NAMESPACE)/{NAME}-state",
        f"--out={RESULTS}/out",
        f"--result-config-map=$(POD_NAMESPACE)/{name}",
    ]
    chosen = Either(If(length), [*arguments, Text(("--for=", length))], arguments)
    spec = _job_spec(chosen, 1, DETACHED_RETRIES, Value("detached.deadlineSeconds"), DETACHED_FINAL)
    return [Conditional({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name), "spec": spec}, (DETACHED,))]


def cron_job() -> list[Conditional]:
    """Return the CronJob."""
    spec = {
        "schedule": Value("cronJob.schedule"),
        "timeZone": Value("cronJob.timeZone"),
        "suspend": Value("cronJob.suspend"),
        # A run that has not ended says more than one that disturbs it.
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"metadata": {"labels": LABELS}, "spec": _run_spec()},
    }
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata(f"{NAME}-nightly"), "spec": spec}
    return [Conditional(body, (If(Value("cronJob.enabled")),))]


def watch() -> list[Conditional]:
    """Return the Deployment that runs again and again, and the Service of its figures."""
    arguments = [
        "watch",
        Text(("--every=", Value("watch.every"))),
        Text(("--deadline=", Value("deadlineSeconds"), "s")),
        "--address=$(POD_IP)",
        f"--port={METRICS_PORT}",
        f"--out={RESULTS}/watch",
    ]
    spec = pod_spec(arguments)
    probe = {"httpGet": {"path": "/healthz", "port": METRICS}, "periodSeconds": 30, "timeoutSeconds": 5, "failureThreshold": 3}
    ports = [{"name": METRICS, "containerPort": METRICS_PORT}]
    (container,) = spec["containers"]
    spec = {**spec, "containers": [{**container, "ports": ports, "livenessProbe": probe}]}
    template = {"metadata": {"labels": WATCH_LABELS}, "spec": spec}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(WATCH, WATCH_LABELS),
        # Two watches at once would disturb each other's figures.
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": WATCH_LABELS},
            "template": template,
        },
    }
    port = {"name": METRICS, "port": METRICS_PORT, "targetPort": METRICS}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(WATCH, WATCH_LABELS),
        "spec": {"selector": WATCH_LABELS, "ports": [port]},
    }
    return [Conditional(body, (WATCHING,)) for body in (deployment, service)]


def monitors() -> list[Conditional]:
    """Return what Prometheus and Grafana read of a watch: objects of the Prometheus operator, and a dashboard."""
    endpoints = [{"port": METRICS, "interval": "30s"}]
    monitor = {"selector": {"matchLabels": WATCH_LABELS}, "endpoints": endpoints}
    of_operator = (
        {"apiVersion": OPERATOR, "kind": "ServiceMonitor", "metadata": metadata(WATCH, WATCH_LABELS), "spec": monitor},
        {
            "apiVersion": OPERATOR,
            "kind": "PrometheusRule",
            "metadata": metadata(WATCH, WATCH_LABELS),
            "spec": {"groups": monitoring.GROUPS},
        },
    )
    dashboard = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(f"{NAME}-dashboard", {**LABELS, "grafana_dashboard": "1"}),
        "data": {"kubechain.json": monitoring.dashboard()},
    }
    return [
        *(Conditional(body, (WATCHING, If(Value("watch.operator")))) for body in of_operator),
        Conditional(dashboard, (WATCHING, If(Value("watch.dashboard")))),
    ]


def _run_spec() -> Json:
    return _job_spec(_run(), Value("shards"), RETRIES, Value("deadlineSeconds"))


def _job_spec(arguments: Any, pods: Any, retries: int, deadline: Value, final: Sequence[int] = FINAL) -> Json:
    return {
        "completions": pods,
        "parallelism": pods,
        "completionMode": "Indexed",
        "backoffLimitPerIndex": retries,
        # Else the Pod of an index may begin while the one before it still ends.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailIndex", "onExitCodes": {"containerName": NAME, "operator": "In", "values": [*final]}},
            ]
        },
        "activeDeadlineSeconds": deadline,
        "ttlSecondsAfterFinished": Value("keepSeconds"),
        "template": {"metadata": {"labels": LABELS}, "spec": {"restartPolicy": "Never", **pod_spec(arguments)}},
    }


def _run() -> list[Any] | Either:
    """Return the arguments of the runner: all claims, or the part of this index."""
    out, config_map = f"--out={RESULTS}/out", f"--result-config-map=$(POD_NAMESPACE)/{NAME}-result"
    part = [
        "run",
        Text((f"--shard={INDEX}/", Value("shards"))),
        f"{out}/{INDEX}",
        f"{config_map}-{INDEX}",
    ]
    return Either(MANY, part, ["run", out, config_map])


def pod_spec(arguments: Any) -> Json:
    """Return the spec of a Pod of the runner, but for its restartPolicy; any uid may run it."""
    claim, secret = Value("persistence.claim"), Value("upload.secret")
    settings = {"configMapRef": {"name": f"{NAME}-options"}}
    volumes: list[Json] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "files", "configMap": {"name": f"{NAME}-files"}},
        {
            "name": "results",
            "persistentVolumeClaim": Either(If(claim), {"claimName": claim}),
            "emptyDir": Either(If(claim), None, {}),
        },
    ]
    paths = {"tmp": TEMPORARY, "files": FILES, "results": RESULTS}
    container = {
        "name": NAME,
        "image": Value("image"),
        "imagePullPolicy": Value("imagePullPolicy"),
        "args": arguments,
        "envFrom": Either(If(secret), [settings, {"secretRef": {"name": secret}}], [settings]),
        "env": _environment(),
        "resources": Value("resources"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in paths.items()],
    }
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": True,
        "securityContext": Value("podSecurityContext"),
        "imagePullSecrets": Value("imagePullSecrets"),
        "nodeSelector": Value("nodeSelector"),
        "tolerations": Value("tolerations"),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [container],
        "volumes": volumes,
    }


def _environment() -> list[Json]:
    """Return the variables of the runner: those that depend on the Pod, or on other values than the options."""
    of_pod = {"NAMESPACE": "metadata.namespace", "NAME": "metadata.name", "UID": "metadata.uid", "IP": "status.podIP"}
    fields = [{"name": f"POD_{name}", "valueFrom": {"fieldRef": {"fieldPath": field}}} for name, field in of_pod.items()]
    claim = If(Value("persistence.claim"))
    settings: Json = {
        "CONTEXT": in_cluster.CONTEXT,
        "POD": "$(POD_NAMESPACE)/$(POD_NAME)/$(POD_UID)",
        "NAMESPACE": Either(IN_NAMESPACE, "$(POD_NAMESPACE)", ""),
        "NGINX_IMAGE": Value("nginxImage"),
        "CLIENT_IMAGE": Value("image"),
        "JSON_LINE": "1",
        "VERDICT_FILE": "/dev/termination-log",
        "REPORT_URL": Value("reportUrl"),
        "UPLOAD": Value("upload.url"),
        # Results in a volume that ends with the Pod are no history.
        "HISTORY": Either(claim, Either(MANY, "", f"{RESULTS}/history"), ""),
    }
    return [*fields, *({"name": f"KUBECHAIN_{name}", "value": value} for name, value in settings.items())]
