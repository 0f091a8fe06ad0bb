from typing import Any, get_args

import pytest

from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import Change, ObjectChange
from kubechain.upgrade import cluster_watch
from kubechain.upgrade.allowances import ALLOWANCES, allowed
from kubechain.upgrade.events import proxy_version, tag, upgrade_events, versions
from kubechain.upgrade.model import Kind
from tests.fakes import changed, conditions, thing

BEGAN = 100.0
MIRROR = {"kubernetes.io/config.mirror": "1a"}
NODE = "kind-worker"


def log(*entries: tuple[float, Change, KubeObject]) -> list[ObjectChange]:
    """Return a log as a watch of an upgrade keeps it: without what no event is made from."""

    def kept(resource: KubeObject) -> KubeObject:
        return KubeObject(cluster_watch.kept(resource.body))

    return [ObjectChange(number, at, at, change, kept(resource)) for number, (at, change, resource) in enumerate(entries, 1)]


def events_of(
    system: list[ObjectChange] | None = None, nodes: list[ObjectChange] | None = None, witnesses: list[ObjectChange] | None = None
) -> list[tuple[float, str, str]]:
    return [(event.at, event.kind, event.what) for event in upgrade_events(system or [], nodes or [], witnesses or [], BEGAN)]


def static(
    run: str, *, uid: str = "u1", restarts: int = 0, component: str = "kube-apiserver", state: str = "running"
) -> KubeObject:
    status = {
        "name": component,
        "restartCount": restarts,
        "containerID": f"containerd://{run}",
        "state": {state: {"startedAt": f"started-{run}"}},
    }
    node = "kind-control-plane"
    fields: Json = {"annotations": MIRROR, "spec": {"nodeName": node}, "status": {"containerStatuses": [status]}}
    return thing("Pod", f"{component}-{node}", uid=uid, **fields)


def system_pod(name: str, *, node: str = NODE, uid: str = "", **over: Any) -> KubeObject:
    given: Json = {"spec": {"nodeName": node} if node else {}, "status": {}, **over}
    return thing("Pod", name, uid=uid, **given)


def proxy(version: str, *, uid: str = "p1", state: str = "running", image: str = "") -> KubeObject:
    named = f"registry.k8s.io/kube-proxy:{version}"
    status: Json = {"name": "kube-proxy", "restartCount": 0, "image": image or named, "state": {state: {}}}
    spec = {"nodeName": NODE, "containers": [{"name": "kube-proxy", "image": named}]}
    labels = {"k8s-app": "kube-proxy"}
    return thing("Pod", f"kube-proxy-{uid}", uid=uid, labels=labels, spec=spec, status={"containerStatuses": [status]})


def node(version: str = "v1.36.3", ready: str = "True", *, name: str = NODE, **spec: Any) -> KubeObject:
    status = {"nodeInfo": {"kubeletVersion": version}, "conditions": conditions(Ready=ready)}
    return thing("Node", name, spec=spec, status=status)


def lease(name: str, holder: str) -> KubeObject:
    return thing("Lease", name, spec={"holderIdentity": holder})


def test_state_of_the_first_list_is_no_event() -> None:
    everything = [static("a"), system_pod("coredns-x"), proxy("v1.36.3"), lease("kube-scheduler", "n_1")]
    system = [ObjectChange(number, 90.0, 90.0, "ADDED", each) for number, each in enumerate(everything)]
    nodes = log((BEGAN, "ADDED", node(unschedulable=True, ready="False")))
    assert events_of(system, nodes, log((BEGAN, "ADDED", system_pod("web-1")))) == []


def test_changes_before_the_beginning_are_no_events() -> None:
    assert events_of(log((80.0, "ADDED", static("a")), (90.0, "MODIFIED", static("b")), (110.0, "MODIFIED", static("b")))) == []


def test_new_container_of_a_static_pod_is_a_start() -> None:
    system = log(
        (90.0, "ADDED", static("a")),
        (110.0, "DELETED", static("a")),
        (110.1, "ADDED", changed(static("a", uid="u2"), "status", {})),
        (112.5, "MODIFIED", static("b", uid="u2")),
        (113.0, "MODIFIED", static("b", uid="u2")),
    )
    assert events_of(system) == [(112.5, "restart", "kube-apiserver of kind-control-plane started")]


def test_new_object_of_a_static_pod_is_no_start() -> None:
    again = static("a", uid="u2")
    assert events_of(log((90.0, "ADDED", static("a")), (110.0, "DELETED", static("a")), (110.2, "ADDED", again))) == []


