"""On a cluster that authorizes everybody, nothing is refused to a Pod."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Page
from kubechain.core.errors import NotApplicable
from kubechain.probes.pod import PodProbe
from kubechain.workload.unrestricted import require_no_rights

SECRETS = "/api/v1/namespaces/ns/secrets"

CASES = [(403, False, True), (401, False, True), (200, True, True), (200, False, False)]


@pytest.mark.parametrize(("status", "own", "applies"), CASES)
def test_claims_on_refusals_apply_where_accounts_have_no_rights(status: int, *, own: bool, applies: bool) -> None:
    def ask_api(*paths: str) -> list[Page]:
        return [Page(path, status) for path in paths if path == SECRETS]

    place = cast("PodProbe", SimpleNamespace(pod="bare", ask_api=ask_api))
    chain = cast("Any", SimpleNamespace(namespace="ns", admission=SimpleNamespace(owned=own)))
    with nullcontext() if applies else pytest.raises(NotApplicable, match="needs ServiceAccounts without rights"):
        require_no_rights(chain, place)
