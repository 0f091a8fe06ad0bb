"""Making upstream's tests ready for a cluster: built, their images on its nodes, their namespaces within reach of the faults."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.text import some
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.core.run import RUN_LABEL
from kubechain.faults.admission_policies import Mutation, Stuck
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import Testbed
from kubechain.faults.upstream.run import LIMIT, TESTS, UpstreamTests
from kubechain.images import e2e_tests

QUERY_SECONDS = 60.0
# Upstream's label of the namespaces that its tests make.
UPSTREAM_LABEL = "e2e-run"


def prepare(lab: Testbed, version: str, progress: Progress) -> UpstreamTests:
    """Return upstream's tests for the lab's cluster, on which, while it is whole, every one of them has passed.

    Raises:
        SetupError: they cannot be built or loaded.
        HarnessError: one did not pass, so that nothing could be learned from it.

    """
    cluster = lab.cluster
    program = e2e_tests.program(version, lab.store, progress)
    image = e2e_tests.image(version, cluster.docker, lab.store, progress)
    with progress.step("upstream's images on the nodes"):
        cluster.load([image], lab.store)
        names = e2e_tests.replaceable(_asked(program, "--list-images").split())
        for node in cluster.nodes():
            lab.on(node, as_names(f"docker.io/{image}", names))
    within_reach(lab)
    known = full_names(yaml.safe_load(_asked(program, "--list-conformance-tests")), TESTS)
    tests = UpstreamTests(program, Path(cluster.kubeconfig_path), Path(cluster.kubectl_path), known)
    with progress.step("upstream's tests on the whole cluster"):
        folder = lab.folder / "upstream"
        bad = [f"{test} ({outcome})" for test, outcome in tests.run(folder).items() if outcome != "passed"]
        tidy(lab)
    if bad:
        raise HarnessError(
            f"upstream's tests do not pass on a whole cluster within {LIMIT} s: {', '.join(bad)}; see upstream/ among the results"
        )
    return tests


def _asked(program: Path, question: str) -> str:
    return check([program, question], timeout=QUERY_SECONDS, code=ExitCode.IMAGES, doing=f"e2e.test {question}")


def as_names(image: str, names: Sequence[str]) -> str:
    """Return a shell script that gives an image of a node further names, but no name that another image has.

    Names of public images are for the nodes alone: the engine of the machine must not take one for the other.
    """
    listed = " ".join(shlex.quote(name) for name in names)
    there = 'ctr -n k8s.io images list -q "name==$name" | grep -q .'
    return f'for name in {listed}; do {there} || ctr -n k8s.io images tag {shlex.quote(image)} "$name" || exit 1; done'


def full_names(listed: Sequence[Any], wanted: Sequence[str]) -> dict[str, str]:
    """Return Testname -> full name of the wanted tests, out of the list of all conformance tests.

    Raises:
        HarnessError: one is not in it.

    """
    known = {str(each["testname"]): str(each["codename"]) for each in listed}
    missing = [test for test in wanted if test not in known]
    if missing:
        raise HarnessError(f"upstream has no tests of these names: {'; '.join(missing)}")
    return {test: known[test] for test in wanted}


def within_reach(lab: Testbed) -> None:
    """Let the faults at admission, which are for the namespaces of the suite, reach those of upstream's tests too."""
    run_id = lab.chain_factory.labels[RUN_LABEL]
    path = f'"/metadata/labels/" + jsonpatch.escapeKey("{RUN_LABEL}")'
    labels = {UPSTREAM_LABEL: "any"}
    sample = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubechain-sample", "labels": labels}}
    policy = Mutation(
        "kubechain-upstream",
        "Namespace",
        f'[JSONPatch{{op: "add", path: {path}, value: "{run_id}"}}]',
        sample,
        lambda made: made.labels.get(RUN_LABEL) == run_id,
        f"has(object.metadata.labels) && '{UPSTREAM_LABEL}' in object.metadata.labels",
        everywhere=True,
    )
    policy.inject(lab)
    lab.until(
        "upstream's namespaces",
        Condition[Testbed]("namespaces of upstream labelled as the suite's", policy.took),
        timeouts.INJECTED,
    )


def tidy(lab: Testbed, fault: Fault | None = None) -> None:
    """Delete what upstream's tests have left, and wait until it has gone; Unmet if it does not go."""

    def gone(lab: Testbed) -> Result:
        left = lab.api.list("Namespace", selector=UPSTREAM_LABEL).items
        for each in left:
            if not each.deleting:
                lab.api.delete("Namespace", "", each.name, missing_ok=True)
        if left and fault and isinstance(fault.injection, Stuck):
            # What was not yet being deleted when the fault was healed is kept by it still.
            fault.injection.heal(lab)
        return expect(not left, f"{some(each.name for each in left)} still there")

    lab.until("upstream's namespaces", Condition[Testbed]("namespaces of upstream gone", gone), timeouts.NAMESPACE_GONE)
