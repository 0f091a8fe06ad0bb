"""What can go wrong around runs in a cluster, each with the end that docs/IN_CLUSTER.md states. Pure but for `midway`."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubechain.core.errors import ExitCode, SetupError
from kubechain.upgrade import kept_state
from kubechain.upgrade.observed import OBSERVED
from reports.deploy import files, nodes, objects, values
from reports.deploy.files import NAMESPACE, Pairs
from tests.in_cluster import pods
from tests.rights.account import Admin

Json = dict[str, Any]
ABSENT = "localhost/kubechain/absent:0"
BUCKET, SECRET = "s3://reports/night", "bucket"  # the name of a Secret
STATE, SAMPLING_SECONDS = f"{objects.NAME}-state", 600


@dataclass(frozen=True)
class Case:
    """A Job with `changes` of values and then of its objects; `midway` is done once its chain is there.

    Its containers end with `codes`, in the order of their begin, and `said` is found in their logs and messages. With `again`,
    the run leaves something, and another one removes it. With `helm`, the chart is installed in place of the objects, which are
    the same.
    """

    id: str
    codes: tuple[tuple[int, ...], ...] = ((0,),)
    said: str = "chain holds"
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    change: Callable[[list[Json]], list[Json]] = lambda found: found
    midway: Callable[[Admin], None] | None = None
    again: bool = False
    helm: bool = False


def values_of(case: Case, nginx: str, runner: str) -> Json:
    """Return the values of a case, as the chart takes them; images are never pulled."""
    images = {"nginx_image": nginx, "image": runner, "image_pull_policy": "Never"}
    return values.defaults(**{**images, "cron_job": values.CronJob(enabled=False), **case.changes})


def of_case(case: Case, given: Json, claims: Pairs) -> list[Json]:
    """Return the objects of a case with these values, the Namespace first."""
    given = {**given, nodes.NAMESPACE: NAMESPACE}
    return case.change([each for file in files.FILES for each in files.rendered(file, given, claims)])


def pod_spec(job: Json) -> Json:
    """Return the spec of the Pods of a Job."""
    return job["spec"]["template"]["spec"]


def jobs(found: Sequence[Json]) -> list[Json]:
    """Return the Jobs among objects."""
    return [each for each in found if each["kind"] == "Job"]


def _with_another_job(found: list[Json]) -> list[Json]:
    (job,) = jobs(found)
    other: Json = json.loads(json.dumps(job).replace(f"{objects.NAME}-result", "other-result"))
    other["metadata"]["name"] = "other"
    return [*found, other]


def _without_rights(found: list[Json]) -> list[Json]:
    return [each for each in found if each["kind"] not in ("ClusterRoleBinding", "RoleBinding")]


def _with_a_small_volume(found: list[Json]) -> list[Json]:
    for volume in pod_spec(jobs(found)[0])["volumes"]:
        if volume["name"] == "results":
            volume["emptyDir"] = {"medium": "Memory", "sizeLimit": "128Ki"}
    return found


def _with_keys(found: list[Json]) -> list[Json]:
    # An address of no Service: the range is that of kind.
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nobodys-key", "AWS_ENDPOINT_URL": "http://10.96.255.250"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE}, "stringData": keys}
    return [found[0], secret, *found[1:]]


def _delete_account(after: float) -> Callable[[Admin], None]:
    """Return what deletes the account of a run some seconds after its chain is there, when other claims are in the middle."""

    def act(admin: Admin) -> None:
        threading.Event().wait(after)
        admin.run("delete", "serviceaccount", objects.NAME, "--namespace", NAMESPACE)

    return act


def _evict(admin: Admin) -> None:
    (pod,) = pods.listed(admin)
    name = pod["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    admin.run("create", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction", "-f", "-", given=json.dumps(body))


def _while_it_samples(act: Callable[[Admin], None]) -> Callable[[Admin], None]:
    """Return what acts once a run around a change has kept what it has seen of it."""

    def wait(admin: Admin) -> None:
        for _ in range(SAMPLING_SECONDS):
            found = admin.run("get", "configmap", STATE, "--namespace", NAMESPACE, "--ignore-not-found", "-o", "json")
            packed = json.loads(found or "{}").get("binaryData", {}).get(kept_state.ENTRY)
            if packed and OBSERVED in json.loads(gzip.decompress(base64.b64decode(packed))):
                return act(admin)
            threading.Event().wait(1.0)
        raise SetupError(f"expected samples within {SAMPLING_SECONDS} s, got none", ExitCode.HARNESS)

    return wait


def _kill(admin: Admin) -> None:
    (pod,) = pods.listed(admin)
    admin.run("delete", "pod", pod["metadata"]["name"], "--namespace", NAMESPACE, "--grace-period=0", "--force")


AROUND = {"job": values.Job(enabled=False), "detached": values.Detached.model_validate({"enabled": True, "for": "90s"})}
GONE_ON = "chain holds; .*not observed for"
CASES = (
    Case("holds"),
    Case("helm", helm=True),
    *(Case(f"shards-{count}", codes=((0,),) * count, changes={"shards": count}) for count in (2, 4)),
    Case("two-at-once", codes=((0,), (0,)), change=_with_another_job),
    Case("evicted", codes=((2,), (0,)), midway=_evict),
    Case("change", changes=AROUND),
    Case("change-evicted", codes=((2,), (0,)), said=GONE_ON, changes=AROUND, midway=_while_it_samples(_evict)),
    # A Pod of a Job that is deleted by force stays until its container has ended: the Job controller's finalizer holds it.
    Case("change-killed", codes=((137,), (0,)), said=GONE_ON, changes=AROUND, midway=_while_it_samples(_kill)),
    *(
        Case(f"account-deleted-{after}", codes=((10, 18),), said="no verdict", midway=_delete_account(after), again=True)
        for after in (0, 4, 8, 12)
    ),
    Case("no-rights", codes=((18,),), said="no verdict: .*create deployments", change=_without_rights),
    Case("image-missing", codes=((13,),), said=ABSENT, changes={"nginx_image": ABSENT}),
    Case("volume-full", codes=((14, 21),), said="is full", change=_with_a_small_volume),
    Case(
        "bucket-unreachable",
        codes=((21,),),
        said=f"the results are not in {BUCKET}: .* cannot be reached",
        changes={"upload": values.Upload(url=BUCKET, secret=SECRET)},
        change=_with_keys,
    ),
)
