"""Whether the ServiceAccount of the Pods has rights that the run has not given to it.

Where the API server authorizes every request, as that of MicroK8s does by default, or a role is bound to all ServiceAccounts,
nothing is refused to a Pod, and no message names the user that the API server takes it for.
"""

from __future__ import annotations

from http import HTTPStatus

from kubechain.core.errors import NotApplicable
from kubechain.kube.paths import path_of
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own


def secrets(chain: Chain) -> str:
    """Return the API path of the Secrets of the chain's namespace, which its ServiceAccount has no right to list."""
    return path_of("Secret", chain.namespace)


def require_no_rights(chain: Chain, place: PodProbe) -> None:
    """Raise NotApplicable if a Pod may list Secrets, on a cluster of others: somebody else has given that right."""
    if is_own(chain):
        return
    (page,) = place.ask_api(secrets(chain))
    if page.status == HTTPStatus.OK:
        raise NotApplicable(f"needs ServiceAccounts without rights: on this cluster Pod {place.pod} may list Secrets")
