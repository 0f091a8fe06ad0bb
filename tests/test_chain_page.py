"""chain.html without a browser: content, order, escaping, redaction and size."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, read_run
from reports import chain_page, chain_view, templates
from reports.chain_view import Message, State
from tests.fakes import record, run_record
from tests.pages.runs import FAULTS, NO_DUAL_STACK, RUNS, Fault, claims, green

HOSTILE = "</pre></style><script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>\"'&{{ 7*7 }}"
# Elements that have no end tag.
VOID = {"meta", "link", "br", "img"}


class Reader(HTMLParser):
    """Reads a page strictly: each end tag ends the element that is open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not set(self.open) & {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(name: str) -> Reader:
    made = RUNS[name]()
    return Reader(made.page)


def headings(text: str) -> list[str]:
    return re.findall(r"<h(\d)", text)


@pytest.mark.parametrize("name", RUNS)
def test_page_is_one_small_file_that_loads_nothing_and_runs_nothing(name: str) -> None:
    made = RUNS[name]()
    text = made.page
    assert len(text.encode()) < 200_000
    page = Reader(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed", "svg"} == set()
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("href", "src")]
    assert [address for address in addresses if address != "data:," and not str(address).startswith("#")] == []
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(address)[1:] for address in addresses if str(address).startswith("#")} <= targets
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", RUNS)
def test_page_has_one_heading_of_the_first_level_and_no_level_is_left_out(name: str) -> None:
    levels = list(map(int, headings(RUNS[name]().page)))
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(later <= before + 1 for before, later in pairwise(levels))


@pytest.mark.parametrize("cause", FAULTS, ids=lambda cause: cause.link)
def test_broken_run_says_first_what_is_broken(cause: Fault) -> None:
    text = read(f"broken-{cause.link.lower()}").text
    message = chain_view.message_of(cause.message)
    told = [
        f"Chain broken at {cause.link}",
        f"First broken link {cause.link}",
        f"Expected {message.expected}",
        "Got " + message.got[:80],
        f"How long {message.waited}",
        "Component " + (cause.suspects or "no component"),
        "The chain, link by link",
        "first broken link",
        "Failed:",
        "Blocked:",
    ]
    places = [text.index(words) for words in told]
    assert places == sorted(places)


def test_evidence_of_the_first_broken_link_is_at_the_top_and_once() -> None:
    text = read("broken-endpoints").text
    assert text.count("Deployment web ✓ 2/2 ready") == 1
    assert text.index("owner graph Deployment web") < text.index("The chain, link by link")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("green", ["Chain holds", "87 claims in 48.9 s", "chain up in 1.10 s", "Pod start-up p99 0.708 s meets"]),
        ("interrupted", ["No verdict", "interrupted after 47 of 95 claims", "48 claims: never reported"]),
        ("inconclusive", ["No verdict", "95 claims inconclusive", "95 claims: API server https://127.0.0.1:33533"]),
        ("skipped", ["Chain holds", "86 skipped", "29 claims: needs the right to list nodes"]),
        ("fail-fast", ["Chain broken at ENDPOINTS", "48 not run", "48 claims: the run ended at the first broken link"]),
        (
            "known-issue",
            ["Chain holds with 1 known issue", "1 known issue", "DNS ! known issue", "Known issues:", "owned by ann", "NXDOMAIN"],
        ),
        ("known-issue-expired", ["Chain broken at DNS", "Known issue expired on 2026-11-20: CoreDNS bug 12, ann"]),
        ("known-issue-stale", ["Known issue CHAIN-DNS-010 no longer fails", "remove it from known.yaml; else the chain holds"]),
        (
            "trend",
            [
                "of the last 20 runs 17 hold",
                "14 slower , 0 faster",
                "chain up p50 is slower",
                "2026-11-27 05:54 this run",
                "broken at DNS",
                "broken at ENDPOINTS",
            ],
        ),
    ],
)
def test_run_of_another_kind_says_what_it_is(name: str, told: list[str]) -> None:
    text = read(name).text
    places = [text.index(words) for words in told]
    assert places == sorted(places)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_is_told_in_words(outcome: Outcome) -> None:
    run = run_record(None, record(Link.DNS, outcome, "why", waits_for="PODS" if outcome == Outcome.BLOCKED else None))
    text = Reader(chain_page.page(run, {})).text
    assert f"1 {outcome}" in text
    assert f"{outcome} CHAIN-DNS-010" in text


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (["passed", "skipped"], State.HOLDS),
        (["passed", "failed", "blocked", "inconclusive"], State.BROKEN),
        (["passed", "blocked", "inconclusive"], State.INCONCLUSIVE),
        (["passed", "blocked"], State.BLOCKED),
        (["passed", "not run"], State.NOT_RUN),
        (["skipped"], State.SKIPPED),
        ([], State.NO_CLAIMS),
    ],
)
def test_state_of_a_link_is_the_worst_of_its_claims(outcomes: list[str], state: State) -> None:
    made = [
        record(Link.DNS, each, "m", id=f"CHAIN-DNS-{n:03}", waits_for="PODS" if each == "blocked" else None)
        for n, each in enumerate(outcomes)
    ]
    views = {view.link: view for view in chain_view.links(run_record(None, *made))}
    assert views[Link.DNS].state == state
    assert sum(views[Link.DNS].counts.values()) == len(outcomes)
    assert list(views) == list(Link)


