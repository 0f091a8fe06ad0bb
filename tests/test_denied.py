"""What a policy of a cluster of others denies is no fault of it; other refusals are not excused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import NotApplicable
from kubechain.kube.errors import ApiRefused
from kubechain.workload import actions
from tests.fakes import healthy
from tests.test_gates import up_to

UNIQUE = 'admission webhook "validation.gatekeeper.sh" denied the request: same selector as service <web>'
POLICY = "ValidatingAdmissionPolicy 'fixed' with binding 'fixed' denied request: fields stay"


def patched(message: str, *, own: bool = False) -> None:
    def patch(*_: object, **__: object) -> None:
        raise ApiRefused(403, "Forbidden", message)

    made, _, _ = up_to(*healthy())
    api, admission = SimpleNamespace(patch=patch), SimpleNamespace(owned=own)
    actions.service(replace(made, api=cast("Any", api), admission=cast("Any", admission)), {"type": "NodePort"})


@pytest.mark.parametrize("message", [UNIQUE, POLICY])
def test_claim_whose_request_a_policy_denies_does_not_apply(message: str) -> None:
    with pytest.raises(NotApplicable, match=r"needs Service web with other fields, which is refused by .*: "):
        patched(message)


def test_policy_on_a_cluster_of_this_project_is_no_excuse() -> None:
    with pytest.raises(ApiRefused):
        patched(UNIQUE, own=True)


def test_refusal_that_names_no_policy_is_no_excuse() -> None:
    for message in ("services is forbidden: User x cannot patch", "exceeded quota: small, requested: services=1"):
        with pytest.raises(ApiRefused):
            patched(message)
