"""A record of access: a way to an API server, and the only end that a command may come to on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubechain.core.errors import ExitCode
from tests.hostile.access_scene import Scene

# What a command that got through to the cluster says of it.
CONNECTED = "v1.37.2"


@dataclass(frozen=True)
class Way:
    """One way.

    `text` says what is special about it; `make` builds it; `code` is the only exit code; `says` is a regular expression that
    is found in one line of the output; `kubectl` says whether kubectl gets through; `whole` means that a run goes this
    way, with commands in Pods, and not only the doctor; `short` that it belongs to the short form; `leaves` that namespaces
    may stay, because nobody may delete them any more.
    """

    id: str
    text: str
    make: Callable[[Scene], object]
    code: ExitCode = ExitCode.HOLDS
    says: str = CONNECTED
    kubectl: bool = True
    whole: bool = False
    short: bool = False
    leaves: bool = False


def closed(
    id_: str, text: str, make: Callable[[Scene], object], code: ExitCode, says: str, *, kubectl: bool = False, **forms: bool
) -> Way:
    """Return a way that leads nowhere: the exit code, a piece of the line that says why, and `whole`, `short` and `leaves`."""
    return Way(id_, text, make, code, says, kubectl, **forms)
