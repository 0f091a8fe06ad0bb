"""The pieces of evidence on a claim: what changed last, endpoints, answers, refusals, rules; and how the page shows them."""

from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page
from kubechain.diagnostics import answer_tables, evidence, node_rules, service_endpoints
from kubechain.diagnostics.evidence import MOST_OF_CLAIM, MOST_OF_SECTION, Occasion, Section, bounded
from kubechain.diagnostics.last_changes import MOST_LINES, MOST_OBJECTS, last_changes
from kubechain.kube.objects import KubeObject
from kubechain.kube.refusals import MOST, REFUSALS, Refusals
from kubechain.observe.changes import Change
from kubechain.observe.latency import ANNOTATION
from kubechain.workload.last_answers import MOST as MOST_ANSWERS
from kubechain.workload.last_answers import LastAnswers
from reports import evidence_view
from tests.fakes import changed, endpoint_slice, entry, healthy, not_ready, pod, service, state
from tests.test_evidence import chain_of, logged

KINDS = ("Pod", "Service")


def test_last_change_is_the_difference_of_the_last_two_versions_newest_first() -> None:
    newer = changed(not_ready(pod(0)), "metadata.resourceVersion", "999")
    log = logged(("ADDED", service()), ("ADDED", pod(1)), ("ADDED", pod(0)), ("MODIFIED", newer), ("DELETED", pod(1)))
    lines = last_changes(log, KINDS, log[-1].now + 2)
    assert lines[0] == f"Pod/{pod(1).name} was deleted 2.0 s before the end of the claim"
    assert lines[1] == f"Pod/{pod(0).name} changed 3.0 s before the end of the claim, version 2:"
    assert {line for line in lines[2:] if line[0] in "+-"} >= {"-  - status: 'True'", "+  - status: 'False'"}
    assert lines[-1] == "Service/web has not changed since it was first seen, 6.0 s before the end of the claim"
    assert "999" not in "\n".join(lines)


def test_versions_in_which_nothing_but_the_marks_of_the_run_changes_are_left_out() -> None:
    marked = changed(pod(0), "metadata.annotations", {ANNOTATION: "7"})
    again = changed(changed(marked, "metadata.resourceVersion", "9"), "metadata.annotations", {ANNOTATION: "8"})
    (line,) = last_changes(logged(("ADDED", pod(0)), ("MODIFIED", marked), ("MODIFIED", again)), ["Pod"], 9.0)
    assert line.startswith(f"Pod/{pod(0).name} has not changed since it was first seen")


def test_last_changes_are_bounded_and_redacted() -> None:
    many = {f"key{number}": "x" for number in range(MOST_LINES * 2)}
    secret = {**many, "note": "password=hunter2hunter2"}
    newer = changed(changed(pod(0), "metadata.annotations", secret), "metadata.resourceVersion", "9")
    log = logged(("ADDED", pod(0)), ("MODIFIED", newer))
    lines = last_changes(log, KINDS, 0)
    assert len(lines) == MOST_LINES + 2
    assert lines[-1].endswith("more lines")
    assert "hunter2" not in "\n".join(last_changes(log, KINDS, 0))
    pods: list[tuple[Change, KubeObject]] = [("ADDED", pod(number)) for number in range(MOST_OBJECTS + 3)]
    assert last_changes(logged(*pods), KINDS, 0)[-1] == "... and 3 objects that changed earlier"


def test_endpoints_are_beside_the_pods_that_no_slice_lists() -> None:
    late = changed(not_ready(pod(1)), "metadata.resourceVersion", "8")
    lines = service_endpoints.lines(state(service(), pod(0), late, endpoint_slice(entry(pod(0)))))
    assert lines[0].startswith("Service web: NodePort 10.96.0.9, TCP 80 -> ")
    assert lines[1:3] == ["  EndpointSlice web-x1: TCP 8080", f"    10.244.0.5: ready; Pod {pod(0).name}, on no Node"]
    assert lines[-1] == f"  in no EndpointSlice: Pod {pod(1).name}, not ready"
    assert "  no EndpointSlice" in service_endpoints.lines(state(service(), pod(0)))


