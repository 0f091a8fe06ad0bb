"""The quality gate: whether the result of a run keeps the rules of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubechain.claims.claim import Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import partial
from kubechain.conditions.text import counted, some
from kubechain.core.errors import ExitCode
from kubechain.results import comparison, speed
from kubechain.results import runs as finished
from kubechain.results.rules import ADMISSION, OTHER, REQUIREMENTS, RIGHTS, Gate, Rules


@dataclass(frozen=True)
class Checked:
    """One rule after the check: why it is not kept, "" if it is, and a note for a rule that had nothing to check."""

    name: str
    why: str
    note: str = ""


@dataclass(frozen=True)
class GateResult:
    """All rules after the check."""

    rules: Sequence[Checked]

    @property
    def kept(self) -> bool:
        """Whether all rules are kept."""
        return not any(rule.why for rule in self.rules)

    @property
    def exit_code(self) -> ExitCode:
        """HOLDS if all rules are kept, else GATE."""
        return ExitCode.HOLDS if self.kept else ExitCode.GATE

    @property
    def line(self) -> str:
        """The result as one line."""
        broken = [f"{rule.name}: {rule.why}" for rule in self.rules if rule.why]
        notes = "".join(f" ({rule.name}: {rule.note})" for rule in self.rules if rule.note)
        if broken:
            return f"gate: {len(broken)} of {counted(len(self.rules), 'rule')} not kept: {'; '.join(broken)}{notes}"
        return f"gate: {counted(len(self.rules), 'rule')} kept{notes}"


def check(gate: Gate, run: RunRecord) -> GateResult:
    """Check the result of a run; the rules `complete` and `holds` are always there."""
    history = finished.read_all(gate.history) if gate.history and any(gate.history.iterdir()) else []
    part = partial(run.selection) if run.selection else ""
    rules = [Checked("complete", _complete(run), part), Checked("holds", _holds(run)), *_counts(gate.rules, run.claims)]
    if gate.rules.skips is not None:
        rules.append(Checked("skips", _skips(gate.rules.skips, run.claims)))
    rules += _hand_overs(gate.rules, run)
    if gate.history:
        rules.append(_regression(run, finished.of_place(history, run)))
    return GateResult(rules)


def unread(why: str) -> GateResult:
    """Return the result for a run whose run.json cannot be read."""
    return GateResult([Checked("complete", why)])


def _complete(run: RunRecord) -> str:
    """Return why a result is empty, or does not agree with itself, as one that was cut off or edited; else ""."""
    if not run.claims:
        return "the result has no claims"
    found = Counter(claim.outcome for claim in run.claims)
    stated = Counter({outcome: count for outcome, count in run.counts.items() if count})
    if found != stated:
        return f"the result has {counted(len(run.claims), 'claim')}, and counts {stated.total()}"
    if run.holds != (run.exit_code == ExitCode.HOLDS):
        return f"holds is {str(run.holds).lower()}, and the exit code {int(run.exit_code)}"
    return "" if found[Outcome.PASSED] else "no claim passed"


def _holds(run: RunRecord) -> str:
    return "" if run.exit_code == ExitCode.HOLDS else f"exit code {int(run.exit_code)}: {run.verdict}"


def _counts(rules: Rules, claims: Sequence[ClaimRecord]) -> Iterator[Checked]:
    outcomes = Counter(claim.outcome for claim in claims)
    most = {
        "failed": (rules.failed, outcomes[Outcome.FAILED]),
        "knownIssues": (rules.knownIssues, sum(claim.known is not None for claim in claims)),
        "blocked": (rules.blocked, outcomes[Outcome.BLOCKED]),
        "inconclusive": (rules.inconclusive, outcomes[Outcome.INCONCLUSIVE]),
    }
    for name, (bound, count) in most.items():
        if bound is not None:
            yield Checked(name, f"expected at most {bound}, got {count}" if count > bound else "")
    if rules.passed is not None:
        passed = outcomes[Outcome.PASSED]
        yield Checked("passed", f"expected at least {rules.passed}, got {passed}" if passed < rules.passed else "")


def _skips(allowed: Sequence[str], claims: Sequence[ClaimRecord]) -> str:
    skipped = [claim for claim in claims if claim.outcome == Outcome.SKIPPED]
    # Some requirements have the same text; one of them is enough.
    texts = {requirement.text for requirement in REQUIREMENTS if requirement.id in allowed}
    texts |= {reason for reason in (RIGHTS, ADMISSION, OTHER) if reason in allowed}
    wrong = [f"{claim.id} ({claim.message})" for claim in skipped if not causes(claim.message or "") <= texts]
    return f"{counted(len(wrong), 'claim')} skipped for another reason: {some(wrong)}" if wrong else ""


def causes(message: str) -> set[str]:
    """Return why a claim was skipped: the texts of requirements, or RIGHTS, ADMISSION or OTHER."""
    if message.startswith("changed at admission: "):
        return {ADMISSION}
    rest, needed = message.removeprefix("needs "), set[str]()
    if rest == message:
        return {OTHER}
    for requirement in sorted(REQUIREMENTS, key=lambda each: -len(each.text)):
        if requirement.text in rest:
            needed.add(requirement.text)
            rest = rest.replace(requirement.text, "")
    rest = rest.strip(" ,")
    if rest:
        needed.add(RIGHTS if rest.startswith("the right") else OTHER)
    return needed


def _hand_overs(rules: Rules, run: RunRecord) -> Iterator[Checked]:
    measured = {each.what: each for each in run.hand_overs}
    for what, bounds in (rules.handOvers or {}).items():
        for name, bound in bounds.model_dump(exclude_none=True).items():
            seconds = getattr(measured.get(what), name, None)
            why = (
                "not measured"
                if seconds is None
                else f"expected at most {bound:g} s, got {seconds:g} s"
                if seconds > bound
                else ""
            )
            yield Checked(f"{what} {name}", why)


def _regression(run: RunRecord, before: Sequence[RunRecord]) -> Checked:
    """Compare a run with the last one before it; their speed, that of the last MIN_RUNS runs with that of all before these."""
    earlier = [other for other in before if other.started <= run.started]
    if not earlier:
        return Checked("noRegression", "", "no earlier run on this cluster with this version of Kubernetes")
    every = [*earlier, run]
    pace = speed.changes(every[: -speed.MIN_RUNS], every[-speed.MIN_RUNS :])
    found = comparison.compare(earlier[-1:], [run], pace)
    return Checked("noRegression", found.line if found.exit_code != ExitCode.HOLDS else "", pace.silent)
