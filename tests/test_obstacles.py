"""Obstacles: who refuses an object, whether Nodes are full, what an image lacks, which taints keep Pods off."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.obstacles import Obstacle, no_room, refuser
from kubechain.claims.requirements import Environment
from kubechain.claims.verdict import verdict_of
from kubechain.cluster.target import Target
from kubechain.conditions import obstructed, pods
from kubechain.core import image_names
from kubechain.core.errors import Blocked, ExitCode, HarnessError
from kubechain.core.progress import Step
from kubechain.core.settings import Settings
from kubechain.kube import overlay
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.history import History
from kubechain.provision import taints
from kubechain.provision.preflight import Preflight, Refusal, require_accepted
from kubechain.workload.obstruction import obstacle
from tests.fakes import FakeApi, FakeClock, changed, pod, record, replica_set, thing

REFUSALS = {
    "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'limits' with binding 'b' denied": "ValidatingAdmissionPolicy limits",
    'admission webhook "validate.kyverno.svc-fail" denied the request: policy': "webhook validate.kyverno.svc-fail",
    'failed calling webhook "dead.example.org": failed to call webhook: connection refused': "dead webhook dead.example.org",
    'pods "x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=0, limited: pods=0': "ResourceQuota compute",
    'pods "x" is forbidden: failed quota: compute: must specify limits.cpu for: nginx': "ResourceQuota compute",
    'pods "x" is forbidden: status unknown for quota: nothing, resources: pods': "ResourceQuota nothing",
    'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true': "Pod Security restricted:latest",
    'pods "x" is forbidden: unable to validate against any security context constraint: [..]': "SecurityContextConstraints",
    'pods "x" is forbidden: maximum cpu usage per Container is 100m, but limit is 500m': "LimitRange",
    'pods "x" is forbidden: no PriorityClass with name low was found': "the missing PriorityClass low",
    # A controller without rights, an account that is not there, and no address left are faults of the cluster.
    'pods is forbidden: User "system:serviceaccount:kube-system:replicaset-controller" cannot create resource "pods"': "",
    'pods "x" is forbidden: error looking up service account ns/chain: serviceaccount "chain" not found': "",
    "failed to allocate a serviceIP: ValidatingAdmissionPolicy 'addresses-exhausted' with binding 'x' denied request": "",
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refuser_is_named_by_the_message_of_the_api_server(message: str) -> None:
    assert refuser(message) == REFUSALS[message]


@pytest.mark.parametrize(
    ("sentence", "full"),
    [
        ("3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.", True),
        ("1 node(s) had untolerated taint {a.io/x: }, 2 Too many pods. no new claims, preemption: 0/3 nodes are", True),
        ("1 node(s) had untolerated taint(s), 1 Insufficient memory, 1 node(s) didn't match Pod's node affinity/selector.", True),
        ("1 node(s) had untolerated taint(s), 2 node(s) were unschedulable.", False),
        ("1 Insufficient cpu, 2 node(s) were unschedulable.", False),
        ("3 node(s) had untolerated taint(s).", False),
        ("3 node(s) didn't match pod affinity rules.", False),
    ],
)  # fmt: skip
def test_nodes_are_full_only_if_the_scheduler_says_so_of_all_that_may_be_used(sentence: str, full: bool) -> None:  # noqa: FBT001
    assert no_room(f"0/3 nodes are available: {sentence}") is full


def test_no_sentence_says_nothing_about_room() -> None:
    assert not no_room("")
    assert not no_room("no nodes available to schedule pods")


def history(*objects: KubeObject) -> History:
    found = History("ns", FakeClock())
    for each in objects:
        found.record("ADDED", each)
    return found


def test_refused_pods_are_an_obstacle_and_a_controller_that_does_nothing_is_none() -> None:
    said = 'pods "web-" is forbidden: exceeded quota: small, requested: pods=1'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    owner = changed(replica_set(), "status", {"replicas": 0, "conditions": [failure]})
    assert obstacle(history(owner), ()) == (Obstacle.ADMISSION, f"Pod: {said}")
    assert obstacle(history(replica_set()), ()) is None
    no_right = 'pods is forbidden: User "x" cannot create resource "pods"'
    assert obstacle(history(changed(owner, "status.conditions.0.message", no_right)), ()) is None


def unscheduled(message: str) -> KubeObject:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return changed(changed(pod(), "status.conditions", [condition]), "spec.nodeName", None)


def test_full_nodes_are_an_obstacle_and_cordoned_ones_are_none() -> None:
    full = "0/3 nodes are available: 3 Insufficient cpu."
    assert obstacle(history(unscheduled(full)), ()) == (Obstacle.ROOM, f"the scheduler says: {full}")
    assert obstacle(history(unscheduled("0/3 nodes are available: 3 node(s) were unschedulable.")), ()) is None


def waiting(reason: str, message: str, image: str = "nginx:1") -> KubeObject:
    status: Json = {"name": "nginx", "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}
    return changed(pod(status={"conditions": [], "containerStatuses": [status]}), "spec.containers.0.image", image)


def test_image_that_cannot_be_pulled_is_an_obstacle_with_the_words_of_the_runtime() -> None:
    first, later = waiting("ErrImagePull", "not found"), waiting("ImagePullBackOff", "Back-off pulling image")
    found = obstacle(history(first, later), {"nginx:1"})
    assert found == (Obstacle.IMAGES, f"Pod {first.name}: ErrImagePull: not found")
    # The run has loaded the image, or somebody replaced it.
    assert obstacle(history(first, later), ()) is None
    assert obstacle(history(waiting("ErrImagePull", "not found", "other:1")), {"nginx:1"}) is None


def event(reason: str) -> KubeObject:
    return thing("Event", f"e-{reason}", reason=reason, involvedObject={"uid": pod().uid})


def test_image_that_is_still_being_pulled_is_an_obstacle() -> None:
    creating = waiting("ContainerCreating", "")
    found = obstacle(history(creating, event("Scheduled"), event("Pulling")), {"nginx:1"})
    assert found == (Obstacle.IMAGES, f"Pod {creating.name}: image nginx:1 is still being pulled")
    for ended in ("Pulled", "Failed"):
        assert obstacle(history(creating, event("Pulling"), event(ended)), {"nginx:1"}) is None
    assert obstacle(history(creating, event("Scheduled")), {"nginx:1"}) is None
    assert obstacle(history(pod(), event("Pulling")), {"nginx:1"}) is None
    # Where the run has loaded its images, none is to be pulled.
    assert obstacle(history(creating, event("Pulling")), ()) is None


def test_pod_that_became_ready_after_all_is_no_obstacle() -> None:
    assert obstructed.image_failures([waiting("ErrImagePull", "busy"), pod()], {"nginx:1"}) == {}


def test_state_without_content_may_be_null() -> None:
    status: Json = {"name": "nginx", "restartCount": 0, "state": {"running": None}, "lastState": None}
    unready = changed(pod(status={"conditions": [], "containerStatuses": [status]}), "spec.containers.0.image", "nginx:1")
    assert obstructed.image_failures([unready], {"nginx:1"}) == {}
    assert pods.not_running(unready) == []


def test_image_without_the_program_is_an_obstacle() -> None:
    ended = {"terminated": {"reason": "StartError", "message": 'exec: "nginx": executable file not found in $PATH'}}
    status: Json = {"name": "nginx", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
    broken = pod(status={"conditions": [], "containerStatuses": [status]})
    assert obstacle(history(broken), {"nginx:1"}) == (
        Obstacle.IMAGES,
        f'Pod {broken.name}: StartError: exec: "nginx": executable file not found in $PATH',
    )
    crashed: Json = {**status, "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}
    assert obstacle(history(pod(status={"conditions": [], "containerStatuses": [crashed]})), {"nginx:1"}) is None


def test_verdict_of_an_obstacle_names_no_link() -> None:
    blocked = record(Link.PODS, "blocked", "blocked by ROOM: the scheduler says: full", waits_for="ROOM")
    verdict = verdict_of([record(Link.DEPLOYMENT, "passed"), blocked], 1.0)
    assert verdict.line == "no verdict: no Node takes the Pods of this run: the scheduler says: full"
    assert (verdict.exit_code, verdict.first_broken_link, verdict.holds) == (ExitCode.REFUSED, None, False)
    images = record(Link.PODS, "blocked", "blocked by IMAGES: not found", waits_for="IMAGES")
    assert verdict_of([images], 1.0).exit_code == ExitCode.IMAGES


def test_broken_link_counts_more_than_an_obstacle() -> None:
    blocked = record(Link.PODS, "blocked", "blocked by ADMISSION: quota", waits_for="ADMISSION")
    verdict = verdict_of([record(Link.SERVICE, "failed", "no address"), blocked], 1.0)
    assert verdict.line.startswith("chain broken at SERVICE: no address")
    assert verdict.counts[Outcome.BLOCKED] == 1


def tainted(*found: str) -> KubeObject:
    listed: list[Json] = []
    for word in found:
        key, _, effect = word.partition(":")
        key, _, value = key.partition("=")
        listed.append({"key": key, "effect": effect, **({"value": value} if value else {})})
    return thing("Node", "n", spec={"taints": listed})


@pytest.mark.parametrize(
    ("taint", "tolerate", "kept"),
    [
        ("dedicated=db:NoSchedule", "", "dedicated=db:NoSchedule"),
        ("dedicated=db:NoSchedule", "dedicated=db:NoSchedule", ""),
        ("dedicated=db:NoSchedule", "dedicated", ""),
        ("dedicated=db:NoSchedule", "dedicated=web", "dedicated=db:NoSchedule"),
        ("dedicated=db:NoExecute", "dedicated=db:NoSchedule", "dedicated=db:NoExecute"),
        ("node-role.kubernetes.io/control-plane:NoSchedule", "", "node-role.kubernetes.io/control-plane:NoSchedule"),
        ("dedicated=db:PreferNoSchedule", "", ""),
        ("node.kubernetes.io/unschedulable:NoSchedule", "", ""),
        ("node.kubernetes.io/not-ready:NoExecute", "", ""),
    ],
)
def test_taint_of_the_owner_keeps_pods_off_unless_they_tolerate_it(taint: str, tolerate: str, kept: str) -> None:
    found = taints.keeping_off(tainted(taint), overlay.tolerations(tolerate))
    assert [taints.spelled(each) for each in found] == ([kept] if kept else [])


def test_nodes_of_another_system_take_no_pods_of_the_run() -> None:
    windows = changed(thing("Node", "w", spec={}), "metadata.labels", {"kubernetes.io/os": "windows"})
    target = Target("c", "k", "ctx", "https://x", "u", owned=False, temporary=False, nginx="n", client="cl")
    environment = Environment(target, (tainted("dedicated=db:NoSchedule"), windows), "host", disruptive=False)

    def answer(*_: object) -> str:
        return "{}"

    with pytest.raises(Blocked, match="every Node has a taint: dedicated=db:NoSchedule on 1 of 1 Nodes") as caught:
        Preflight(FakeApi(answer), environment, Settings.model_validate({}), {}).examine("ns", Step("check"))
    assert caught.value.waits_for == Obstacle.ROOM


def test_pods_keep_to_the_nodes_that_their_images_are_for() -> None:
    nodes = [thing("Node", arch, spec={}, status={"nodeInfo": {"architecture": arch}}) for arch in ("amd64", "arm64", "s390x")]
    target = Target("c", "k", "ctx", "https://x", "u", owned=False, temporary=False, nginx="n", client="cl")

    def nothing(*_: object) -> str:
        raise HarnessError("the Nodes come first")

    def examined(*machines: KubeObject, owned: bool = False, **settings: str) -> tuple[tuple[str, ...], str]:
        environment = Environment(replace(target, owned=owned), machines, "host", disruptive=False)
        api, step = FakeApi(nothing), Step("check")
        check = Preflight(api, environment, Settings.model_validate(settings), {})
        with suppress(HarnessError):
            check.examine("ns", step)
        return api.shape.architectures, "; ".join(step.notes)

    said = "no Pods on s390x (s390x): the images are for amd64 and arm64"
    assert examined(*nodes) == (("amd64", "arm64"), said)
    assert examined(*nodes[:2]) == ((), "")
    assert examined(*nodes, owned=True) == ((), "")
    # An image of the user may be of any; what the user says counts.
    assert examined(*nodes, nginx_image="n:1") == ((), "")
    assert examined(*nodes, image_architectures=" amd64") == (
        ("amd64",),
        "no Pods on arm64 (arm64), s390x (s390x): the images are for amd64",
    )
    with pytest.raises(Blocked, match=r"every Node is of another architecture: s390x \(s390x\); name others by"):
        examined(nodes[2])


def test_refusals_with_one_reason_are_listed_together() -> None:
    refused = [
        Refusal("Pod", "Pod web", 'pods "web" is forbidden: no limits'),
        Refusal("Pod", "Pod client", 'pods "client" is forbidden: no limits'),
        Refusal("Service", "Service of type NodePort", "no nodePorts"),
    ]
    with pytest.raises(Blocked) as caught:
        require_accepted(refused)
    assert caught.value.waits_for == Obstacle.ADMISSION
    listed = "Pod web, Pod client: no limits; Service of type NodePort: no nodePorts ("
    assert caught.value.why.startswith(listed)
    assert "--no-node-port" in str(caught.value)
    require_accepted([])


def test_what_every_service_lacks_is_not_about_node_ports() -> None:
    refused = [Refusal("Service", f"Service of type {sort}", "no label") for sort in ("NodePort", "ClusterIP")]
    with pytest.raises(Blocked) as caught:
        require_accepted(refused)
    assert "--no-node-port" not in caught.value.why


GOOD = [
    "", "nginx", "nginx:1.29", "nicolaka/netshoot:v0.13", "registry.example.org/team/nginx:1", "localhost:5000/a/b:c",
    "kubechain/nginx:0123456789ab", "Registry.Example.org:5000/a", "[fd00::1]:5000/a", "a__b/c.d-e:T.a_g-1",
    "nginx@sha256:" + "0" * 64, "nginx:1@sha256:" + "a" * 64, "127.0.0.1:9/kubechain/absent:none",
]  # fmt: skip
NO_NAMES = [
    "Nginx", "nginx latest", " nginx", "nginx:", "nginx:a b", "registry.example.org/Team/nginx", "nginx@sha256:12", "nginx::1",
    "https://registry/nginx", "/nginx", "nginx/", "a//b", "nginx:ü", "nginx:" + "a" * 129, "-nginx",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_names_of_images(name: str) -> None:
    assert image_names.image(name) == name


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_an_image(name: str) -> None:
    with pytest.raises(ValueError, match="expected an image such as"):
        image_names.image(name)


def test_registry_mirrors() -> None:
    for good in ("", "mirror.example.org", "mirror.example.org:5000/docker.io/", "localhost"):
        assert image_names.mirror(good) == good
    for bad in ("https://mirror.example.org", "mirror example", "mirror.example.org/Team"):
        with pytest.raises(ValueError, match="expected a registry such as"):
            image_names.mirror(bad)
