"""A whole run in two processes on a loopback cluster: the hand-overs of its chains, and the page that it publishes."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kubechain.claims.records import read_run
from kubechain.core.run import EXPIRES_LABEL
from reports import chain_page
from tests.hostile.access import with_token
from tests.hostile.acts import rule
from tests.hostile.catalogue import RECORDS
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange
from tests.hostile.runner import run

pytestmark = pytest.mark.whole_runs
CLAIMS = ",".join(
    f"CHAIN-{each}"
    for each in ("PODS-010", "CLUSTERIP-010", "NODEPORT-010", "DNS-010", "DELETION-020", "DELETION-030", "DELETION-050")
)
ANSWERS = ("clusterIP answers", "each nodePort answers", "name resolves")
ENDS = ("Pod gone", "address gone", "each nodePort refuses")
# Of a run, on a machine that does much else.
SECONDS = 400.0


def test_run_records_the_hand_overs_of_every_chain_and_publishes_the_page(tmp_path: Path) -> None:
    healthy = replace(RECORDS[0], command=("run", "--no-html", "-n", "2", "--only", CLAIMS))
    ended = run(healthy, with_token(tmp_path), tmp_path)
    assert ended.code == 0, ended.output
    out = tmp_path / "out"
    content = read_run(out / "run.json")
    counts = {each.what: each.count for each in content.hand_overs}
    # The chain that each process shares, and those of which an object is deleted.
    assert counts["chain up"] == len(content.chains) == 4
    for what in (*ANSWERS, *ENDS):
        assert counts[what] >= 1, what
    assert all(step.seconds >= 0 for chain in content.chains for step in chain.steps)
    page = (out / "chain.html").read_text()
    assert "Chain holds" in page
    assert content.chains[0].namespace in page
    assert str(out / "chain.html") in ended.output
    assert "chain.html" in json.loads((out / ".published.json").read_text())["names"]
    # A later tool can make it again.
    assert chain_page.published(content, out) == page


def expiring(lasts: list[float], cluster: Cluster) -> None:
    """Have a clock that is three hours ahead, and note how long each new namespace lasts by it."""
    cluster.store.ahead = 3 * 3600

    def note(exchange: Exchange) -> None:
        labels = exchange.request.body["metadata"]["labels"]
        lasts.append(float(labels[EXPIRES_LABEL]) - cluster.store.now())
        exchange.send(exchange.answer())

    rule(lambda request: (request.verb, request.place.kind) == ("create", "Namespace"), note)(cluster)


def test_no_namespace_has_expired_when_it_is_made_whatever_the_clock_of_this_machine_says(tmp_path: Path) -> None:
    lasts: list[float] = []
    ahead = replace(RECORDS[0], command=("run", "--no-html", "--only", "CHAIN-PODS-010"), make=partial(expiring, lasts))
    ended = run(ahead, with_token(tmp_path), tmp_path)
    assert ended.code == 0, ended.output
    # Of the dry run, of the check, of the chain.
    assert len(lasts) == 3
    assert min(lasts) > 3600


def of_one_uid(cluster: Cluster) -> None:
    """Give a cluster the UID of every other: a cluster is known by that of its namespace kube-system."""
    key = ("Namespace", "", "kube-system")
    cluster.store.modify(key, lambda body: body["metadata"].update(uid="5c1e0000-0000-4000-8000-000000000000"))


def test_second_run_in_a_history_shows_the_first(tmp_path: Path) -> None:
    words = ("run", "--no-html", "--only", "CHAIN-PODS-010", "--history", str(tmp_path / "history"))
    record = replace(RECORDS[0], command=words, seconds=SECONDS, make=of_one_uid)
    for number in range(2):
        ended = run(record, with_token(tmp_path), tmp_path)
        assert ended.code == 0, ended.output
        assert ("The last 2 runs on this cluster" in (tmp_path / "out" / "chain.html").read_text()) == (number == 1)
