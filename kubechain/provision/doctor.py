"""`kubechain doctor`: what a run would find on this machine and on an existing cluster, without a run."""

from __future__ import annotations

import ipaddress
import platform
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from rich.console import Console

from kubechain import __version__
from kubechain.claims.claim import Claim
from kubechain.claims.requirements import Environment, missing
from kubechain.cluster import existing
from kubechain.cluster.target import Target
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.core.settings import DoctorSettings
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.provision import machine
from kubechain.provision.machine import Finding
from kubechain.workload import namespace

COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}
# A Node that drops packets costs seconds to ask.
ASKED_NODES = 1


def examine(settings: DoctorSettings, claims: Sequence[Claim]) -> int:
    """Print what there is and what is missing; return the exit code that a run would have to begin with."""
    found = [Finding("ok", "kubechain", f"{__version__}, Python {platform.python_version()}"), *machine.folders(settings)]
    found += machine.machine(settings)
    if settings.context:
        # A run on an existing cluster needs no engine and no room for images.
        found = [each if each.code == ExitCode.USAGE else _note(each) for each in found]
        found += cluster(settings, claims)
    console = Console(highlight=False, soft_wrap=True)
    for each in found:
        console.print(f"{each.state:8}", style=COLOURS[each.state], end="")
        console.print(f"{each.what}: {each.text}", markup=False)
    return next((each.code for each in found if each.state == "missing"), ExitCode.HOLDS)


def _note(finding: Finding) -> Finding:
    return Finding("note", finding.what, finding.text) if finding.state == "missing" else finding


def cluster(settings: DoctorSettings, claims: Sequence[Claim]) -> list[Finding]:
    """Say what the cluster of the context has; the last finding is "missing" if a run could not begin there."""
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as keys:
        try:
            kubeconfig = existing.kubeconfig_path(str(settings.kubeconfig or ""))
            api = existing.connect(kubeconfig, settings.context, Path(keys))
            try:
                # One by one: what was found before an error is printed as well.
                for each in _examined(api, claims, disruptive=settings.disruptive):
                    found.append(each)  # noqa: PERF402
            finally:
                api.close()
        except HarnessError as error:
            found.append(Finding("missing", "cluster", str(error), error.code))
    return found


def _examined(api: Api, claims: Sequence[Claim], *, disruptive: bool) -> Iterable[Finding]:
    uid, version = existing.identity(api), existing.server_version(api)
    yield Finding("ok", "cluster", f"{version} at {api.server}, kube-system has UID {uid}")
    lacking = existing.missing_rights(api)
    if lacking:
        yield Finding("missing", "rights", f"{api.context} lacks the rights to {', '.join(lacking)}", ExitCode.RIGHTS)
    else:
        yield Finding("ok", "rights", "all that the suite needs")
    nodes = tuple(api.list("Node").items)
    yield _nodes(nodes)
    yield Finding("ok", "kube-proxy", proxy_mode(api))
    target = Target(
        name=api.context,
        kubeconfig=str(api.kubeconfig),
        context=api.context,
        server=api.server,
        uid=uid,
        owned=False,
        temporary=False,
        nginx="",
        client="",
        kubectl=shutil.which("kubectl") or "",
        versions={"server": version},
    )
    environment = Environment(target, nodes, namespace.probe_from(nodes[:ASKED_NODES]), disruptive)
    yield from skipped(claims, environment)


def _nodes(nodes: Sequence[KubeObject]) -> Finding:
    ready = sum(node.is_true("Ready") for node in nodes)
    addresses = [each["address"] for node in nodes for each in node.at("status.addresses", []) if each["type"] == "InternalIP"]
    families = sorted({f"IPv{ipaddress.ip_address(address).version}" for address in addresses})
    ranges = sum(bool(node.at("spec.podCIDR")) for node in nodes)
    text = f"{len(nodes)}, {ready} ready, {' and '.join(families) or 'no addresses'}, {ranges} with a podCIDR"
    return Finding("ok" if ready == len(nodes) > 0 else "note", "nodes", text)


def proxy_mode(api: Api) -> str:
    """Return kube-proxy's mode as its ConfigMap says, "not visible" where there is none to read."""
    try:
        config_map = api.get("ConfigMap", existing.SYSTEM, "kube-proxy")
        text = config_map.at("data", {}).get("config.conf", "") if config_map else ""
        return str(yaml.safe_load(text)["mode"] or "iptables (the default)")
    except (ApiRefused, yaml.YAMLError, KeyError, TypeError):
        return "not visible"


def skipped(claims: Sequence[Claim], environment: Environment) -> Iterable[Finding]:
    """Say which claims would be skipped on a cluster, by what they lack."""
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for claim in claims:
        reasons = missing(claim.requirements, environment)
        if reasons:
            lacking[", ".join(reasons)].append(claim.id)
    count = sum(map(len, lacking.values()))
    yield Finding("ok", "claims", f"{len(claims) - count} of {len(claims)} apply, {count} would be skipped")
    for reason, ids in lacking.items():
        yield Finding("note", "skipped", f"{len(ids)} need {reason}: {', '.join(ids)}")
