"""The last answers that a claim got, as text: which place reached which backend, and what names resolved to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page, who

# Rows and columns of a table.
MOST_PLACES, MOST_BACKENDS = 60, 12


def tables(answers: Mapping[str, object], asked: Collection[str]) -> str:
    """Return a table for each of the sources `asked` that answered with pages: a row for each place, a column for each answer."""
    found = [(what, _by_place(answer)) for what, answer in answers.items() if what in asked]
    return "\n\n".join("\n".join([f"{what}:", *_table(places)]) for what, places in found if places)


def names(answers: Mapping[str, object], asked: Collection[str]) -> str:
    """Return what the sources `asked` got from DNS, a line for each name."""
    lines: list[str] = []
    for what, answer in answers.items():
        found: list[object] = answer if isinstance(answer, list) and what in asked else []  # pyright: ignore[reportUnknownVariableType]  # any answer
        lines += [f"{what}: {each.name} -> {each}" for each in found if isinstance(each, Answer)]
    return "\n".join(lines)


def _by_place(answer: object) -> dict[str, Counter[str]]:
    """Return place -> who answered how often, {} for an answer that has no pages."""
    places: dict[str, Counter[str]] = {}
    for place, pages in _entries(answer):
        for page in pages:
            if isinstance(page, Page):
                places.setdefault(place or page.url, Counter())[who(page)] += 1
    return places


def _entries(answer: object) -> list[tuple[str, Sequence[object]]]:
    entries: Mapping[object, object] = answer if isinstance(answer, Mapping) else {"": answer}  # pyright: ignore[reportUnknownVariableType]  # any answer
    return [(str(place), pages) for place, pages in entries.items() if isinstance(pages, list)]  # pyright: ignore[reportUnknownVariableType]


def _table(places: Mapping[str, Counter[str]]) -> list[str]:
    backends = sorted({each for counts in places.values() for each in counts})
    columns = backends[:MOST_BACKENDS]
    shown = list(places.items())[:MOST_PLACES]
    wide = max(len("asked"), *(len(place) for place, _ in shown))
    rows = [["asked".ljust(wide), *columns]]
    rows += [[place.ljust(wide), *(str(counts[name]).rjust(len(name)) for name in columns)] for place, counts in shown]
    lines = ["  " + "  ".join(row) for row in rows]
    left = [(len(places) - MOST_PLACES, "places"), (len(backends) - MOST_BACKENDS, "answers")]
    return [*lines, *(f"  ... and {count} more {what}" for count, what in left if count > 0)]
