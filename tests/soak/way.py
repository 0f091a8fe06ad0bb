"""The ways to a cluster that a run takes: direct, or through a proxy that disturbs connections, requests or answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests import api_proxy
from tests.api_proxy import Answers
from tests.hostile import tcp_proxy
from tests.soak import managed, refusing
from tests.soak.refusing import Refusing

DIRECT = ""
NAMES = (*tcp_proxy.MODES, *refusing.modes(), *managed.ANSWERS)


@contextmanager
def to(kubeconfig: Path, context: str, name: str, folder: Path) -> Generator[tuple[Path, Callable[[], int]]]:
    """Open the way of this name to the cluster of a context; yield a kubeconfig, and how many connections or requests it met.

    The kubeconfig has the context under the same name; what is needed meanwhile is written to `folder`.
    """
    if name == DIRECT:
        yield kubeconfig, lambda: 0
    elif name in tcp_proxy.MODES:
        with tcp_proxy.proxied(kubeconfig, context, tcp_proxy.MODES[name], folder) as (through, proxy):
            yield through, lambda: proxy.connections
    else:
        answers: Answers = {**refusing.modes(), **managed.ANSWERS}[name]
        with api_proxy.serving(kubeconfig, context, folder, answers) as url:
            through = folder / f"through-{name}"
            through.touch(mode=0o600)
            through.write_text(yaml.safe_dump(_leading_to(url, context)), encoding="utf-8")
            yield through, lambda: answers.refused if isinstance(answers, Refusing) else 0


def _leading_to(url: str, context: str) -> dict[str, object]:
    """Return a kubeconfig without credentials: the proxy has them."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    }
