"""The Jobs that `make in-cluster` tries on a kind cluster, and what it takes for a problem."""

from __future__ import annotations

import pytest

from reports.deploy.files import NAMESPACE
from tests.chart import models
from tests.in_cluster.__main__ import Ended
from tests.in_cluster.cases import CASES, Case, jobs, of_case, pod_spec
from tests.test_deploy import claims

BY_ID = {case.id: case for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_objects_of_a_case_are_those_of_kubernetes(case: Case) -> None:
    found = of_case(case, "nginx:1", "runner:1", claims())
    unknown = [each for each in found if each["kind"] == "Secret"]
    assert [problem for each in found if each not in unknown for problem in models.problems(each)] == []
    assert (found[0]["kind"], found[0]["metadata"]["name"]) == ("Namespace", NAMESPACE)
    assert {pod_spec(job)["containers"][0]["imagePullPolicy"] for job in jobs(found)} == {"Never"}


def test_cases_differ_in_what_goes_wrong() -> None:
    made = {name: of_case(BY_ID[name], "nginx:1", "runner:1", claims()) for name in BY_ID}
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
    assert left.problems(BY_ID["account-deleted"]) == []
    assert Ended([0], "chain holds", 1.0, left.left).problems(BY_ID["holds"]) == ["left kubechain-1-main-0"]
    assert Ended([0], "?", 1.0, []).problems(BY_ID["holds"]) == ["expected 'chain holds', got ?"]
