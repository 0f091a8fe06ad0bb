"""What is published where, and what is never taken away for it."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kubechain.core import publish, redact_files
from kubechain.core.errors import ExitCode, SetupError

TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-_x"  # noqa: S105  # made up
JUNIT = f"""<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite><testcase name="a">
<failure message="API server: 403: token: hunter2hunter2">password=hunter2hunter2</failure>
<system-err>Authorization: Bearer {TOKEN}</system-err></testcase></testsuite></testsuites>"""


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def shown(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if not path.name.startswith("."))


def run_of(out: Path, *names: str) -> Path:
    return write(out / ".runs" / "mine", *names)


def test_published_results_take_the_place_of_those_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish.publish(run_of(out, "run.json", "evidence/old.txt"), out)
    write(out, ".runs/other/run.json")
    folder = run_of(out, "run.json", "summary.md", "evidence/new.txt")
    publish.publish(folder, out)
    publish.discard(folder)
    assert shown(out) == ["evidence", "run.json", "summary.md"]
    assert [path.name for path in (out / "evidence").iterdir()] == ["new.txt"]
    assert not folder.exists()
    assert (out / ".runs" / "other" / "run.json").exists()


def test_results_of_versions_without_a_manifest_are_replaced(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "run.json", "summary.md", "faults/a/run.json")
    publish.publish(run_of(out, "run.json"), out)
    assert shown(out) == ["run.json"]


@pytest.mark.parametrize("names", [["notes.txt"], ["run.json", "notes.txt"], ["report/index.html"], [".ssh/key"]])
def test_folder_with_files_of_others_is_refused_and_kept(tmp_path: Path, names: list[str]) -> None:
    out = write(tmp_path / "home", *names)
    with pytest.raises(SetupError, match="which kubechain did not write") as raised:
        publish.require_ours(out)
    assert raised.value.code == ExitCode.USAGE
    with pytest.raises(SetupError):
        publish.publish(run_of(tmp_path / "elsewhere", "run.json"), out)
    assert all((out / name).read_text() == name for name in names)


def test_file_added_to_published_results_is_not_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish.publish(run_of(out, "run.json"), out)
    write(out, "notes.txt")
    with pytest.raises(SetupError):
        publish.publish(run_of(out, "run.json"), out)
    assert shown(out) == ["notes.txt", "run.json"]


@pytest.mark.parametrize("names", [["../outside"], ["/etc"], [""], [".."], ["a/b"]])
def test_names_outside_the_folder_in_a_manifest_are_ignored(tmp_path: Path, names: list[str]) -> None:
    outside = write(tmp_path, "outside/file") / "outside"
    out = write(tmp_path / "out")
    out.mkdir()
    (out / publish.MANIFEST).write_text(json.dumps({"names": names}))
    publish.publish(run_of(out, "run.json"), out)
    assert (outside / "file").exists()


def test_link_in_published_results_is_removed_and_its_target_is_kept(tmp_path: Path) -> None:
    out, target = tmp_path / "out", write(tmp_path / "target", "file")
    publish.publish(run_of(out, "run.json", "evidence/a.txt"), out)
    publish.remove(out / "evidence")
    (out / "evidence").symlink_to(target)
    publish.publish(run_of(out, "run.json"), out)
    assert shown(out) == ["run.json"]
    assert (target / "file").exists()


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_out_that_is_not_a_folder_is_refused(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    out.write_text("mine") if kind == "file" else out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SetupError, match="not a folder"):
        publish.require_ours(out)


def test_run_that_could_not_begin_replaces_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish.publish(run_of(out, "run.json", "evidence/a.txt"), out)
    for names in (["run.json", "kind.log"], ["run.json"]):
        assert publish.publish(run_of(out, *names), out, begun=False) == out / publish.NOT_BEGUN
        assert shown(out / publish.NOT_BEGUN) == sorted(names)
    assert shown(out) == ["evidence", publish.NOT_BEGUN, "run.json"]
    assert (out / "evidence" / "a.txt").exists()
    publish.publish(run_of(out, "run.json"), out)
    assert shown(out) == [publish.NOT_BEGUN, "run.json"]


def test_private_files_of_a_run_are_removed_and_not_published(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = run_of(out, "kubeconfig", "secrets/key", "target.json", "collected.json", "run.json")
    publish.publish(folder, out)
    publish.discard(folder)
    assert shown(out) == ["run.json"]
    assert not [*tmp_path.rglob("kubeconfig"), *tmp_path.rglob("key")]


def test_results_before_stay_whole_if_the_new_ones_cannot_be_moved(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish.publish(run_of(out, "run.json", "evidence/a.txt", "summary.md"), out)
    before = {path.name: path.stat().st_ino for path in out.iterdir() if path.name not in (".lock", publish.MANIFEST)}
    manifest = (out / publish.MANIFEST).read_text()
    folder = run_of(out, "run.json", "junit.xml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", failing_for(out / "junit.xml", Path.rename))
        with pytest.raises(OSError, match="full"):
            publish.publish(folder, out)
    assert {path.name: path.stat().st_ino for path in out.iterdir() if path.name in before} == before
    assert (out / publish.MANIFEST).read_text() == manifest
    assert not (out / "junit.xml").exists()


def failing_for(target: Path, rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    def renamed(source: Path, to: Path) -> Path:
        if to == target:
            raise OSError(28, "full")
        return rename(source, to)

    return renamed


def test_results_that_cannot_be_published_are_kept_redacted_and_without_keys(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "kubeconfig", "secrets/key", "tmp/x", "evidence/a.txt")
    (folder / "evidence" / "a.txt").write_text("password: hunter2hunter2")
    where = publish.keep(folder, tmp_path)
    kept = tmp_path / "not-published" / "mine"
    assert where == kept
    assert shown(kept) == ["evidence"]
    assert "hunter2hunter2" not in (kept / "evidence" / "a.txt").read_text()
    assert not folder.exists()
    publish.require_ours(tmp_path)


def test_folder_of_runs_is_removed_with_its_last_run(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "run.json")
    publish.publish(folder, tmp_path)
    publish.discard(folder)
    assert not (tmp_path / ".runs").exists()


def test_no_secret_is_in_any_published_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = run_of(out, "run.json")
    contents = {
        "junit.xml": JUNIT,
        "allure-results/a-result.json": json.dumps({"message": f"Bearer {TOKEN}", "password": "hunter2hunter2"}),
        "allure-results/b-attachment.txt": "WARNING token=hunter2hunter2",
        "evidence/a.txt": f"password: hunter2hunter2\n{TOKEN}",
        "kind.log": "--token hunter2 token: hunter2hunter2",
        "asked/1.jsonl": '{"token": "hunter2hunter2"}\n[1, "up"]\n',
        "torn.json": '{"token": "hunter2hunter2"',
    }
    for name, content in contents.items():
        write(folder, name)
        (folder / name).write_text(content)
    publish.publish(folder, out)
    for name in contents:
        text = (out / name).read_text()
        assert "hunter2hunter2" not in text, name
        assert TOKEN not in text, name
    assert ElementTree.parse(out / "junit.xml").getroot().tag == "testsuites"  # noqa: S314
    assert json.loads((out / "allure-results" / "a-result.json").read_text())["message"] == "Bearer [redacted]"


def test_file_that_cannot_be_redacted_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> str:
        raise RecursionError

    folder = write(tmp_path, "a.txt", "b.json")
    monkeypatch.setattr(redact_files.redact, "text", fail)
    redact_files.folder(folder)
    assert shown(folder) == []


def test_link_is_not_published(tmp_path: Path) -> None:
    target = write(tmp_path, "elsewhere")
    folder = write(tmp_path / "run", "a.txt")
    (folder / "link").symlink_to(target)
    redact_files.folder(folder)
    assert shown(folder) == ["a.txt"]
