"""The results of the parts of a suite in ConfigMaps, to which their Pods wrote them (--result-config-map)."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from pathlib import Path
from typing import Any

from kubechain.cluster import existing
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.in_cluster_settings import placed
from kubechain.kube.client import Api
from kubechain.results.outcome import RUN_FILE
from kubechain.results.runs import RUN_JSON


def fetch(context: str, kubeconfig: str, config_map: str, folder: Path) -> None:
    """Write the run.json of each part into a folder of its own; the ConfigMap of a part has its number at the end of its name.

    Raises:
        SetupError: a part has no ConfigMap, or one without results (exit code USAGE).

    """
    secrets = folder / "secrets"
    api = existing.connect(existing.kubeconfig(kubeconfig, context, secrets), context, secrets)
    try:
        namespace, name = placed(config_map)
        part, parts = 0, 1
        while part < parts:
            content, parts = _read(api, namespace, f"{name}-{part}")
            file = folder / str(part) / RUN_JSON
            file.parent.mkdir()
            file.write_bytes(content)
            part += 1
    finally:
        api.close()


def _read(api: Api, namespace: str, name: str) -> tuple[bytes, int]:
    """Return the run.json in a ConfigMap, and the number of parts."""
    found = api.get("ConfigMap", namespace, name)
    if found is None:
        raise SetupError(f"merge: ConfigMap {namespace}/{name} does not exist: this part has no result yet", ExitCode.USAGE)
    try:
        result: Any = json.loads(found.body["data"]["result.json"])
        return gzip.decompress(base64.b64decode(found.body["binaryData"][RUN_FILE])), int(result["shard"]["parts"])
    except (KeyError, TypeError, ValueError, OSError, EOFError, binascii.Error) as error:
        what = f"merge: ConfigMap {namespace}/{name} has no results of a part: merge their folders"
        raise SetupError(what, ExitCode.USAGE) from error
