"""The network of a kept kind cluster, where the settings of a run ask for another."""

from __future__ import annotations

import yaml

from kubechain.cluster.families import Families
from kubechain.cluster.kind_config import DEFAULT_MODE, FAMILIES, option_of
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.client import Api
from kubechain.kube.objects import Json


def require_families(api: Api, name: str, ip_family: str) -> None:
    """Refuse a kept cluster of other IP families than those of --ip-family, if that is given.

    Raises:
        SetupError: its Services have others (exit code USAGE).

    """
    families = Families(api).ask("default")
    if ip_family and families != FAMILIES[ip_family]:
        has = option_of(families) or "of unknown families"
        instead = "omit --ip-family, or name another cluster with --cluster"
        raise SetupError(f"--ip-family={ip_family}: the kept cluster {name} is {has}: {instead}", ExitCode.USAGE)


def require_proxy_mode(api: Api, name: str, proxy_mode: str) -> None:
    """Refuse a kept cluster whose kube-proxy has another mode than that of --proxy-mode, if that is given.

    Raises:
        SetupError: it has another (exit code USAGE).

    """
    if not proxy_mode:
        return
    found = api.get("ConfigMap", "kube-system", "kube-proxy")
    data: Json = found.at("data", {}) if found else {}
    settings: Json = yaml.safe_load(data.get("config.conf", "")) or {}
    has = settings.get("mode") or DEFAULT_MODE
    if has != proxy_mode:
        instead = "omit --proxy-mode, or name another cluster with --cluster"
        raise SetupError(f"--proxy-mode={proxy_mode}: the kept cluster {name} has {has}: {instead}", ExitCode.USAGE)
