"""The Jobs that `make in-cluster` tries on a kind cluster, and what it takes for a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.deploy.files import NAMESPACE
from tests.chart import models
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.cluster import CONTROLLERS, cluster
from tests.hostile.furniture import namespace
from tests.in_cluster import pods
from tests.in_cluster.__main__ import Ended, requests, until
from tests.in_cluster.cases import CASES, Case, jobs, of_case, pod_spec, values_of
from tests.rights.account import Admin
from tests.test_deploy import claims

BY_ID = {case.id: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_objects_of_a_case_are_those_of_kubernetes(case: Case) -> None:
    found = of_case(case, values_of(case, "nginx:1", "runner:1"), claims())
    unknown = [each for each in found if each["kind"] == "Secret"]
    assert [problem for each in found if each not in unknown for problem in models.problems(each)] == []
    assert (found[0]["kind"], found[0]["metadata"]["name"]) == ("Namespace", NAMESPACE)
    assert {pod_spec(job)["containers"][0]["imagePullPolicy"] for job in jobs(found)} == {"Never"}


def test_cases_differ_in_what_goes_wrong() -> None:
    made = {case.id: of_case(case, values_of(case, "nginx:1", "runner:1"), claims()) for case in CASES}
    assert [job["metadata"]["name"] for job in jobs(made["two-at-once"])] == ["kubechain", "other"]
    assert not any(each["kind"].endswith("Binding") for each in made["no-rights"])
    (volume,) = [each for each in pod_spec(jobs(made["volume-full"])[0])["volumes"] if each["name"] == "results"]
    assert volume["emptyDir"]["medium"] == "Memory"
    (container,) = pod_spec(jobs(made["bucket-unreachable"])[0])["containers"]
    assert {"secretRef": {"name": "bucket"}} in container["envFrom"]
    assert {"name": "KUBECHAIN_UPLOAD", "value": "s3://reports/night"} in container["env"]


def test_problems_are_what_is_not_as_the_case_states() -> None:
    good = Ended([2, 0], "chain holds: 3 claims in 1 s", 40.0, [])
    assert good.problems(BY_ID["evicted"]) == []
    assert good.problems(BY_ID["holds"]) == ["expected the exit codes ((0,),), got [2, 0]"]
    left = Ended([10], "no verdict: the account is gone", 40.0, ["kubechain-1-main-0"])
    assert left.problems(BY_ID["account-deleted-0"]) == []
    assert Ended([0], "chain holds", 1.0, left.left).problems(BY_ID["holds"]) == ["left kubechain-1-main-0"]
    assert Ended([0], "?", 1.0, []).problems(BY_ID["holds"]) == ["expected 'chain holds', got ?"]


def test_requests_are_those_of_the_line_of_json() -> None:
    assert requests('chain holds\n{"verdict": "x", "requests": 120}\n') == 120
    assert (requests('{"verdict": "x", "requests": null}'), requests("no such Pod"), requests("")) == (0, 0, 0)


def pod(name: str, began: str, code: int) -> dict[str, Any]:
    end = {"exitCode": code, "startedAt": began, "message": f"the end of {name}"}
    labels = {"batch.kubernetes.io/job-name": "kubechain"}
    status: dict[str, Any] = {"phase": "Failed", "containerStatuses": [{"name": "kubechain", "state": {"terminated": end}}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"nodeName": "elsewhere", "containers": []},
        "status": status,
    }


def test_end_of_a_pod_that_is_gone_is_known(tmp_path: Path) -> None:
    with cluster(tmp_path, with_token(tmp_path), lambda made: made.off.update(CONTROLLERS)) as made:
        # kubectl asks for no bookmarks, and prints those that come.
        made.api.bookmarks = 0
        admin = Admin(made.kubeconfig, CONTEXT)
        made.store.create(namespace(NAMESPACE))
        with pods.watched(admin, tmp_path / "pods.json") as watched:
            for name, began, code in (("b", "2027-01-01T00:01:00Z", 0), ("a", "2027-01-01T00:00:00Z", 2)):
                body = pod(name, began, code)
                made.store.create(body)
                made.store.modify(("Pod", NAMESPACE, name), lambda each, body=body: each.update(status=body["status"]))
            assert until(lambda: len(watched.ends()) == 2, 60.0), watched.path.read_text()
            made.store.remove(("Pod", NAMESPACE, "a"))
            assert [each["metadata"]["name"] for each in pods.listed(admin)] == ["b"]
            assert [(end["exitCode"], end["message"]) for end in watched.ends()] == [(2, "the end of a"), (0, "the end of b")]


def test_state_that_is_not_whole_is_left_out() -> None:
    state = json.dumps({"metadata": {"uid": "u"}, "status": {}}, indent=4)
    assert len(pods.documents(f"{state}\n{state}\n{state[:20]}")) == 2
    assert pods.documents("") == []
