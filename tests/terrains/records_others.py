"""Terrains by limits of namespaces and by images."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from kubechain.kube.objects import Json
from tests.terrains.differences import InEachNamespace
from tests.terrains.records_policies import BARE, WALK
from tests.terrains.terrain import Skip, Terrain

NO_IMAGE = "an image of this run cannot be run: .*{}"


def limit(kind: str, spec: Json) -> Json:
    """Return an object of a kind for each namespace."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "tenant"}, "spec": spec}


RANGE = limit(
    "LimitRange",
    {
        "limits": [
            {
                "type": "Container",
                "default": {"cpu": "1", "memory": "256Mi"},
                "defaultRequest": {"cpu": "20m", "memory": "32Mi"},
                "max": {"cpu": "2", "memory": "1Gi"},
            }
        ]
    },
)
QUOTA = limit(
    "ResourceQuota",
    {
        "hard": {
            "pods": "20",
            "requests.cpu": "1",
            "requests.memory": "1Gi",
            "limits.cpu": "12",
            "limits.memory": "4Gi",
            "services": "10",
            "services.nodeports": "5",
            "configmaps": "10",
            "secrets": "10",
        }
    },
)
DENY: Json = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}

TERRAINS = (
    Terrain("limit-range", "namespaces", "gives each new namespace a LimitRange", (InEachNamespace((RANGE,)),)),
    Terrain(
        "quota",
        "namespaces",
        "gives each new namespace a quota of usable size",
        (InEachNamespace((QUOTA,)),),
        skips=(Skip("failed quota: tenant: must specify", BARE + WALK),),
    ),
    Terrain(
        "limit-range-and-quota",
        "namespaces",
        "gives each new namespace a LimitRange and a quota",
        (InEachNamespace((RANGE, QUOTA)),),
    ),
    Terrain(
        "default-deny", "namespaces", "gives each new namespace a NetworkPolicy that denies traffic", (InEachNamespace((DENY,)),)
    ),
    Terrain(
        "image-absent",
        "images",
        "has no such image",
        options=("--nginx-image", "127.0.0.1:9/kubechain/absent:1"),
        code=ExitCode.IMAGES,
        says=NO_IMAGE.format("(ErrImagePull|ImagePullBackOff)"),
        seconds=60,
    ),
    Terrain(
        "tag-absent",
        "images",
        "has the image of nginx under another tag",
        options=("--nginx-image", "kubechain/nginx:absent"),
        code=ExitCode.IMAGES,
        says=NO_IMAGE.format("(ErrImagePull|ImagePullBackOff)"),
        seconds=60,
    ),
    Terrain(
        "image-without-nginx",
        "images",
        "has the image of the client under the name of nginx",
        options=("--nginx-image", "{client}"),
        code=ExitCode.IMAGES,
        says=NO_IMAGE.format('"nginx": executable file not found'),
        seconds=60,
    ),
    Terrain(
        "client-without-dig",
        "images",
        "has the image of nginx under the name of the client",
        options=("--client-image", "{nginx}"),
        code=ExitCode.IMAGES,
        says=NO_IMAGE.format('"dig": executable file not found'),
        seconds=90,
    ),
    Terrain(
        "image-no-name",
        "images",
        "is given a name that no image can have",
        options=("--nginx-image", "Nginx latest"),
        code=ExitCode.USAGE,
        says="--nginx-image=Nginx latest",
        seconds=10,
    ),
)