def test_status_without_an_id_is_no_start() -> None:
    waits = changed(static("a"), "status.containerStatuses.0", {"name": "kube-apiserver", "state": {"waiting": {}}})
    system = [(90.0, static("a")), (110.0, waits), (111.0, static("a")), (112.0, waits), (113.0, static("b"))]
    assert [at for at, *_ in events_of([ObjectChange(1, at, at, "MODIFIED", pod) for at, pod in system])] == [113.0]


def test_waiting_container_has_not_started() -> None:
    pods = [(90.0, proxy("v1", state="waiting")), (110.0, proxy("v1", state="waiting")), (111.0, proxy("v1"))]
    system = [ObjectChange(1, at, at, "MODIFIED", pod) for at, pod in pods]
    assert events_of(system) == [(111.0, "restart", "kube-proxy of kind-worker started")]


def test_container_that_ended_and_runs_again_started_once() -> None:
    system = log(
        (90.0, "ADDED", static("a")),
        (110.0, "MODIFIED", static("a", state="terminated")),
        (111.0, "MODIFIED", static("b", restarts=1)),
    )
    assert [at for at, *_ in events_of(system)] == [111.0]


@pytest.mark.parametrize(
    ("path", "value"),
    [("containerID", "containerd://z"), ("state.running.startedAt", "later"), ("restartCount", 1)],
)
def test_new_id_start_time_or_restart_count_is_a_start(path: str, value: object) -> None:
    other = changed(static("a"), f"status.containerStatuses.0.{path}", value)
    assert [kind for _, kind, _ in events_of(log((90.0, "ADDED", static("a")), (110.0, "MODIFIED", other)))] == ["restart"]


def test_system_pods_are_created_and_deleted_on_their_node() -> None:
    fresh = system_pod("coredns-y", node="")
    system = log(
        (90.0, "ADDED", system_pod("coredns-x")),
        (110.0, "ADDED", fresh),
        (110.5, "MODIFIED", system_pod("coredns-y", node="kind-worker2")),
        (120.0, "DELETED", system_pod("coredns-x")),
    )
    assert events_of(system) == [
        (110.0, "pod", "coredns-y on kind-worker2 created"),
        (120.0, "pod", "coredns-x on kind-worker deleted"),
    ]


def test_pod_replaced_during_a_gap_is_deleted_and_created() -> None:
    system = log(
        (90.0, "ADDED", system_pod("agent-0", uid="1")), (110.0, "MODIFIED", system_pod("agent-0", uid="2", node="other"))
    )
    assert [what for *_, what in events_of(system)] == ["agent-0 on kind-worker deleted", "agent-0 on other created"]


def test_pod_whose_first_entry_is_a_change_was_not_created() -> None:
    witnesses = log(
        (110.0, "MODIFIED", system_pod("web-1")), (111.0, "ADDED", system_pod("web-2")), (112.0, "DELETED", system_pod("web-1"))
    )
    assert events_of(witnesses=witnesses) == [
        (111.0, "pod", "pod web-2 on kind-worker created"),
        (112.0, "pod", "pod web-1 on kind-worker deleted"),
    ]


def test_new_holder_of_a_lease_is_an_event_and_a_renewal_is_not() -> None:
    system = log(
        (90.0, "ADDED", lease("kube-scheduler", "a_1")),
        (90.0, "ADDED", lease("apiserver-xyz", "apiserver-xyz_1")),
        (110.0, "MODIFIED", lease("kube-scheduler", "a_1")),
        (111.0, "MODIFIED", lease("kube-scheduler", "")),
        (112.0, "MODIFIED", lease("kube-scheduler", "a_2")),
        (113.0, "MODIFIED", lease("apiserver-xyz", "apiserver-xyz_2")),
    )
    assert events_of(system) == [
        (111.0, "leader", "leader of kube-scheduler is nobody"),
        (112.0, "leader", "leader of kube-scheduler is a"),
    ]


