"""The commands on finished runs: compare, history, gate and merge."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from kubechain.claims.records import read_run
from kubechain.cli import parts
from kubechain.cli.commands import CompareCommand, GateCommand, HistoryCommand, MergeCommand
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.settings import Format
from kubechain.results import comparison, rules, runs
from kubechain.results import gate as gates
from kubechain.results import history as histories


def work(command: CompareCommand | HistoryCommand | GateCommand | MergeCommand) -> int:
    """Run a command; return its exit code."""
    match command:
        case CompareCommand():
            return compare(command)
        case HistoryCommand():
            return history(command)
        case GateCommand():
            return gate(command)
        case MergeCommand():
            return merge(command)


def compare(command: CompareCommand) -> int:
    """Print what differs between two sets of runs; return HOLDS, WORSE, or HARNESS if nothing can be said."""
    _require_one_format(command)
    before, after = (runs.read_all(_given(getattr(command, name), f"compare: {name.upper()}")) for name in ("before", "after"))
    found = comparison.compare(before, after)
    bundled("reports.comparison").show(found, as_json=command.json_, as_markdown=command.markdown)
    return found.exit_code


def history(command: HistoryCommand) -> int:
    """Print the last runs in a folder, by cluster and version of Kubernetes."""
    _require_one_format(command)
    found = histories.trends(runs.read_all(_given(command.history, "history: HISTORY")), command.last)
    bundled("reports.comparison").show_trends(found, as_json=command.json_, as_markdown=command.markdown)
    return ExitCode.HOLDS


def gate(command: GateCommand) -> int:
    """Print whether the result of a run keeps the rules of a file; return HOLDS or GATE."""
    gate_rules = rules.read(_given(command.gate, "gate: --gate"))
    file = _given(command.result, "gate: RESULT")
    if not file.is_file():
        what = "a folder" if file.is_dir() else "not a regular file" if file.exists() else "no such file"
        raise SetupError(f"{file}: {what}; name the run.json of a finished run", ExitCode.USAGE)
    try:
        result = gates.check(gate_rules, read_run(file))
    except SetupError as error:
        result = gates.unread(str(error))
    Console(highlight=False).print(result.line, style="bold green" if result.kept else "bold red", soft_wrap=True, markup=False)
    return result.exit_code


def merge(command: MergeCommand) -> int:
    """Merge the results of the parts of a suite, and keep them; return the exit code of the verdict, or of the gate."""
    gate_rules = rules.read(command.gate, command.history) if command.gate else None
    if bool(command.results) == bool(command.result_config_map):
        raise SetupError("merge: name the folders of the parts, or their ConfigMaps (--result-config-map)", ExitCode.USAGE)
    if command.result_config_map and not command.context:
        raise SetupError(f"--result-config-map={command.result_config_map}: needs a context: add --context", ExitCode.USAGE)
    with tempfile.TemporaryDirectory() as temporary:
        if command.result_config_map:
            parts.fetch(command.context, str(command.kubeconfig or ""), command.result_config_map, Path(temporary))
        folders = [path.expanduser() for path in command.results] or [Path(temporary)]
        merged = bundled("reports.merged").merge(folders, command.out)
    console = Console(highlight=False)
    console.print(merged.verdict, style="bold green" if merged.holds else "bold red", soft_wrap=True, markup=False)
    # Before the run is in the history, as at the end of a run.
    checked = gates.check(gate_rules, merged) if gate_rules else None
    if command.history:
        histories.keep(command.out, command.history)
    if checked:
        console.print(checked.line, style="bold green" if checked.kept else "bold red", soft_wrap=True, markup=False)
    return checked.exit_code if checked and merged.exit_code == ExitCode.HOLDS else merged.exit_code


def _given(path: Path | None, what: str) -> Path:
    """Return a path as it is on this machine; SetupError (exit code USAGE) if it is missing."""
    if path is None:
        raise SetupError(f"{what} is missing (see --help)", ExitCode.USAGE)
    return path.expanduser()


def _require_one_format(command: Format) -> None:
    if command.json_ and command.markdown:
        raise SetupError("--json: not with --markdown; omit one of them", ExitCode.USAGE)