def test_table_has_a_row_for_each_place_and_a_column_for_each_backend() -> None:
    pages = [Page("u", 200, backend="web-0"), Page("u", 200, backend="web-1"), Page("u", 200, backend="web-0")]
    found = {"backends behind each node": {"node-0": pages, "node-1": [Page("u", failure="timeout")]}, "others": [Page("u", 503)]}
    assert answer_tables.tables(found, ["backends behind each node"]).splitlines() == [
        "backends behind each node:",
        "  asked   timeout  web-0  web-1",
        "  node-0        0      2      1",
        "  node-1        1      0      0",
    ]
    assert "status 503" in answer_tables.tables(found, found)
    assert (
        answer_tables.tables({"x": {"node-0": {"HOME": "/root"}}, "y": {"HOME": "/root"}, "z": "text", "n": None}, "xyzn") == ""
    )


def test_table_is_bounded() -> None:
    places = {f"node-{number}": [Page("u", 200, backend=f"web-{number:02d}")] for number in range(100)}
    lines = answer_tables.tables({"x": places}, ["x"]).splitlines()
    assert lines[-2:] == ["  ... and 40 more places", "  ... and 88 more answers"]


def test_names_have_what_dns_answered() -> None:
    found = {"DNS from pod client": [Answer("web", "NOERROR", ("10.0.0.1",)), Answer("no", "NXDOMAIN")], "pages": [Page("u")]}
    assert answer_tables.names(found, found).splitlines() == [
        "DNS from pod client: web -> NOERROR 10.0.0.1",
        "DNS from pod client: no -> NXDOMAIN",
    ]
    assert answer_tables.names(found, ["pages"]) == ""


def test_last_answers_forget_what_was_asked_longest_ago() -> None:
    last = LastAnswers()
    for number in range(MOST_ANSWERS + 1):
        last.keep("first", number)
        last.keep(str(number), number)
    assert list(last.kept)[-2:] == ["first", str(MOST_ANSWERS)]
    assert len(last.kept) == MOST_ANSWERS


def test_refusals_are_kept_but_not_those_of_objects_that_do_not_exist() -> None:
    kept = Refusals()
    kept.add("GET", "/api/v1/namespaces/ns/pods/x", 404, "gone")
    kept.add("POST", "/api/v1/namespaces/ns/pods?dryRun=All", 403, "API server: 403 Forbidden: no")
    (found,) = kept.since(0)
    assert (found.request, found.path, found.status) == ("create pods", "/api/v1/namespaces/ns/pods", 403)
    assert kept.since(found.at + 1) == []
    for _ in range(MOST * 2):
        kept.add("GET", "/version", 500, "")
    assert len(kept.since(0)) == MOST


def test_evidence_of_a_claim_has_what_it_asked_and_what_was_refused() -> None:
    chain = chain_of(lambda _method, _path, _body: "line", *healthy())
    chain.last_answers.keep("pages", [Page("http://a", 200, backend="web-0")])
    chain.last_answers.keep("of another claim", [Page("http://b", 200, backend="web-9")])
    REFUSALS.add("POST", "/api/v1/namespaces/ns/pods", 409, "API server: 409 Conflict: token=s3cr3ts3cr3t")
    found = {each.title: each.text for each in evidence.evidence(chain, Occasion(REFUSALS.kept[-1].at, ["pages"], Link.DNS))}
    assert "web-0" in found["who answered where"]
    assert "web-9" not in found["who answered where"]
    assert "create pods (/api/v1/namespaces/ns/pods): API server: 409" in found["requests that the API server refused"]
    assert "s3cr3t" not in str(found)
    assert "rules of the Nodes" not in found
    assert "Service web: NodePort" in found["endpoints"]
    assert list(found)[-1] == "objects"


