"""Where the result of a run goes at its end besides the folder of the results: a ConfigMap, a file, a line of JSON."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from kubechain import __version__
from kubechain.cluster import existing
from kubechain.core import redact
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.in_cluster_settings import placed
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json
from kubechain.pytest.outcomes import one_line
from kubechain.pytest.results import RunResult
from kubechain.pytest.state import RunState
from kubechain.results import outcome
from kubechain.results.outcome import ResultRecord
from kubechain.results.runs import RUN_JSON

VERDICT_LABEL = f"{PROJECT}/verdict"
LINE = pytest.StashKey[str]()


def record_of(result: RunResult, code: ExitCode) -> ResultRecord:
    """Return the result of a run whose command ends with this exit code."""
    verdict = result.verdict
    versions: dict[str, str] = result.cluster.get("versions") or {}
    return ResultRecord(
        verdict=redact.text(verdict.line),
        holds=verdict.holds,
        first_broken_link=verdict.first_broken_link,
        exit_code=code,
        counts=verdict.counts,
        run=result.run.id,
        started=result.run.started.replace(microsecond=0),
        seconds=result.seconds,
        requests=result.load.total if result.load else None,
        cluster=result.cluster.get("uid") or "",
        kubernetes=versions.get("server", ""),
        kubechain=__version__,
        shard=result.shard,
        report=result.settings.report_url,
    )


def to_cluster(state: RunState, result: RunResult, code: ExitCode, where: Path | None) -> list[str]:
    """Write the ConfigMap of --result-config-map; return [] or one line that says why that failed.

    `where` is the folder of the published results, None if they could not be published.
    """
    settings = result.settings
    namespace, name = placed(settings.result_config_map)
    if not name:
        return []
    try:
        context, secrets = settings.context, state.run.secrets
        api = existing.connect(existing.kubeconfig(str(settings.kubeconfig or ""), context, secrets), context, secrets)
        try:
            _put(api, namespace, name, record_of(result, code), _whole(where) if result.shard and where else {})
        finally:
            api.close()
    except (HarnessError, OSError) as error:
        return [f"the ConfigMap {settings.result_config_map} has no new result: {one_line(error)}"]
    return []


def _whole(where: Path) -> dict[str, str]:
    """Return the run.json of a part, by which `kubechain merge` needs no volume; {} if it is too large."""
    packed = base64.b64encode(gzip.compress((where / RUN_JSON).read_bytes(), mtime=0)).decode()
    return {outcome.RUN_FILE: packed} if len(packed) < outcome.MOST_IN_CONFIG_MAP else {}


def _put(api: Api, namespace: str, name: str, record: ResultRecord, files: dict[str, str]) -> None:
    """Write the result into a ConfigMap, which is created if there is none, with these files in base64."""
    labels = {VERDICT_LABEL: outcome.state(record), "app.kubernetes.io/managed-by": PROJECT}
    data = {"verdict": record.verdict, "link": record.report, "result.json": json.dumps(record.as_json())}
    # A file of an earlier run does not stay.
    body: Json = {"metadata": {"labels": labels}, "data": data, "binaryData": files or None}
    try:
        api.patch("ConfigMap", namespace, name, body)
    except ApiRefused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        api.create({"apiVersion": "v1", "kind": "ConfigMap", **body, "metadata": {"name": name, "labels": labels}}, namespace)


def to_caller(config: pytest.Config, result: RunResult, code: ExitCode) -> int:
    """Write the file of --verdict-file, and keep the line of --json-line; return the exit code of the command.

    A file that cannot be written is one line of the output, and changes the exit code only of a chain that holds.
    """
    record, file = record_of(result, code), result.settings.verdict_file
    if file:
        try:
            file.write_text(outcome.short(record.verdict), encoding="utf-8")
        except OSError as error:
            sys.stdout.write(f"after the verdict: {file} cannot be written: {error.strerror}\n")
            if code == ExitCode.HOLDS:
                record = record.model_copy(update={"exit_code": ExitCode.CLEANUP})
    if result.settings.json_line:
        config.stash[LINE] = json.dumps(record.as_json())
    return int(record.exit_code)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the line of --json-line: after pytest, which repeats here why a run could not begin."""
    if line := config.stash.get(LINE, ""):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
