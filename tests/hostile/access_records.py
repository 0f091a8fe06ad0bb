"""All ways to an API server; docs/ACCESS.md lists them."""

from __future__ import annotations

from tests.hostile import (
    access_certificates,
    access_contexts,
    access_credentials,
    access_environment,
    access_handshakes,
    access_in_cluster,
    access_kubeconfigs,
    access_plugins,
)
from tests.hostile.access_way import Way

MODULES = (
    access_certificates,
    access_handshakes,
    access_credentials,
    access_plugins,
    access_kubeconfigs,
    access_contexts,
    access_environment,
    access_in_cluster,
)
WAYS: tuple[Way, ...] = tuple(way for module in MODULES for way in module.WAYS)
