"""What kubectl prints is read as it stands there, and compared with what the API holds."""

import pytest

from kubechain.conditions.printed import (
    Printed,
    described,
    describes,
    describes_events,
    listed,
    nothing_found,
    prints_all,
    prints_text,
    rows,
)
from kubechain.kube.objects import KubeObject
from tests import fakes
from tests.fakes import changed, state, thing

TWO_TABLES = """\
NAME                  READY   UP-TO-DATE   AVAILABLE   AGE
deployment.apps/web   2/2     2            2           1m

NAME                           DESIRED   CURRENT   READY   AGE
replicaset.apps/web-5d4f       2         2         2       1m
"""
PODS = """\
NAME           READY   STATUS    RESTARTS     AGE   NOMINATED NODE
web-5d4f-0     1/1     Running   1 (5s ago)   1m    <none>
"""
DESCRIPTION = """\
Name:           web-5d4f
Namespace:      a
Labels:         app=web
                pod-template-hash=5d4f
Controlled By:  Deployment/web
Replicas:       2 current / 2 desired
Pod Template:
  Labels:  app=other
Events:
  Type    Reason     Age   From   Message
  ----    ------     ----  ----   -------
  Normal  Scheduled  5s    a      Successfully assigned a: to b
  Normal  Pulled     5s    b      image
"""


def printed(stdout: str, *objects: KubeObject, stderr: str = "") -> Printed:
    return Printed(stdout, stderr, state(*objects))


def test_rows_of_several_tables_are_told_apart_by_their_columns() -> None:
    found = rows(TWO_TABLES)
    assert found["deployment.apps/web"]["UP-TO-DATE"] == "2"
    assert found["replicaset.apps/web-5d4f"]["DESIRED"] == "2"
    (pod,) = rows(PODS).values()
    assert (pod["RESTARTS"], pod["STATUS"], pod["NOMINATED NODE"]) == ("1 (5s ago)", "Running", "<none>")
    assert rows("") == {}


def test_fields_of_a_description_have_their_lines() -> None:
    fields = described(DESCRIPTION)["web-5d4f"]
    assert fields["Labels"] == ["app=web", "pod-template-hash=5d4f"]
    assert fields["Controlled By"] == ["Deployment/web"]
    assert [line.split()[1] for line in fields["Events"]] == ["Reason", "------", "Scheduled", "Pulled"]
    assert [*described(DESCRIPTION + "\n\nName:   b\nEvents:  <none>\n")] == ["web-5d4f", "b"]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "<none>"), (1, "a0"), (3, "a0,a1,a2"), (5, "a0,a1,a2 + 2 more...")], ids=["none", "1", "3", "5"]
)
def test_column_shows_three_addresses(count: int, shown: str) -> None:
    assert listed(f"a{number}" for number in range(count)) == shown


def test_counts_that_are_printed_are_those_of_the_api() -> None:
    objects = [fakes.deployment(), fakes.replica_set()]
    assert prints_all("Deployment", "ReplicaSet")(printed(TWO_TABLES, *objects)).met
    one_ready = changed(objects[0], "status.readyReplicas", 1)
    result = prints_all("Deployment", "ReplicaSet")(printed(TWO_TABLES, one_ready, objects[1]))
    assert str(result) == "expected deployment.apps/web with READY 1/2, got 2/2"


def test_row_that_is_missing_or_too_much_is_named() -> None:
    result = prints_all("Deployment", "ReplicaSet")(printed(TWO_TABLES, fakes.deployment()))
    assert str(result) == "expected deployment.apps/web, got deployment.apps/web, replicaset.apps/web-5d4f"
    assert str(prints_all("Service")(printed(""))) == "expected an object of each kind Service, got none"


def test_ready_containers_count_sidecars_that_last() -> None:
    pod = fakes.pod(0)
    statuses = [{**pod.at("status.containerStatuses")[0], "ready": True}]
    pod = changed(changed(pod, "status.containerStatuses", statuses), "spec.initContainers", [{"name": "once"}])
    assert prints_all("Pod")(printed(PODS, pod)).met
    pod = changed(pod, "spec.initContainers", [{"name": "mesh", "restartPolicy": "Always"}])
    assert str(prints_all("Pod")(printed(PODS, pod))) == "expected web-5d4f-0 with READY 1/2, got 1/1"


