"""Prepares upstream's tests: builds them, loads their images on the nodes, and lets the faults apply to their namespaces."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kubechain.cluster.kind import Cluster
from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.text import some
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.core.run import RUN_LABEL
from kubechain.faults.admission_policies import Mutation, StuckDeletion
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import Testbed
from kubechain.faults.upstream.run import LIMIT, TESTS, UpstreamTests
from kubechain.images import e2e_tests

QUERY_SECONDS = 60.0
# The label of the namespaces that upstream's tests create.
UPSTREAM_LABEL = "e2e-run"


def prepare(testbed: Testbed, version: str, progress: Progress) -> UpstreamTests:
    """Return upstream's tests for the testbed, after all of them have passed on it while no fault is injected.

    Raises:
        SetupError: the tests cannot be built, or their images cannot be loaded.
        HarnessError: a test does not pass on the unbroken cluster, so that its outcome under a fault says nothing.

    """
    cluster = testbed.cluster
    program = provide(cluster, version, testbed.store, progress)
    label_namespaces(testbed)
    tests = UpstreamTests(program, Path(cluster.kubeconfig_path), Path(cluster.kubectl_path), tests_of(program, TESTS))
    with progress.step("upstream's tests on the unbroken cluster"):
        folder = testbed.folder / "upstream"
        failed = [f"{test} ({outcome})" for test, outcome in tests.run(folder).items() if outcome != "passed"]
        tidy(testbed)
    if failed:
        raise HarnessError(
            f"upstream's tests do not pass on the unbroken cluster within {LIMIT} s: {', '.join(failed)}; "
            "see their logs in upstream/ in the results folder"
        )
    return tests


def provide(cluster: Cluster, version: str, store: BuildCache, progress: Progress) -> Path:
    """Return the path of the program e2e.test, after the images of its Pods are on every node; build what the cache lacks.

    Raises:
        SetupError: the tests cannot be built, or their images cannot be loaded.

    """
    program = e2e_tests.program(version, store, progress)
    image = e2e_tests.image(version, cluster.docker, store, progress)
    with progress.step("upstream's images on the nodes"):
        cluster.load([image], store)
        names = e2e_tests.replaceable(_output(program, "--list-images").split())
        for node in cluster.nodes():
            cluster.docker.call("exec", node, "sh", "-c", as_names(f"docker.io/{image}", names))
    return program


def tests_of(program: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Return Testname -> full name of the wanted tests in the program e2e.test.

    Raises:
        HarnessError: the program does not have a wanted test.

    """
    return full_names(yaml.safe_load(_output(program, "--list-conformance-tests")), wanted)


def _output(program: Path, option: str) -> str:
    return check([program, option], timeout=QUERY_SECONDS, code=ExitCode.IMAGES, doing=f"e2e.test {option}")


def as_names(image: str, names: Sequence[str]) -> str:
    """Return a shell script that tags an image of a node with further names, but skips names that the node already has.

    The public names exist on the nodes only, so that the machine's container engine never uses this image in their place.
    """
    listed = " ".join(shlex.quote(name) for name in names)
    there = 'ctr -n k8s.io images list -q "name==$name" | grep -q .'
    return f'for name in {listed}; do {there} || ctr -n k8s.io images tag {shlex.quote(image)} "$name" || exit 1; done'


def full_names(listed: Sequence[Any], wanted: Sequence[str]) -> dict[str, str]:
    """Return Testname -> full name of the wanted tests; `listed` are the entries that --list-conformance-tests prints.

    Raises:
        HarnessError: a wanted test is not listed.

    """
    known = {str(entry["testname"]): str(entry["codename"]) for entry in listed}
    missing = [test for test in wanted if test not in known]
    if missing:
        raise HarnessError(f"upstream's program has no tests with these names: {'; '.join(missing)}")
    return {test: known[test] for test in wanted}


def label_namespaces(testbed: Testbed) -> None:
    """Label the namespaces of upstream's tests as those of the suite, so that faults at admission apply to them."""
    run_id = testbed.chain_factory.labels[RUN_LABEL]
    path = f'"/metadata/labels/" + jsonpatch.escapeKey("{RUN_LABEL}")'
    labels = {UPSTREAM_LABEL: "any"}
    sample = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubechain-sample", "labels": labels}}
    policy = Mutation(
        "kubechain-upstream",
        "Namespace",
        f'[JSONPatch{{op: "add", path: {path}, value: "{run_id}"}}]',
        sample,
        lambda namespace: namespace.labels.get(RUN_LABEL) == run_id,
        f"has(object.metadata.labels) && '{UPSTREAM_LABEL}' in object.metadata.labels",
        everywhere=True,
    )
    policy.inject(testbed)
    testbed.until(
        "upstream's namespaces",
        Condition[Testbed]("upstream's namespaces to get the label of the suite", policy.in_effect),
        timeouts.INJECTED,
    )


def tidy(testbed: Testbed, fault: Fault | None = None) -> None:
    """Delete the namespaces that upstream's tests leave; Unmet if one is still there after the timeout."""

    def deleted(testbed: Testbed) -> Result:
        left = testbed.api.list("Namespace", selector=UPSTREAM_LABEL).items
        for namespace in left:
            if not namespace.deleting:
                testbed.api.delete("Namespace", "", namespace.name, missing_ok=True)
        if left and fault and isinstance(fault.injection, StuckDeletion):
            # Objects that were not being deleted when the fault was healed still have its finalizer.
            fault.injection.heal(testbed)
        return expect(not left, f"{some(namespace.name for namespace in left)} still there")

    testbed.until(
        "upstream's namespaces", Condition[Testbed]("no namespace of upstream's tests", deleted), timeouts.NAMESPACE_GONE
    )