def test_changes_of_nodes_are_events() -> None:
    nodes = log(
        (90.0, "ADDED", node()),
        (110.0, "MODIFIED", node(unschedulable=True)),
        (111.0, "MODIFIED", node(ready="False", unschedulable=True)),
        (112.0, "MODIFIED", node(ready="Unknown", unschedulable=True)),
        (113.0, "MODIFIED", node("v1.37.2", unschedulable=True)),
        (114.0, "MODIFIED", node("v1.37.2")),
        (115.0, "MODIFIED", node("v1.37.2")),
        (116.0, "ADDED", node("v1.37.2", name="new")),
        (117.0, "DELETED", node("v1.37.2")),
    )
    assert events_of(nodes=nodes) == [
        (110.0, "node", "kind-worker cordoned"),
        (111.0, "node", "kind-worker NotReady"),
        (112.0, "node", "kind-worker NotReady (silent)"),
        (113.0, "node", "kind-worker Ready"),
        (113.0, "version", "kubelet of kind-worker is v1.37.2"),
        (114.0, "node", "kind-worker uncordoned"),
        (116.0, "node", "new joined"),
        (116.0, "node", "new Ready"),
        (116.0, "version", "kubelet of new is v1.37.2"),
        (117.0, "node", "kind-worker deleted"),
    ]


def test_events_of_all_logs_are_in_order_of_time() -> None:
    system = log((90.0, "ADDED", static("a")), (130.0, "MODIFIED", static("b")))
    nodes = log((90.0, "ADDED", node()), (120.0, "MODIFIED", node(ready="False")))
    assert [at for at, *_ in events_of(system, nodes, log((125.0, "ADDED", system_pod("web-1"))))] == [120.0, 125.0, 130.0]


def test_versions_have_an_entry_for_the_beginning_and_each_change() -> None:
    nodes = log(
        (90.0, "ADDED", node(name="b")),
        (90.1, "ADDED", node()),
        (115.0, "MODIFIED", node(ready="False")),
        (120.0, "MODIFIED", node("v1.37.2")),
    )
    system = log((91.0, "ADDED", proxy("v1.36.3")), (92.0, "ADDED", lease("kube-scheduler", "a")))
    old, new = {"b": "v1.36.3", NODE: "v1.36.3"}, {"b": "v1.36.3", NODE: "v1.37.2"}
    proxies = {"b": "", NODE: "v1.36.3"}
    entries = versions(nodes, system, [(95.0, "v1.36.3"), (110.0, "v1.37.2")], BEGAN)
    assert [(each.at, each.server, each.kubelets, each.proxies) for each in entries] == [
        (100.0, "v1.36.3", old, proxies),
        (110.0, "v1.37.2", old, proxies),
        (120.0, "v1.37.2", new, proxies),
    ]


def test_kube_proxy_that_does_not_run_has_no_version() -> None:
    system = log(
        (90.0, "ADDED", proxy("v1.36.3")),
        (110.0, "DELETED", proxy("v1.36.3")),
        (111.0, "ADDED", proxy("v1.37.2", uid="p2", state="waiting")),
        (112.0, "MODIFIED", proxy("v1.37.2", uid="p2")),
    )
    entries = versions(log((90.0, "ADDED", node())), system, [], BEGAN)
    assert [(each.at, each.proxies[NODE]) for each in entries] == [(100.0, "v1.36.3"), (110.0, ""), (112.0, "v1.37.2")]
    assert {each.server for each in entries} == {""}


def test_version_of_kube_proxy_is_that_of_its_running_image() -> None:
    assert proxy_version(proxy("v1.37.2", image="registry.k8s.io/kube-proxy:v1.36.3")) == "v1.36.3"
    assert proxy_version(proxy("v1.37.2", image="sha256:0011")) == "v1.37.2"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("registry.k8s.io/kube-proxy:v1.37.2", "v1.37.2"),
        ("localhost:5000/kube-proxy", ""),
        ("localhost:5000/kube-proxy:v1.37.2@sha256:aa", "v1.37.2"),
        ("sha256:aa", ""),
        ("", ""),
    ],
)
def test_tag_of_an_image(image: str, wanted: str) -> None:
    assert tag(image) == wanted


def test_only_the_control_plane_load_balancers_and_kept_dns_sockets_have_an_allowance() -> None:
    allowances = {key: [allowed(key[0], number, reuse=key[1]) for number in (0, 1, 3)] for key in ALLOWANCES}
    seconds = {key: [each.seconds for each in of_key] for key, of_key in allowances.items() if of_key[1].seconds}
    assert seconds == {
        ("DNS", True): [15, 15, 15],
        **{("LoadBalancer", reuse): [20, 20, 20] for reuse in (False, True)},
        **{(kind, reuse): [10, 180, 10] for kind in ("API server", "API proxy") for reuse in (False, True)},
    }
    assert set(allowances) == {(kind, reuse) for kind in get_args(Kind) if kind != "URL" for reuse in (False, True)}
    assert all(each.reason for of_key in allowances.values() for each in of_key)