def table(headings: str, *cells: str) -> str:
    """Return a table with one row, as kubectl prints it."""
    columns = [*zip(headings.split(), cells, strict=True)]
    wide = [max(map(len, column)) + 3 for column in columns]
    lines = ["".join(text.ljust(size) for text, size in zip(line, wide, strict=True)) for line in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def test_ports_and_addresses_are_printed_as_the_api_holds_them() -> None:
    service = table(
        "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE", "web", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP", "1m"
    )
    assert prints_all("Service")(printed(service, fakes.service())).met
    other = printed(service.replace("30080", "30081"), fakes.service())
    assert str(prints_all("Service")(other)) == "expected web with PORT(S) 80:30080/TCP, got 80:30081/TCP"
    pods = [fakes.pod(0), fakes.pod(1)]
    ports = table("NAME ENDPOINTS AGE", "web", "10.244.0.5:8080,10.244.1.5:8080", "1m")
    assert prints_all("Endpoints")(printed(ports, fakes.endpoints(*pods))).met
    assert not prints_all("Endpoints")(printed(ports, fakes.endpoints(*pods[:1]))).met
    slices = table("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", "web-x1", "IPv4", "8080", "10.244.0.5,10.244.1.5", "1m")
    assert prints_all("EndpointSlice")(printed(slices, fakes.endpoint_slice(*map(fakes.entry, pods)))).met
    assert not prints_all("EndpointSlice")(printed(slices, fakes.endpoint_slice(*map(fakes.entry, pods), port=81))).met


def test_description_has_what_the_api_holds() -> None:
    replica_set = fakes.replica_set()
    assert describes("ReplicaSet")(printed(DESCRIPTION, replica_set)).met
    more = changed(replica_set, "metadata.labels", {**replica_set.labels, "team": "a"})
    result = describes("ReplicaSet")(printed(DESCRIPTION, more))
    assert str(result).startswith(
        "expected ReplicaSet web-5d4f with Labels: app=web; pod-template-hash=5d4f; team=a, got app=web"
    )
    assert not describes("ReplicaSet")(printed(DESCRIPTION.replace("Deployment/web", "Deployment/b"), replica_set)).met
    assert not describes("ReplicaSet")(printed("", replica_set)).met
    uncontrolled = changed(replica_set, "metadata.ownerReferences", [])
    result = describes("ReplicaSet")(printed(DESCRIPTION.replace("Controlled By:  Deployment/web\n", ""), uncontrolled))
    assert str(result) == "expected ReplicaSet web-5d4f with Controlled By: its controller, got none"


def event(of: KubeObject, reason: str) -> KubeObject:
    return thing("Event", f"{of.name}.{reason}", involvedObject={"uid": of.uid}, reason=reason)


def test_description_has_the_events_of_the_api() -> None:
    replica_set = fakes.replica_set()
    two = [event(replica_set, reason) for reason in ("Scheduled", "Pulled")]
    check = describes_events("ReplicaSet")
    assert check(printed(DESCRIPTION, replica_set, *two)).met
    assert describes_events("ReplicaSet", "Scheduled")(printed(DESCRIPTION, replica_set, *two)).met
    assert not describes_events("ReplicaSet", "Scheduled", "Started")(printed(DESCRIPTION, replica_set, *two)).met
    result = check(printed(DESCRIPTION, replica_set, *two, event(replica_set, "Killing")))
    assert "Events Killing, Pulled, Scheduled, got ------, Pulled, Reason, Scheduled" in str(result)
    assert not check(printed(DESCRIPTION, replica_set)).met
    assert not check(printed("", replica_set, *two)).met


def test_nothing_is_found_only_if_kubectl_says_so() -> None:
    assert nothing_found()(printed("", stderr="No resources found in a namespace.\n")).met
    assert str(nothing_found()(printed(PODS))) == "expected kubectl to print 'No resources found', got web-5d4f-0"
    assert not nothing_found()(printed("")).met


def test_text_is_looked_for_in_what_is_printed() -> None:
    assert prints_text("Welcome")(printed("<p>Welcome</p>")).met
    assert (
        str(prints_text("Welcome")(printed("", stderr="exit code 6"))) == "expected a page that says 'Welcome', got exit code 6"
    )
