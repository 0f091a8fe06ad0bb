"""What the user of a run may do on a cluster, asked by access reviews, which change nothing there."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.client import Api
from kubechain.kube.creation import CHANGE_SECONDS, persistently
from kubechain.kube.decoding import as_json
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.kube.rights import Right, with_groups

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Access:
    """Asks for each right once; without an API, the user may do everything, as the user of a cluster of the run's own.

    With a namespace, rights that name none are asked for there alone.
    """

    def __init__(self, api: Api | None, namespace: str = "") -> None:
        self._api, self._namespace = api, namespace
        self._allowed: dict[Right, bool] = {}

    def lacking(self, rights: Iterable[Right]) -> list[Right]:
        """Return those of the rights that the user does not have, sorted.

        Raises:
            SetupError: the user may not check rights (exit code RIGHTS).

        """
        return [right for right in sorted(set(rights)) if not self._has(right)]

    def require(self, rights: Iterable[Right]) -> None:
        """Raise a SetupError (exit code RIGHTS) that lists all of the rights that the user does not have."""
        lacking = self.lacking(rights)
        if self._api and lacking:
            where = f" in the namespace {self._namespace}, if that exists" if self._namespace else ""
            what = f"{self._api.user} lacks the rights to {with_groups(lacking)}{where}"
            role = f"namespace --namespace {self._namespace}" if self._namespace else "run"
            less = "" if self._namespace else "; with rights in one namespace alone: --namespace NAME"
            prints = f"`kubechain rights {role}` prints a role with them, for kubectl apply"
            raise SetupError(f"{what}; {prints}{less}", ExitCode.RIGHTS)

    def _has(self, right: Right) -> bool:
        if self._api is None:
            return True
        placed = right.inside(self._namespace) if self._namespace else right
        if placed not in self._allowed:
            self._allowed[placed] = review(self._api, placed)
        return self._allowed[placed]


def review(api: Api, right: Right) -> bool:
    """Return whether the user has a right, by a SelfSubjectAccessReview; SetupError (exit code RIGHTS) if it is refused."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": right.review}
    try:
        # A review is stored nowhere: it can be asked for again.
        answer = as_json(persistently(lambda: api.call("POST", REVIEWS, body=body), CHANGE_SECONDS), "access review")
    except ApiRefused as refused:
        if refused.status == HTTPStatus.UNAUTHORIZED:
            raise SetupError(f"{api.server}: {refused}", refused.code) from refused
        what = f"{api.user} lacks the right to check its rights: {refused.detail}"
        raise SetupError(what, ExitCode.RIGHTS) from refused
    return bool(KubeObject(answer).at("status.allowed", default=False))
