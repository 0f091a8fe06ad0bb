"""The files of deploy/: kustomizations of the objects with some values, and the Helm chart of the same objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kubechain import __version__
from kubechain.claims.claim import Claim
from kubechain.core.bundle import ROOT

from . import monitoring, nodes, objects, values
from .nodes import Conditional

Pairs = Sequence[tuple[str, Claim]]
FOLDER = ROOT / "deploy"
CHART = FOLDER / "chart"
NAMESPACE = "kubechain"
HEAD = "# Written by `make catalogue` from reports/deploy; docs/IN_CLUSTER.md says how to change values.\n"
# File -> its objects.
FILES: Mapping[str, Callable[[Pairs], list[Conditional]]] = {
    "namespace": lambda _claims: objects.namespace(),
    "access": objects.access,
    "options": lambda _claims: objects.options(),
    "network-policy": lambda _claims: objects.network_policy(),
    "job": lambda _claims: objects.job(),
    "cron-job": lambda _claims: objects.cron_job(),
    "detached": lambda _claims: objects.detached(),
    "watch": lambda _claims: objects.watch(),
    "monitors": lambda _claims: objects.monitors(),
}
NO_JOBS: Mapping[str, Any] = {"job": values.Job(enabled=False), "cron_job": values.CronJob(enabled=False)}
# Folder in deploy/ -> what it is for, and its values.
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "": ("A run now and one every night, in namespaces that they make.", {}),
    "namespace": (
        "The same in one namespace that exists, without a right outside of it. Name it here and with kubectl apply -n.",
        {"scope": "namespace"},
    ),
    "sharded": ("The same with the claims of a run in four Pods.", {"shards": 4}),
    "detached": (
        "A run around a change of the cluster, such as its upgrade, which goes on in another Pod where one was evicted.",
        {**NO_JOBS, "detached": values.Detached(enabled=True)},
    ),
    "watch": ("Runs again and again, with figures for Prometheus.", {**NO_JOBS, "watch": values.Watch(enabled=True)}),
    "monitored": (
        "The same for clusters with the Prometheus operator: a ServiceMonitor, alerts, and a dashboard for Grafana.",
        {**NO_JOBS, "watch": values.Watch(enabled=True, operator=True, dashboard=True)},
    ),
}


def documents() -> dict[Path, Callable[[Pairs], str]]:
    """Return the path of each file -> the function that returns its text."""
    found: dict[Path, Callable[[Pairs], str]] = {}
    for name, (what, changes) in VARIANTS.items():
        given = {**values.defaults(**changes), nodes.NAMESPACE: NAMESPACE}
        # Which objects there are depends on no claim.
        present = [file for file, make in FILES.items() if any(nodes.present(each, given) for each in make(()))]
        found[FOLDER / name / "kustomization.yaml"] = partial(_kustomization, what, present, given["scope"])
        found |= {FOLDER / name / f"{file}.yaml": partial(_manifest, file, given) for file in present}
    # For a Prometheus and a Grafana without operator and sidecar.
    found[FOLDER / "prometheus-rules.yaml"] = lambda _claims: HEAD + monitoring.rules()
    found[FOLDER / "dashboard.json"] = lambda _claims: monitoring.dashboard()
    found[CHART / "Chart.yaml"] = lambda _claims: _chart()
    found[CHART / "values.yaml"] = lambda _claims: values.document()
    found[CHART / "values.schema.json"] = lambda _claims: values.schema()
    # Helm makes the Namespace before the objects.
    found |= {CHART / "templates" / f"{file}.yaml": partial(_template, file) for file in FILES if file != "namespace"}
    return found


def rendered(file: str, given: Mapping[str, Any], claims: Pairs) -> list[Any]:
    """Return the objects of a file with these values."""
    return [nodes.rendered(each.body, given) for each in FILES[file](claims) if nodes.present(each, given)]


def _manifest(file: str, given: Mapping[str, Any], claims: Pairs) -> str:
    return HEAD + nodes.as_yaml(rendered(file, given, claims))


def _template(file: str, claims: Pairs) -> str:
    # A separator before each object: those that are left out leave empty documents, which Helm skips.
    return HEAD + "".join(f"---\n{nodes.template(each)}" for each in FILES[file](claims))


def _kustomization(what: str, files: Sequence[str], scope: str, _claims: Pairs) -> str:
    """Return a kustomization; it names the namespace only where all objects are in it, because it would move the others."""
    listed = "".join(f"- {file}.yaml\n" for file in files)
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    place = f"namespace: {NAMESPACE}\n" if scope == "namespace" else ""
    return f"{HEAD}# {what}\n{head}{place}resources:\n{listed}"


def _chart() -> str:
    return (
        f"{HEAD}apiVersion: v2\nname: kubechain\nversion: {__version__}\nappVersion: {__version__}\ntype: application\n"
        "description: Checks every link from a Deployment to the answer of its Service, once and every night\n"
        'kubeVersion: ">=1.29.0-0"\n'
    )
