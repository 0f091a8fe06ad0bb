"""`make in-cluster CLUSTER=NAME`: Jobs of deploy/ on a kind cluster that a run kept, well and when something goes wrong.

Prints how each ends, in how many seconds from the first object, and what it left. All that it creates is deleted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubechain.cluster.kind import Cluster
from kubechain.core import cli, settings
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.core.run import RUN_LABEL
from kubechain.images import resolve, runner
from kubechain.images.docker import Docker
from reports import catalogue
from reports.deploy.files import CHART, NAMESPACE, Pairs
from tests import kept
from tests.go_programs import HELM
from tests.in_cluster import pods
from tests.in_cluster.cases import CASES, Case, Json, jobs, of_case, values_of
from tests.rights.account import Admin

CASE_SECONDS, GONE_SECONDS, INSTALL_SECONDS = 900.0, 180.0, 120.0


@dataclass(frozen=True)
class Ended:
    """How the Jobs of a case ended: the exit codes of their containers by the begin of these, and all that they said.

    `requests` is how many requests the API server got from the runs that told it, all together.
    """

    codes: list[int]
    said: str
    seconds: float
    left: list[str]
    requests: int = 0

    def problems(self, case: Case) -> list[str]:
        """Return what is not as the case states."""
        found: list[str] = []
        if len(self.codes) != len(case.codes) or not all(code in some for code, some in zip(self.codes, case.codes, strict=True)):
            found.append(f"expected the exit codes {case.codes}, got {self.codes}")
        if not re.search(case.said, self.said):
            found.append(f"expected {case.said!r}, got {self.said[-4000:]}")
        if self.left and not case.again:
            found.append(f"left {', '.join(self.left)}")
        return found


def until(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, and return whether it came to be within a time."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not reached():
        if time.monotonic() > end:
            return False
        pause.wait(1.0)
    return True


def listed(admin: Admin, *words: str) -> list[Any]:
    """Return the objects that kubectl lists."""
    return json.loads(admin.run(*words, "-o", "json"))["items"]


def left(admin: Admin) -> list[str]:
    """Return the namespaces of runs."""
    return [each["metadata"]["name"] for each in listed(admin, "get", "namespaces", "--selector", RUN_LABEL)]


@dataclass(frozen=True)
class Tried:
    """Where cases are tried, and what is the same in all of them; `folder` gets the states of their Pods."""

    admin: Admin
    nginx: str
    runner: str
    claims: Pairs
    folder: Path

    def end(self, case: Case) -> Ended:
        """Create the objects of a case, wait for the end of its Jobs, and delete them.

        Raises:
            SetupError: there is no chain in time, or a Job does not end, or helm refuses.

        """
        given = values_of(case, self.nginx, self.runner)
        found = of_case(case, given, self.claims)
        manifest, admin = json.dumps({"apiVersion": "v1", "kind": "List", "items": found}), self.admin
        names = [job["metadata"]["name"] for job in jobs(found)]
        try:
            with pods.watched(admin, self.folder / f"{case.id}.json") as watched:
                began = time.monotonic()
                if case.helm:
                    self._install(given)
                else:
                    admin.run("apply", "-f", "-", given=manifest)
                if case.midway:
                    if not until(lambda: any(_chains(admin)), CASE_SECONDS):
                        raise SetupError(f"expected a chain within {CASE_SECONDS:.0f} s, got none", ExitCode.HARNESS)
                    case.midway(admin)
                if not until(lambda: all(_over(admin, name) for name in names), CASE_SECONDS):
                    raise SetupError(f"expected the Job to end within {CASE_SECONDS:.0f} s", ExitCode.HARNESS)
                seconds = time.monotonic() - began
                logs = [_log(admin, pod["metadata"]["name"]) for pod in pods.listed(admin)]
                spaces, ends = left(admin), watched.ends()
            said = "\n".join([*logs, *(end.get("message", "") for end in ends)])
            return Ended([end["exitCode"] for end in ends], said, seconds, spaces, sum(map(requests, logs)))
        finally:
            # The namespace has what helm knows of its release.
            admin.run("delete", "--ignore-not-found", "--wait=false", "-f", "-", given=manifest)
            until(lambda: not admin.run("get", "namespace", NAMESPACE, "--ignore-not-found").strip(), GONE_SECONDS)

    def _install(self, given: Json) -> None:
        """Install the chart with values."""
        path = self.folder / "values.json"
        path.write_text(json.dumps(given), encoding="utf-8")
        where = ["--kubeconfig", self.admin.kubeconfig, "--kube-context", self.admin.context, "--namespace", NAMESPACE]
        home = {name: str(self.folder / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        words = ["install", NAMESPACE, CHART, *where, "--create-namespace", "--values", path]
        check([HELM.built(), *words], timeout=INSTALL_SECONDS, env=home, code=ExitCode.HARNESS, doing="helm install")


def requests(log: str) -> int:
    """Return the number of requests in the line of JSON that a run prints last, 0 without one."""
    last = next(reversed(log.splitlines()), "")
    return (json.loads(last)["requests"] or 0) if last.startswith('{"') else 0


def _chains(admin: Admin) -> list[Any]:
    """Return the Deployments of runs."""
    return [each for space in left(admin) for each in listed(admin, "get", "deployments", "--namespace", space)]


def _over(admin: Admin, job: str) -> bool:
    status = json.loads(admin.run("get", "job", job, "--namespace", NAMESPACE, "-o", "json")).get("status", {})
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in status.get("conditions", []))


def _log(admin: Admin, pod: str) -> str:
    try:
        return admin.run("logs", "--namespace", NAMESPACE, pod)
    except subprocess.CalledProcessError as error:
        return str(error.stderr)


def _named_by_its_id(docker: Docker, image: str) -> str:
    """Return another name of an image: Nodes keep what they have, which may be an older build, under the name of a version."""
    name = f"{image.partition(':')[0]}:{str(docker.image_id(image)).rpartition(':')[2][:12]}"
    docker.call("tag", image, name)
    return name


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Try the cases; return 1 if one does not end as it states."""
    parser = cli.Parser(prog="python -m tests.in_cluster", description=__doc__)
    parser.add_argument("--cluster", default=os.environ.get("KUBECHAIN_CLUSTER", ""), help="kind cluster that a run kept")
    parser.add_argument("--cases", default=os.environ.get("IN_CLUSTER_CASES", ""), help="ids, separated by commas; default: all")
    given = parser.parse_args()
    wanted = [each for each in given.cases.split(",") if each]
    unknown = set(wanted) - {case.id for case in CASES}
    if unknown or not given.cluster:
        parser.error(f"no such case: {', '.join(sorted(unknown))}" if unknown else "name the cluster: CLUSTER=NAME")
    docker = kept.engine()
    if docker is None:
        raise SetupError(f"--cluster={given.cluster}: no container engine answers", ExitCode.ENGINE)
    claims = [(entry.nodeid, entry.claim) for entry in catalogue.collect()]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="in-cluster-") as folder:
        found = kept.kept(docker, given.cluster, Path(folder))
        store = resolve.store_of(settings.load())
        image = _named_by_its_id(docker, runner.build(docker, store, Progress()))
        Cluster(given.cluster, Path(folder), "", Path(), Path(), docker.client).load([found.nginx, image], store)
        chosen = [case for case in CASES if not wanted or case.id in wanted]
        if any(case.helm for case in chosen):
            HELM.built()  # A build is no part of the seconds of a case.
        place = Tried(Admin(found.kubeconfig, found.context), found.nginx, image, claims, Path(folder))
        for case in chosen:
            line, problems = "", list[str]()
            try:
                ended = place.end(case)
                line = f"{ended.seconds:.0f} s, {ended.requests:,} requests, exit codes {ended.codes}"
                problems = ended.problems(case)
                if case.again:
                    (whole,) = (each for each in CASES if each.id == "holds")
                    problems += [f"afterwards: {each}" for each in place.end(whole).problems(whole)]
            except SetupError as error:
                problems.append(str(error))
            except subprocess.CalledProcessError as error:
                problems.append(f"kubectl {' '.join(error.cmd[5:8])}: {error.stderr.strip()}")
            bad += bool(problems)
            say(f"{'BAD' if problems else 'ok '} {case.id}: {line}")
            for problem in problems:
                say(f"      {problem}")
    say(f"{bad} cases with problems")
    return int(bad > 0)


if __name__ == "__main__":
    cli.main(main)
