import os
import signal
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core import process, settings
from kubechain.core import run as runs
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.default_folders import default_cache
from kubechain.core.errors import ExitCode, HarnessError, SetupError, Unmet, unmet_as
from kubechain.core.process import check, run
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL, Run, owner
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return bool(process.identity(pid))


def ended(pid: int) -> bool:
    """Whether a process ends within a second; kill it otherwise."""
    gone = Condition[bool]("ended", lambda alive: expect(not alive, f"pid {pid} lives"))
    source = Polled("process", lambda: lives(pid), RealClock(), interval=0.01)
    try:
        Waiter(RealClock()).eventually(source, gone, within=Timeout(1, "it was killed"))
    except Unmet:
        os.kill(pid, signal.SIGKILL)
        return False
    return True


def test_run_returns_output_and_any_exit_status() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], timeout=10, stdin="in", env={"X": "1"})
    assert (done.status, done.stdout, done.stderr) == (3, "in", "err\n")


def test_undecodable_bytes_are_replaced() -> None:
    assert run(["printf", "a\\377b"], timeout=10).stdout == "a\ufffdb"


def test_missing_program_has_exit_code_tools() -> None:
    with pytest.raises(SetupError, match="cannot run no-such-program") as caught:
        run(["no-such-program"], timeout=10)
    assert caught.value.code == ExitCode.TOOLS


def child(folder: Path) -> int:
    return int((folder / "pid").read_text())


def test_timeout_ends_a_program_and_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(SetupError, match="took more than"):
        run(["sh", "-c", "sleep 30 & echo $! > pid; wait"], timeout=0.3, cwd=tmp_path)
    assert time.monotonic() - began < 5
    assert ended(child(tmp_path))


def test_program_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    with pytest.raises(SetupError, match="took more than"):
        run(["sh", "-c", "trap '' TERM; echo $$ > pid; sleep 30"], timeout=0.3, cwd=tmp_path)
    assert ended(child(tmp_path))


def test_program_that_is_ended_has_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    script = "trap 'sleep 1; touch ended; exit' TERM; while :; do sleep 0.05; done"
    with pytest.raises(SetupError, match="took more than"):
        run(["sh", "-c", script], timeout=0.3, cwd=tmp_path, grace=20)
    assert (tmp_path / "ended").exists()


def test_timeout_ends_a_child_that_outlives_its_program(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="took more than"):
        run(["sh", "-c", "sleep 30 & echo $! > pid"], timeout=0.3, cwd=tmp_path)
    assert ended(child(tmp_path))


def test_failed_command_is_reported_with_its_last_lines_in_one_line() -> None:
    script = "for n in 1 2 3 4 5; do echo line $n >&2; done; exit 4"
    with pytest.raises(SetupError) as caught:
        check(["sh", "-c", script], timeout=10, code=ExitCode.IMAGES, doing="building x")
    assert str(caught.value) == "building x failed (status 4): line 3 | line 4 | line 5"
    assert caught.value.code == ExitCode.IMAGES
    assert check(["echo", "fine"], timeout=10) == "fine\n"


def test_artifact_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "x").write_text("x")

    found = [BuildCache(tmp_path / "new").artifact("kind", "abc", make, needs_gib=0) for _ in range(2)]
    assert len(made) == 1
    assert found[0] == found[1] == tmp_path / "new" / "kind-abc"
    assert (found[0] / "x").read_text() == "x"


def test_failed_artifact_leaves_no_folder_and_can_be_made_later(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    cache = BuildCache(tmp_path)
    with pytest.raises(RuntimeError):
        cache.artifact("kind", "abc", fail, needs_gib=0)
    assert [path.name for path in tmp_path.iterdir()] == [".lock-kind"]
    assert list(cache.artifact("kind", "abc", lambda _: None, needs_gib=0).iterdir()) == []


def test_folder_of_a_killed_build_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".half-kind").mkdir()
    (tmp_path / ".half-kind" / "old").write_text("x")
    found = BuildCache(tmp_path).artifact("kind", "abc", lambda folder: (folder / "new").touch(), needs_gib=0)
    assert [path.name for path in found.iterdir()] == ["new"]


def test_full_disk_is_reported_before_the_artifact_is_made(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"GiB free in .*, 1e\+06 GiB needed") as caught:
        BuildCache(tmp_path).artifact("kind", "abc", lambda _: pytest.fail("was made"), needs_gib=1e6)
    assert caught.value.code == ExitCode.DISK