@pytest.mark.parametrize(("link", "asked"), [(Link.CLUSTERIP, True), (Link.PODS, False)])
def test_rules_of_the_nodes_are_those_that_name_a_service_of_the_namespace(tmp_path: Path, link: Link, asked: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    docker = tmp_path / "docker"
    lines = [f'-A KUBE-SERVICES -m comment --comment "ns/web:http {n}"' for n in range(node_rules.MOST_RULES + 2)]
    output = "\n".join([*lines, '-A KUBE-SERVICES -m comment --comment "other-ns/web:http"', "COMMIT"])
    away = "[ $2 = node-1 ] && { echo no such container >&2; exit 1; }"
    docker.write_text(f"#!/bin/sh\n{away}\ncat <<'E'\n{output}\nE\n")
    docker.chmod(0o755)
    chain = chain_of(lambda _method, _path, _body: "", pod(0))
    nodes = tuple(KubeObject({"kind": "Node", "metadata": {"name": f"node-{number}"}}) for number in range(6))
    object.__setattr__(chain, "nodes", nodes)
    found = {each.title: each.text for each in evidence.evidence(chain, Occasion(link=link, docker=docker))}
    assert ("rules of the Nodes" in found) == asked
    if asked:
        text = found["rules of the Nodes"]
        assert '  -A KUBE-SERVICES -m comment --comment "ns/web:http 0"' in text
        assert "  ... and 2 more rules" in text
        assert "other-ns" not in text
        assert "node-1: no rules could be read: no such container" in text
        assert text.endswith("... and 2 more Nodes")


def test_sections_are_bounded_and_keep_the_end_of_what_is_in_the_order_of_time() -> None:
    long = "first\n" + "x" * MOST_OF_SECTION + "\nlast"
    head, log = bounded([Section("objects", long), Section("log of web-0", long)])
    assert head.text.startswith("first")
    assert head.text.endswith("... 11 characters are left out")
    assert log.text.startswith("... 11 characters are left out")
    assert log.text.endswith("last")
    assert bounded([Section("objects", "short")]) == [Section("objects", "short")]
    every = bounded([Section(f"log of {number}", long) for number in range(10)])
    assert sum(len(each.text) for each in every) < MOST_OF_CLAIM + 600


def test_page_reads_the_sections_and_the_owner_graph_of_a_file() -> None:
    graph = "\n".join(evidence.graph(state(*healthy())))
    rest = "# endpoints\nService web\n\n# log of web-0\na\n\n# comment\n\n# objects\nkind: Pod\n"
    text = f"It MUST.\nexpected a\n\n# owner graph\n{graph}\n\n{rest}"
    parts = evidence_view.parts(text)
    assert [(each.title, each.folded) for each in parts] == [
        ("owner graph", False), ("endpoints", False), ("log of web-0", True), ("objects", True),
    ]  # fmt: skip
    assert parts[2].text == "a\n\n# comment"
    deployment = parts[0].roots[0]
    assert (deployment.kind, deployment.name, deployment.summary, deployment.fine) == ("Deployment", "web", "2/2 ready", True)
    assert [below.kind for below in deployment.below[0].below] == ["Pod", "Pod"]
    assert [each.title for each in evidence_view.parts("no section")] == [""]


@pytest.mark.parametrize("graph", ["not a graph", "    Pod/x (ready)", "Pod/x (y)\nPod/z"])
def test_text_that_is_no_graph_stays_text(graph: str) -> None:
    (part,) = evidence_view.parts(f"\n\n# owner graph\n{graph}")
    assert (part.roots, part.text) == ([], graph)


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("Pod/a (ready, on n)", True), ("Pod/a (no container runs, on n)", False), ("ReplicaSet/a (1/2 ready)", False),
        ("Service/a (NodePort 10.0.0.1)", None), ("EndpointSlice/a (no address)", False), ("Endpoints/a (1/1 ready)", True),
        ("EndpointSlice/a (0/2 ready)", False),
    ],
)  # fmt: skip
def test_object_is_fine_by_its_summary(line: str, fine: bool | None) -> None:  # noqa: FBT001  # a parameter of pytest
    (root,) = evidence_view.tree(line)
    assert root.fine is fine
