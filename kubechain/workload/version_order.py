"""Whether resourceVersions of several kinds can be compared.

Those of one kind can (KEP-5504). Those of several can as long as one etcd stores them all, which Kubernetes does not promise
(https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/: --etcd-servers-overrides).
"""

from __future__ import annotations

from kubechain.conditions.text import some
from kubechain.core.errors import NotApplicable
from kubechain.observe.changes import number
from kubechain.workload.chain import Chain


def require_one_order(chain: Chain, *kinds: str) -> None:
    """Raise NotApplicable unless lists of these kinds, made one after another and twice, have versions in the same order."""
    versions = [number(chain.api.list(kind, chain.namespace).version) for kind in (*kinds, *kinds)]
    if versions != sorted(versions):
        raise NotApplicable(f"needs one order of the changes of {some(kinds)}: lists made in turn have the versions {versions}")