def test_scratch_folder_is_removed_after_use_and_swept_only_without_a_holder(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    with cache.scratch() as folder:
        assert list(folder.iterdir()) == []
        assert cache.sweep() == []
        assert folder.is_dir()
    assert not folder.exists()
    (tmp_path / ".scratch-dead").mkdir()
    (tmp_path / ".half-kind").mkdir()
    assert len(cache.sweep()) == 2


def test_cache_is_busy_while_an_artifact_is_made(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    assert not cache.busy()
    with cache.locked("kind"):
        assert cache.busy()
    assert not cache.busy()


def test_key_depends_on_text_order_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = key(tmp_path, "x")
    assert before == key(tmp_path, "x")
    assert len(before) == 12
    assert key("ab", "c") != key("a", "bc")
    assert key(tmp_path, "y") != before
    (tmp_path / "a").write_text("2")
    changed = key(tmp_path, "x")
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({before, changed, key(tmp_path, "x")}) == 3


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("KUBECHAIN_IMAGES", "maybe", "'auto', 'pull' or 'build'"),
        ("KUBECHAIN_LEVEL", "all", "'quick' or 'full'"),
        ("KUBECHAIN_DISRUPTIVE", "perhaps", "boolean"),
    ],
)
def test_invalid_value_is_reported_with_variable_and_choices(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=f"^{name}={value}: ") as caught:
        settings.load()
    assert wanted in str(caught.value)
    assert caught.value.code == ExitCode.USAGE


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("K8S", "IMAGES", "CONTEXT", "LEVEL", "DISRUPTIVE", "PULL_SECRET", "OUT", "CACHE"):
        monkeypatch.setenv(f"KUBECHAIN_{name}", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = settings.load()
    assert (found.k8s, found.images, found.context, found.level, found.disruptive) == ("", "auto", "", "quick", False)
    assert found.pull_secret is None
    assert found.cache == tmp_path / "kubechain"
    assert found.out == Path.cwd() / "reports" / "out"


def test_run_has_a_new_id_or_the_id_of_its_controller(tmp_path: Path) -> None:
    first, second = runs.new(tmp_path), runs.new(tmp_path)
    assert first.id != second.id
    assert len(first.id) == 8
    assert runs.new(tmp_path, first.id).folder == first.folder == tmp_path / ".runs" / first.id


def test_labels_of_a_run_have_its_id_and_expiry() -> None:
    run_ = Run("0a1b2c3d", Path("x"), datetime(2026, 1, 1, tzinfo=UTC))
    assert run_.name == "kubechain-0a1b2c3d"
    assert run_.labels == {
        RUN_LABEL: "0a1b2c3d",
        EXPIRES_LABEL: str(int(datetime(2026, 1, 1, 2, tzinfo=UTC).timestamp())),
    }


def progress() -> tuple[Progress, StringIO]:
    text = StringIO()
    return Progress(Console(file=text, width=200, force_terminal=False)), text


def test_progress_prints_plain_lines_with_notes_and_keeps_the_steps() -> None:
    shown, text = progress()
    with shown.step("image [x]") as step:
        step.note("built")
        assert text.getvalue() == "  .. image [x]\n"
    assert text.getvalue().splitlines()[1].startswith("  ok image [x] (0.0 s) built")
    assert [(each.title, each.notes) for each in shown.steps] == [("image [x]", ["built"])]


def test_step_that_raises_is_printed_as_failed_and_raises_on() -> None:
    shown, text = progress()
    with pytest.raises(SetupError), shown.step("image"):
        raise SetupError("no")
    assert "  failed image (" in text.getvalue()
    assert shown.steps[0].seconds > 0


def test_interrupted_step_is_printed_as_failed() -> None:
    shown, text = progress()
    with pytest.raises(KeyboardInterrupt), shown.step("image"):
        raise KeyboardInterrupt
    assert "failed image" in text.getvalue()


def test_exit_codes_of_trouble_differ_from_those_of_pytest() -> None:
    trouble = [code for code in ExitCode if code > 5]
    assert min(trouble) >= 10
    assert len(set(trouble)) == len(trouble)
    assert SetupError("x").code == ExitCode.HARNESS


@pytest.mark.parametrize(
    ("what", "message"), [("", "not there"), ("the engine does not start", "the engine does not start: not there")]
)
def test_unmet_wait_of_a_set_up_becomes_a_setup_error(what: str, message: str) -> None:
    cause = Unmet("not there")
    with pytest.raises(SetupError) as caught, unmet_as(SetupError, what, code=ExitCode.ENGINE):
        raise cause
    assert (str(caught.value), caught.value.code, caught.value.__cause__) == (message, ExitCode.ENGINE, cause)


def test_other_errors_pass_through_unmet_as() -> None:
    with pytest.raises(HarnessError, match=r"^unreachable$") as kept, unmet_as(SetupError, "x"):
        raise HarnessError("unreachable")
    assert type(kept.value) is HarnessError
    with unmet_as(SetupError, "x"):
        pass


def test_user_without_a_name_and_a_home_is_told_to_set_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SetupError, match="no home folder for the cache: set a folder with --cache") as caught:
        default_cache()
    assert caught.value.code == ExitCode.USAGE
    assert owner().startswith(f"{os.getuid()}@")
