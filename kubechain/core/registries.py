"""The credentials of a docker config.json that images need, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from kubechain.core import files, known_secrets
from kubechain.core.errors import ExitCode, SetupError

DOCKER_HUB = "docker.io"
# Fields of an entry that are secrets.
SECRETS = ("auth", "password", "identitytoken", "registrytoken")
HUB_HOSTS = {DOCKER_HUB, "index.docker.io", "registry-1.docker.io"}


def host_of(image: str) -> str:
    """Return the registry of an image name, such as "ghcr.io" or "localhost:5000"."""
    first, slash, _ = image.partition("/")
    return first if slash and (set(".:") & set(first) or first == "localhost") else DOCKER_HUB


def credentials(config: Path, images: Iterable[str]) -> dict[str, Any]:
    """Return the entries of "auths" in a docker config.json for the registries of these images.

    Raises:
        SetupError: it cannot be read, is no docker config.json, or has no credentials for one of these registries (USAGE).

    """
    try:
        content: dict[str, Any] = json.loads(files.regular(config).read_text(encoding="utf-8"))
        auths: dict[str, Any] = content.get("auths") or {}
        for entry in auths.values():
            known_secrets.remember(*(entry.get(name) for name in SECRETS))
        hosts = sorted({host_of(image) for image in images})
        chosen = {key: entry for key, entry in auths.items() if _usable(entry) and any(_serves(key, host) for host in hosts)}
        helpers: dict[str, str] = content.get("credHelpers") or {}
        store = content.get("credsStore") or ", ".join(sorted(helpers.values()))
    except OSError as error:
        raise SetupError(f"--pull-secret={config}: cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise SetupError(f"--pull-secret={config}: not a docker config.json with the field auths", ExitCode.USAGE) from error
    if not chosen:
        kept = f"; they are kept by the credential helper {store}, which a cluster cannot ask" if store else ""
        what = f"holds no credentials for {', '.join(hosts)}, the registries of the images{kept}"
        raise SetupError(f"--pull-secret={config}: {what}", ExitCode.USAGE)
    return chosen


def _usable(entry: dict[str, Any]) -> bool:
    return bool(entry.get("auth") or (entry.get("username") and entry.get("password")))


def _serves(key: str, host: str) -> bool:
    """Whether a key of "auths" is about a registry; it is a host or a URL, and may have a path and wildcards."""
    named = key.partition("://")[2] or key
    named = named.partition("/")[0]
    return fnmatch(host, named) or (host == DOCKER_HUB and named in HUB_HOSTS)
