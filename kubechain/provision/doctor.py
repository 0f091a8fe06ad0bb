"""`kubechain doctor`: checks this machine and an existing cluster before a run."""

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
from kubechain.claims.requirements import LISTED, Environment, missing, rights_of
from kubechain.claims.rights import CORE, INSIDE, PARTS, Part
from kubechain.cluster import existing
from kubechain.cluster.access import Access
from kubechain.cluster.families import Families
from kubechain.cluster.target import Target
from kubechain.conditions.text import counted
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.settings import DoctorSettings
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.kube.rights import named
from kubechain.provision import machine
from kubechain.provision.machine import Finding
from kubechain.workload import namespace

COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}
# A request to a Node that drops packets takes seconds: one Node must do.
PROBED_NODES = 1


def examine(settings: DoctorSettings, claims: Sequence[Claim]) -> int:
    """Print all findings; return the exit code of the first one that is "missing", with which a run would end.

    Raises:
        SetupError: a namespace is named without a context (exit code USAGE).

    """
    if settings.namespace and not settings.context:
        raise SetupError(f"--namespace={settings.namespace}: needs a context: add --context", ExitCode.USAGE)
    findings = [Finding("ok", "kubechain", f"{__version__}, Python {platform.python_version()}"), *machine.folders(settings)]
    if settings.context:
        findings += [*machine.beside_a_cluster(), *cluster(settings, claims)]
    else:
        findings += machine.machine(settings)
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(f"{finding.state:8}", style=COLOURS[finding.state], end="")
        console.print(f"{finding.what}: {finding.text}", markup=False)
    return next((finding.code for finding in findings if finding.state == "missing"), ExitCode.HOLDS)


def cluster(settings: DoctorSettings, claims: Sequence[Claim]) -> list[Finding]:
    """Return the findings about the cluster of the context; the last one is "missing" if the cluster cannot be examined."""
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as keys:
        try:
            kubeconfig = existing.kubeconfig(str(settings.kubeconfig or ""), settings.context, Path(keys))
            api = existing.connect(kubeconfig, settings.context, Path(keys))
            try:
                # An error must not discard the findings before it.
                for finding in _examined(api, claims, settings):
                    findings.append(finding)  # noqa: PERF402
            finally:
                api.close()
        except HarnessError as error:
            findings.append(Finding("missing", "cluster", str(error), error.code))
    return findings


def _examined(api: Api, claims: Sequence[Claim], settings: DoctorSettings) -> Iterable[Finding]:
    space = settings.namespace
    uid, version = existing.identity(api, space), existing.server_version(api)
    yield Finding("ok", "cluster", f"{version} at {api.server}, {space or existing.SYSTEM} has UID {uid}")
    access = Access(api, space)
    lacking = access.lacking(rights_of([CORE], inside=bool(space)))
    if lacking:
        yield Finding("missing", "rights", f"{api.user} lacks {named(lacking)}", ExitCode.RIGHTS)
    else:
        yield Finding("ok", "rights", f"{api.user} has all rights that every claim needs")
    yield from _left_out(access, (*PARTS, *INSIDE) if space else PARTS)
    nodes = () if access.lacking(LISTED.rights) else tuple(api.list("Node").items)
    yield _nodes(nodes)
    if not space:
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
        namespace=space,
    )
    environment = Environment(
        target, nodes, namespace.probe_from(nodes[:PROBED_NODES]), settings.disruptive, access, families=Families(api)
    )
    yield from skipped(claims, environment)


def _left_out(access: Access, parts: Sequence[Part]) -> Iterable[Finding]:
    for part in parts:
        lacking = access.lacking(part.requirement.rights)
        if lacking:
            yield Finding("note", "rights", f"without {named(lacking)}: {part.instead}")


def _nodes(nodes: Sequence[KubeObject]) -> Finding:
    ready = sum(node.is_true("Ready") for node in nodes)
    addresses = [entry["address"] for node in nodes for entry in node.at("status.addresses", []) if entry["type"] == "InternalIP"]
    families = sorted({f"IPv{ipaddress.ip_address(address).version}" for address in addresses})
    ranges = sum(bool(node.at("spec.podCIDR")) for node in nodes)
    text = f"{len(nodes)}, {ready} ready, {' and '.join(families) or 'no addresses'}, {ranges} with a podCIDR"
    return Finding("ok" if ready == len(nodes) > 0 else "note", "nodes", text)


def proxy_mode(api: Api) -> str:
    """Return kube-proxy's mode from its ConfigMap, "mode not visible" if that cannot be read."""
    try:
        config_map = api.get("ConfigMap", existing.SYSTEM, "kube-proxy")
        text = config_map.at("data", {}).get("config.conf", "") if config_map else ""
        return str(yaml.safe_load(text)["mode"] or "iptables (the default)")
    except (ApiRefused, yaml.YAMLError, KeyError, TypeError):
        return "mode not visible"


def skipped(claims: Sequence[Claim], environment: Environment) -> Iterable[Finding]:
    """Yield the number of claims that apply to the environment, and the skipped ones by reason."""
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for claim in claims:
        reasons = missing(claim.needs, environment)
        if reasons:
            lacking[", ".join(reasons)].append(claim.id)
    count = sum(map(len, lacking.values()))
    yield Finding("ok", "claims", f"{len(claims) - count} of {len(claims)} apply, {count} would be skipped")
    for reason, ids in lacking.items():
        yield Finding("note", "skipped", f"{counted(len(ids), 'claim')} for lack of {reason}: {', '.join(ids)}")
