"""nginx as kubectl makes it: what is sent, whether its image runs and listens, and what refuses it."""

import pytest

from kubechain.kube.families import IPV4, IPV6
from kubechain.kube.objects import KubeObject
from kubechain.workload import stock
from tests.fakes import changed, pod, replica_set, state

HEAD = "  sl  local_address rem_address   st tx_queue\n"
AT_80, AT_8080 = "   0: 00000000:0050 00000000:0000 0A 0:0\n", "   0: 00000000:1F90 00000000:0000 0A 0:0\n"
AT_80_OF_6 = f"   0: {'0' * 32}:0050 {'0' * 32}:0000 0A 0:0\n"
LABELS = {"app": "web"}


@pytest.mark.parametrize(
    ("sockets", "over_4", "over_6"),
    [
        (HEAD + AT_80, True, False),
        (HEAD + AT_80 + HEAD + AT_80_OF_6, True, True),
        (HEAD + HEAD + AT_80_OF_6, True, True),
        (HEAD + AT_8080, False, False),
        (HEAD + AT_80.replace(" 0A ", " 01 "), False, False),
        ("", False, False),
    ],
    ids=["IPv4", "both", "IPv6", "another port", "a connection", "nothing"],
)
def test_port_that_a_container_listens_at(sockets: str, *, over_4: bool, over_6: bool) -> None:
    assert (stock.listens(sockets, IPV4), stock.listens(sockets, IPV6)) == (over_4, over_6)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.29", "nginx"),
        ("127.0.0.1:5000/team/My_nginx@sha256:aa", "my-nginx"),
        ("kubechain/nginx:3a94db69c1b8", "nginx"),
    ],
)
def test_container_has_the_name_of_its_image(image: str, name: str) -> None:
    assert stock.container_of(image)["name"] == name


def with_status(**fields: object) -> KubeObject:
    made = pod(0)
    return changed(made, "status.containerStatuses", [{**made.at("status.containerStatuses")[0], **fields}])


def test_pods_that_run_are_ready() -> None:
    assert stock.running(LABELS, 2)(state(pod(0), pod(1))).met
    assert not stock.running(LABELS, 2)(state(pod(0))).met


def test_container_that_has_ended_makes_waiting_hopeless_also_if_it_runs_again() -> None:
    result = stock.running(LABELS, 1)(state(with_status(lastState={"terminated": {"reason": "Error", "exitCode": 1}})))
    assert result.hopeless
    assert result.got == "container nginx of Pod web-5d4f-0 has ended (Error, exit status 1)"


@pytest.mark.parametrize(
    "over",
    [{"deletionTimestamp": "2026-01-01T00:00:00Z"}, {}],
    ids=["a Pod that is deleted", "a container that the runtime has lost"],
)
def test_end_that_says_nothing_of_the_image_is_waited_for(over: dict[str, str]) -> None:
    reason = "Error" if over else "ContainerStatusUnknown"
    made = with_status(lastState={"terminated": {"reason": reason, "exitCode": 137}})
    result = stock.running(LABELS, 2)(state(KubeObject({**made.body, "metadata": {**made.body["metadata"], **over}})))
    assert not result.met
    assert not result.hopeless


def test_image_that_may_not_run_as_root_makes_waiting_hopeless() -> None:
    message = "container has runAsNonRoot and image will run as root"
    assert stock.running(LABELS, 1)(state(with_status(state={"waiting": {"message": message}}))).hopeless


def test_refusal_of_pods_is_hopeless_only_if_somebody_is_named() -> None:
    def failing(message: str) -> KubeObject:
        failure = {"type": "ReplicaFailure", "status": "True", "message": message}
        return changed(replica_set(), "status.conditions", [failure])

    assert stock.running(LABELS, 1)(state(failing("exceeded quota: small, requested: pods=1"))).hopeless
    assert not stock.running(LABELS, 1)(state(failing("etcdserver: timeout"))).hopeless
