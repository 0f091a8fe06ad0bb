"""The one place where the spec of a Pod is made, so that every Pod of a run satisfies the usual policies.

It satisfies the `restricted` Pod Security Standard (https://kubernetes.io/docs/concepts/security/pod-security-standards/), has
requests and limits, a read-only root file system, and no token.
"""

from __future__ import annotations

from kubechain.kube.objects import Json

ACCOUNT = "chain"
# A label of every Node: the images are for Linux.
LINUX = {"kubernetes.io/os": "linux"}
# The only folder that a container may write to; as an emptyDir it takes any uid.
WRITABLE = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  # in the container
# Small enough for a quota of one CPU and 512 MiB; the limit of CPU leaves room for a burst of dig or curl.
RESOURCES: Json = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}


def container(name: str, image: str, command: list[str], **more: object) -> Json:
    """Return a container with requests, limits and a read-only root file system; `more` are further fields."""
    mounts = more.pop("volumeMounts", [])
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": RESOURCES,
        "volumeMounts": [WRITABLE, *(mounts if isinstance(mounts, list) else [])],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        **more,
    }


def pod_spec(of_container: Json, uid: int, volumes: list[Json] | None = None, **more: object) -> Json:
    """Return the PodSpec of one container; `more` are further fields.

    `uid` is what the Pod runs as, where the cluster does not choose one itself (`kubechain.kube.shape.Shape.fixed_uid`).
    """
    return {
        "serviceAccountName": ACCOUNT,
        "nodeSelector": dict(LINUX),
        "automountServiceAccountToken": False,
        "containers": [of_container],
        "volumes": [{"name": WRITABLE["name"], "emptyDir": {}}, *(volumes or [])],
        "securityContext": {"runAsNonRoot": True, "runAsUser": uid, "seccompProfile": {"type": "RuntimeDefault"}},
        **more,
    }