def test_link_that_blocks_is_broken_and_one_that_is_up_is_not_blocked() -> None:
    opened = record(Link.PODS, "passed").model_copy(update={"opens": True})
    blocked = record(Link.PODS, "blocked", "blocked by ENDPOINTS: none", waits_for="ENDPOINTS", id="CHAIN-PODS-020")
    run = run_record("ENDPOINTS", opened, blocked)
    states = {view.link: view.state for view in chain_view.links(run)}
    assert (states[Link.PODS], states[Link.ENDPOINTS]) == (State.HOLDS, State.BROKEN)
    assert chain_view.first(run, {}) == chain_view.Broken(Link.ENDPOINTS, blocked, Message("", "none", ""), "", "")


def test_known_issue_breaks_no_link_and_what_is_blocked_behind_it_is_blocked() -> None:
    run = RUNS["known-issue"]().run
    opens = [claim.model_copy(update={"opens": True}) if claim.known else claim for claim in run.claims]
    behind = record(Link.SCALE, "blocked", "blocked by DNS: none", waits_for="DNS")
    states = {view.link: view.state for view in chain_view.links(run.model_copy(update={"claims": [*opens, behind]}))}
    assert (states[Link.DNS], states[Link.SCALE]) == (State.KNOWN, State.BLOCKED)


@pytest.mark.parametrize("name", ["known-issue-expired", "known-issue-stale"])
def test_known_issue_that_expired_or_no_longer_fails_is_red(name: str) -> None:
    assert '<header class="answer bad">' in RUNS[name]().page
    assert '<header class="answer good">' in RUNS["known-issue"]().page


def test_page_without_earlier_runs_has_no_trend_and_a_few_say_nothing_on_speed() -> None:
    last = RUNS["trend"]()
    assert 'id="trend"' not in chain_page.page(last.run, {})
    text = Reader(chain_page.page(last.run, {}, last.earlier[-3:])).text
    assert "of the last 4 runs 4 hold" in text
    assert "no verdict on speed under 8 runs on each side (got 0 and 4)" in text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("expected a (b), got c (waited 1.0 of 1 s: why (so))", ("a (b)", "c", "waited 1.0 of 1 s: why (so)")),
        ("expected a, got b, got c", ("a", "b, got c", "")),
        ("expected a, got 2 (x, y) (gave up after 0.1 s: vain)", ("a", "2 (x, y)", "gave up after 0.1 s: vain")),
        ("expected a, got b (at 1.0 of 5 s: must hold at every moment)", ("a", "b", "at 1.0 of 5 s: must hold at every moment")),
        ("blocked by PODS: expected a, got b", ("a", "b", "")),
        (
            "expected a, got b (waited 1.0 of 1 s: c) (known issue expired on 2026-11-20: d, e)",
            ("a", "b", "waited 1.0 of 1 s: c", "expired on 2026-11-20: d, e"),
        ),
        ("assert 1 == 2", ("", "assert 1 == 2", "")),
    ],
)  # fmt: skip
def test_message_is_told_in_its_parts(text: str, parts: tuple[str, ...]) -> None:
    assert chain_view.message_of(text) == Message(*parts)


def hostile() -> Iterator[ClaimRecord]:
    for claim in claims():
        yield claim.ended(Outcome.FAILED, f"expected {HOSTILE}, got {HOSTILE}", suspects=HOSTILE, worker=HOSTILE)


def test_text_from_a_cluster_stays_text() -> None:
    made = green()
    texts = {"verdict": f"chain broken at DNS: {HOSTILE}", "versions": {HOSTILE: HOSTILE}}
    run = made.run.model_copy(update={"claims": list(hostile()), "first_broken_link": Link.DNS, **texts})
    chains = [chain.model_copy(update={"namespace": HOSTILE}) for chain in run.chains]
    text = chain_page.page(run.model_copy(update={"chains": chains}), {claims()[0].id: HOSTILE + "\x00\u202egnp.exe"})
    page = Reader(text)
    assert {tag for tag, _ in page.tags} & {"script", "img"} == set()
    assert "{{ 7*7 }}" in page.text
    assert "\x00" not in text
    assert "\u202e" not in text


def test_file_of_schema_1_becomes_a_page() -> None:
    run = read_run(Path(__file__).parent / "data" / "run-schema-1.json")
    assert run.verdict.partition(":")[0].lower() in Reader(chain_page.page(run, {})).text.lower()


def test_skipped_claims_are_grouped_by_reason() -> None:
    groups = chain_view.by_message(claim for claim in green().run.claims if claim.outcome == Outcome.SKIPPED)
    assert {reason: len(group) for reason, group in groups.items()} == {NO_DUAL_STACK: 8}


def test_waterfall_has_the_claims_that_looked_at_its_chain_and_a_scale_for_each_part() -> None:
    first, *others = chain_view.waterfalls(RUNS["interrupted"]().run)
    assert others == []
    assert "CHAIN-PODS-010" in first.claims
    (part,) = first.parts
    assert (part.began, part.ended) == (0.0, 0.81)
    assert round(part.bars[-1].left + part.bars[-1].width, 1) == 100.0
    assert part.bars[0].what == "ReplicaSet created"


@pytest.mark.parametrize(("value", "told"), [(0.0163, "0.016 s"), (1.254, "1.25 s"), (31.24, "31.2 s"), (240.4, "240 s")])
def test_durations_have_about_three_digits(value: float, told: str) -> None:
    assert templates.seconds(value) == told
