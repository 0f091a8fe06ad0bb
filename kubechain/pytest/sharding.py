"""The part of the claims that a run tries (--shard): the same parts in every process and in every run of the same suite.

Claims on one scenario are in one part. Parts run side by side, each with chains of its own, so a claim that needs the whole
cluster is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kubechain.claims import claim
from kubechain.claims.records import ShardRecord
from kubechain.claims.requirements import ROOM, UNSHARED
from kubechain.core import files, secret_files
from kubechain.core.build_cache import key
from kubechain.core.in_cluster_settings import shard_of
from kubechain.core.run import ALL_PARTS
from kubechain.pytest.scheduling import groups, requires
from kubechain.pytest.session import asks_for_claims, is_of_a_run
from kubechain.pytest.state import run_state


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the claims of the part; write the ids of all parts, by which `kubechain merge` knows that none is missing."""
    state = run_state(config)
    part, parts = shard_of(state.settings.shard)
    if not state.settings.shard or not asks_for_claims(config) or not any(map(is_of_a_run, items)):
        return
    ids = sorted(stated.id for item in items if (stated := claim.of(item)))
    files.write(secret_files.folder(state.run.folder) / ALL_PARTS, json.dumps(ids))
    for item in items:
        stated = claim.of(item)
        if stated and requires(item, ROOM):
            item.add_marker(pytest.mark.claim(replace(stated, requirements=(*stated.requirements, UNSHARED))), append=False)
    chosen = {item.nodeid for item in _part(items, part, parts)}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
    items[:] = [item for item in items if item.nodeid in chosen]


def _part(items: Sequence[pytest.Item], part: int, parts: int) -> list[pytest.Item]:
    """Return the claims of a part: those of scenarios are dealt out first, because they take longer, then the others."""
    scenario = groups(items)
    bundles: dict[str, list[pytest.Item]] = {}
    for item in sorted(items, key=lambda each: each.nodeid not in scenario):
        bundles.setdefault(scenario.get(item.nodeid, item.nodeid), []).append(item)
    return [item for bundle in list(bundles.values())[part::parts] for item in bundle]


def record(shard: str, folder: Path, stale: Sequence[str]) -> ShardRecord | None:
    """Return which part of the suite a run tried, from the file in its folder; None if it tried all, or could not begin."""
    listed = folder / ALL_PARTS
    if not shard:
        return None
    part, parts = shard_of(shard)
    ids: list[str] = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else []
    return ShardRecord(part=part, parts=parts, suite=key(*ids) if ids else "", claims=len(ids), stale=list(stale))
