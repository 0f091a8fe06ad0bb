"""upgrade.html: a change on one time axis, and the same data as tables."""

import itertools
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubechain.core import redact
from kubechain.probes.load import Tally
from kubechain.upgrade.figures import figures
from kubechain.upgrade.model import AsideSamples, EventKind, NodeSpan, RouteSamples, UpgradeEvent, UpgradeRecord, Versions
from reports.upgrade_page import ZOOMS, page, tone
from reports.upgrade_view import (
    AXIS,
    CELLS,
    LAST_LABEL,
    LETTER,
    MOST_LANES,
    Label,
    cells,
    labels,
    loss,
    nodes,
    outages,
    placed_ticks,
    prefix,
    routes,
    ticks,
    versions,
)
from tests.test_upgrade_report import BEGAN, SECONDS, record, seen


class Texts(HTMLParser):
    """All texts of a page, its elements with their attributes, and whether every element is closed."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def parsed(made: UpgradeRecord, verdict: str = "chain holds") -> Texts:
    found = Texts(page(made, verdict))
    assert found.open == []
    return found


def drawn(each: RouteSamples) -> list[str]:
    whole = record(each)
    return cells(whole, figures(whole, each))


def test_cells_show_down_unknown_and_missing_samples() -> None:
    found = drawn(seen("API server", down=(50, 100), unknown=(100, 120), end=150))
    at = [found[int(CELLS * moment / SECONDS)] for moment in (25, 75, 130, 175)]
    assert at == ["up", "down", "up", ""]
    assert drawn(seen("DNS", unknown=(100, 120)))[CELLS * 110 // 200] == "unknown"
    assert set(drawn(seen("DNS"))) == {"up"}


def test_single_lost_or_unknown_request_is_drawn() -> None:
    assert "down" in drawn(seen("NodePort", down=(70, 70.1)))
    assert "unknown" in drawn(seen("NodePort", unknown=(70, 70.1)))


def test_gap_between_samples_is_not_up_and_unknown_time_in_an_outage_is_down() -> None:
    whole = seen("DNS")
    samples = tuple(each for each in whole.tally.samples if not 50 <= each.sent - BEGAN < 100)
    assert drawn(replace(whole, tally=Tally("DNS", samples)))[CELLS * 75 // 200] == ""
    assert drawn(seen("DNS", down=(50, 60), unknown=(60, 100)))[CELLS * 80 // 200] == "down"
    assert drawn(seen("DNS", end=0.1)).count("up") == 1


def overlapping(found: list[Label]) -> list[tuple[str, str]]:
    """Return the pairs of labels that overlap at 1280 pixels and no zoom."""

    def ends(label: Label) -> float:
        return label.left + 100 * len(label.text) * LETTER / AXIS

    lanes = itertools.groupby(sorted(found, key=lambda label: (label.lane, label.left)), key=lambda label: label.lane)
    pairs = [pair for _, lane in lanes for pair in itertools.pairwise(lane)]
    return [(one.text, other.text) for one, other in pairs if ends(one) > other.left]


WORDS = st.text("abcdefgh -/", min_size=1, max_size=90)


@given(st.lists(st.tuples(st.floats(0, SECONDS), st.sampled_from(["step", "node", "pod", "restart"]), WORDS), max_size=120))
def test_labels_never_overlap_and_stay_on_the_axis(made: list[tuple[float, EventKind, str]]) -> None:
    events = tuple(UpgradeEvent(BEGAN + at, kind, what) for at, kind, what in made)
    found = labels(record(events=events))
    assert overlapping(found) == []
    assert all(0 <= label.left <= label.at + 0.001 and label.lane < MOST_LANES for label in found)
    assert all(label.left + 100 * len(label.text) * LETTER / AXIS <= 100 for label in found)


def test_of_too_many_events_the_most_important_have_a_label_and_all_are_in_the_table() -> None:
    def many(kind: EventKind, what: str, count: int) -> list[UpgradeEvent]:
        return [UpgradeEvent(BEGAN + number * SECONDS / count, kind, f"{what} {number}") for number in range(count)]

    important = [*many("step", "step", 10), *many("restart", "etcd of cp started", 10)]
    events = [*many("pod", "pod", 90), *many("restart", "agent of cp started", 90), *important]
    made = record(events=tuple(events))
    assert {label.event for label in labels(made)} >= set(important)
    found = parsed(made)
    assert {event.what for event in events} <= set(found.texts)
    assert any(f"{len(events) - len(labels(made))} more are in the table" in text for text in found.texts)


def test_page_names_everything_and_has_the_same_data_as_tables() -> None:
    made = record(seen("API server", "get", down=(4, 6)), seen("NodePort", "<b>", down=(1, 2)))
    found = parsed(made, "chain broken at <x>")
    assert {
        "upgrade 1.36.3 -> 1.37.2",
        "chain broken at <x>",
        "NodePort <b>, new connections",
        "20 of 2,000 lost, unreachable 2.0 s (+-0.1)",
        "kubelet of <b> & co",
        "0:05.0 kubelet of <b> & co",
        "2.0 ± 0.1",
        "20 refused <&>",
        "API server",
        "kubelet of cp",
        "v1.37.2",
        "no",
        "yes",
    } <= set(found.texts)
    headings = [attributes["id"] for tag, attributes in found.elements if tag == "h2"]
    assert headings == ["axis", "outages", "routes", "events"]


def test_page_has_zoom_without_scripts() -> None:
    html = page(record(seen("DNS")), "x")
    found = Texts(html)
    assert [each["id"] for tag, each in found.elements if tag == "input"] == [f"zoom-{zoom}" for zoom in ZOOMS]
    assert all(f"#zoom-{zoom}:checked ~ .axis-box {{ --zoom: {zoom}; }}" in html for zoom in ZOOMS)
    assert not [tag for tag, _ in found.elements if tag in ("script", "svg", "img", "iframe")]
    assert "default-src 'none'" in html


def test_page_without_routes_and_events_is_whole() -> None:
    assert "None." in parsed(record(events=(), versions=(), ended=BEGAN)).texts


def test_event_outside_the_change_is_not_shown() -> None:
    made = record(events=(UpgradeEvent(BEGAN + SECONDS + 9, "step", "too late"),))
    assert "too late" not in page(made, "x")


def test_outages_come_with_what_happened_shortly_before_and_during_them() -> None:
    made = record(seen("NodePort", down=(10, 12)), seen("DNS", down=(150, 151)))
    first, second = outages(made)
    assert (first.route, [event.what for event in first.events]) == (
        "NodePort, new connections",
        ["kubelet of <b> & co", "etcd of cp started"],
    )
    assert second.events == []


def test_nodes_have_the_times_in_which_they_served_and_routes_what_stands_aside() -> None:
    spans = (NodeSpan("1", "a", BEGAN, BEGAN + 50, "cordoned"), NodeSpan("1", "a", BEGAN + 100, BEGAN + 200))
    (row,) = nodes(record(nodes=spans))
    assert [(bar.left, bar.width, bar.title) for bar in row.bars] == [(0, 25, "cordoned"), (50, 50, "serves")]
    (route,) = routes(record(replace(seen("NodePort"), aside={"cordoned": AsideSamples(20, 3)})))
    assert (route.note, route.tone) == ("0 of 2,000 lost, aside (cordoned): 3 of 20", "good")


def test_versions_are_bands_with_their_text_where_there_is_room() -> None:
    rows = {row.name: row for row in versions(record())}
    bars = [(bar.left, bar.title, bar.text) for bar in rows["API server"].bars]
    assert bars == [(0, "v1.36.3", "v1.36.3"), (25, "v1.37.2", "v1.37.2")]
    assert [bar.title for bar in rows["kube-proxy of cp"].bars] == ["v1.36.3"]


def test_secret_in_an_event_is_redacted_before_it_becomes_html() -> None:
    made = record(events=(UpgradeEvent(BEGAN + 1, "step", "`x --password hunter2&<`"),))
    html = page(made, "Authorization: Bearer abcdefgh12345678")
    assert redact.MARK in html
    assert "hunter2" not in html
    assert "abcdefgh12345678" not in html


@pytest.mark.parametrize("seconds", [0, 0.5, 59, 119, 3600, 7200, 100_000])
def test_ticks_are_few(seconds: float) -> None:
    assert len(ticks(seconds)) <= 17
    assert ticks(12)[:3] == [(0, "0 s"), (1, "1 s"), (2, "2 s")]
    assert ticks(400)[:3] == [(0, "0:00"), (30, "0:30"), (60, "1:00")]


def test_tick_at_the_right_end_has_no_label_that_would_leave_the_axis() -> None:
    placed = placed_ticks(record())
    assert placed[-1][0] > LAST_LABEL
    assert [bool(label) for _, label in placed] == [left <= LAST_LABEL for left, _ in placed]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("upgrade 1.36.3 -> 1.37.2: chain holds; NodePort 0 of 9 lost", "good"),
        ("chain broken at UPGRADE: x", "bad"),
        ("no verdict: interrupted", "unknown"),
        ("", ""),
    ],
)
def test_verdict_gives_the_page_its_colour(line: str, expected: str) -> None:
    assert tone(line) == expected


def on_nodes(*names: str) -> tuple[Versions, ...]:
    kubelets = dict.fromkeys(names, "v1.36.3")
    return (Versions(BEGAN, "v1.36.3", kubelets, kubelets),)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("kind-a-control-plane", "kind-a-worker", "kind-a-worker2"), "kind-a-"),
        (("ip-10-0-1-7.internal", "ip-10-0-1-24.internal"), "ip-10-0-1-"),
        (("worker1", "worker2"), ""),
        (("n-1", "n-2"), ""),
        (("only-one-node",), ""),
        ((), ""),
    ],
)
def test_what_the_names_of_all_nodes_begin_with_is_left_out(names: tuple[str, ...], expected: str) -> None:
    assert prefix(record(versions=on_nodes(*names))) == expected


def test_labels_and_rows_name_nodes_in_short_and_tables_in_full() -> None:
    first, second = "kind-a-worker", "kind-a-worker2"
    made = record(
        seen("NodePort", second, down=(10, 12)),
        versions=on_nodes(first, second),
        nodes=(NodeSpan("1", first, BEGAN, BEGAN + 50),),
        events=(UpgradeEvent(BEGAN + 5, "node", f"{second} cordoned"),),
    )
    assert [label.text for label in labels(made)] == ["…worker2 cordoned"]
    assert [row.name for row in (*routes(made), *nodes(made))] == ["NodePort …worker2, new connections", "Node …worker"]
    texts = parsed(made).texts
    assert {"NodePort kind-a-worker2, new connections", "kind-a-worker2 cordoned", "…worker2 cordoned"} <= set(texts)
    assert any("… stands for kind-a-." in text for text in texts)


def test_longest_loss_beyond_its_allowance_is_at_the_top_with_what_happened_before() -> None:
    long, allowed = seen("NodePort", "b", down=(10, 14)), seen("API server", "get", down=(20, 60))
    made = record(seen("NodePort", "a", down=(10, 12)), allowed, long)
    found = loss(made)
    assert found
    assert (found.path.seen, round(found.outage.seconds)) == (long, 4)
    assert [event.what for event in found.before] == ["kubelet of <b> & co", "etcd of cp started"]
    texts = parsed(made, "chain broken").texts
    assert {"unreachable for at most 0 s", "0:05.0 kubelet of <b> & co"} <= set(texts)
    assert any(text.startswith("4.0 ± 0.1 s from 0:10.0 on, 40 lost: 40 refused <&>") for text in texts)
    assert [row.tone for row in routes(made)] == ["bad", "bad", "good"]
    assert loss(record(allowed, seen("NodePort", unknown=(1, 3)))) is None


def test_events_at_the_top_are_few_and_the_last_before_the_outage() -> None:
    events = tuple(UpgradeEvent(BEGAN + 50 + number, "pod", f"pod {number}") for number in range(9))
    found = loss(record(seen("NodePort", down=(56, 58)), events=events))
    assert found
    assert [event.what for event in found.before] == ["pod 3", "pod 4", "pod 5", "pod 6"]
