"""Every Pod of a run satisfies the `restricted` Pod Security Standard and the usual policies; only the bare Pod does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubechain.kube.objects import Json
from kubechain.scenarios import node_outage, rollout
from kubechain.upgrade import sampler_manifests, witnesses
from kubechain.workload import manifests
from suites.chain import test_5_endpoints as of_endpoints

IMAGE = "registry.example.org/x:1"


def specs() -> Iterator[tuple[str, Json]]:
    """Yield the spec of each sort of Pod."""
    pods = {
        "web": manifests.web_pod("web", IMAGE),
        "client": manifests.client_pod("client", IMAGE),
        "ending": manifests.ending_pod("ending", IMAGE, 3),
        "obedient": manifests.obedient_pod("obedient", IMAGE),
        "stubborn": manifests.stubborn_pod("stubborn", IMAGE, 2),
        "unready": manifests.unready_pod("unready", IMAGE),
        "echo": manifests.udp_echo("echo", IMAGE),
        "far": manifests.tcp_echo("far", IMAGE, "IPv6"),
        "elsewhere": manifests.web_pod_at("elsewhere", IMAGE, "web", "http", manifests.OTHER_PORT),
        "unlinked": manifests.unlinked(manifests.client_pod("unlinked", IMAGE)),
    }
    yield from ((name, pod["spec"]) for name, pod in pods.items())
    owners = {
        "deployment": manifests.deployment(IMAGE),
        "lone": manifests.replica_set("lone", IMAGE, 2),
        "many": manifests.many_pods("many", IMAGE, 101),
        "rolling": rollout.rolling(IMAGE),
        "impatient": node_outage.impatient(IMAGE),
        "witnesses": witnesses.deployment(IMAGE),
        "samplers": sampler_manifests.daemon_set(IMAGE, ["a"]),
    }
    yield from ((name, owner["spec"]["template"]["spec"]) for name, owner in owners.items())


def lacks(spec: Json) -> list[str]:
    """Return what a policy could miss."""
    pod, found = spec["securityContext"], list[str]()
    mounted = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
    found += [] if spec["automountServiceAccountToken"] is False else ["token"]
    found += [] if (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"}) else ["Pod security"]
    found += [] if not {"fsGroup", "runAsGroup", "supplementalGroups", "seLinuxOptions"} & set(pod) else ["a fixed group"]
    found += [] if spec["nodeSelector"].get("kubernetes.io/os") == "linux" else ["a Node with Linux"]
    found += [] if mounted == {volume["name"] for volume in spec["volumes"]} else ["a volume that is mounted"]
    for volume in spec["volumes"]:
        found += [] if {"configMap", "emptyDir"} & set(volume) else [f"volume {volume['name']}"]
    for container in spec["containers"]:
        security, resources = container["securityContext"], container.get("resources", {})
        for part in ("requests", "limits"):
            found += [] if set(resources.get(part, {})) == {"cpu", "memory"} else [part]
        wanted: Json = {"allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True}
        wanted |= {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
        found += [] if security == wanted else ["container security"]
    return found


@pytest.mark.parametrize(("name", "spec"), [pytest.param(*each, id=each[0]) for each in specs()])
def test_pod_satisfies_the_usual_policies(name: str, spec: Json) -> None:
    assert lacks(spec) == [], name


def test_bare_pod_has_a_token_and_asks_for_nothing() -> None:
    assert lacks(manifests.bare_pod("bare", IMAGE)["spec"]) == ["token", "requests", "limits"]


def test_no_token_is_mounted_by_the_service_account_either() -> None:
    assert manifests.service_account()["automountServiceAccountToken"] is False


def test_namespace_sets_no_pod_security_level() -> None:
    labels = manifests.namespace("x", {"a": "b"})["metadata"]["labels"]
    assert labels == {"a": "b"}


def test_pod_that_lingers_outlives_a_sync_of_kube_proxy_and_ends_within_its_grace_period() -> None:
    for manifest in (rollout.rolling(IMAGE), witnesses.deployment(IMAGE)):
        (nginx,) = manifest["spec"]["template"]["spec"]["containers"]
        # The minSyncPeriod of GKE, and the default terminationGracePeriodSeconds with some seconds to end.
        assert 10 + 2 < nginx["lifecycle"]["preStop"]["sleep"]["seconds"] < 30 - 5


def test_pod_ends_no_sooner_than_a_controller_that_takes_over_has_listed_it_as_terminating() -> None:
    assert 20 < of_endpoints.ENDING_SECONDS < 30
