"""Ways to an API server: kubeconfig files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from kubechain.core.errors import ExitCode
from tests.hostile.access_scene import TOKEN, Scene, data
from tests.hostile.access_way import Way, closed

KUBECONFIG, USAGE = ExitCode.KUBECONFIG, ExitCode.USAGE


def variable(scene: Scene, paths: Sequence[Path | str]) -> None:
    """Name files in $KUBECONFIG, and none by --kubeconfig."""
    scene.kubeconfig = ""
    scene.environment["KUBECONFIG"] = os.pathsep.join(map(str, paths))


def parts(scene: Scene) -> tuple[Path, Path, Path]:
    """Write the cluster, the user and the context to three files in three folders, with paths relative to each."""
    content = scene.content(scene.serve(), {"tokenFile": "token"}, certificate_authority="ca.crt")
    scene.file("1/ca.crt", scene.keys.ca.certificate.read_bytes())
    scene.file("2/token", TOKEN)
    made = [
        scene.use({"apiVersion": "v1", "kind": "Config", name: content[name]}, f"{number}/config")
        for number, name in ((1, "clusters"), (2, "users"), (3, "contexts"))
    ]
    return made[0], made[1], made[2]


def several(scene: Scene) -> None:
    variable(scene, parts(scene))


def several_with_holes(scene: Scene) -> None:
    first, second, third = parts(scene)
    variable(scene, ["", scene.folder / "none", first, second, "", third, first])


def first_wins(scene: Scene) -> None:
    content = scene.content(scene.serve())
    other = scene.content("https://127.0.0.1:1", {"token": "other", "as": "nobody"})
    first = scene.use(content, "first")
    variable(scene, [first, scene.use(other, "second")])


def first_wins_whole(scene: Scene) -> None:
    """The first file's cluster has no CA; that of the second is not added to it."""
    content = scene.content(scene.serve(), certificate_authority="")
    first = scene.use(content, "first")
    variable(scene, [first, scene.use(scene.content("https://127.0.0.1:1"), "second")])


def one_broken(scene: Scene) -> None:
    scene.access()
    variable(scene, [scene.folder / "config", scene.file("broken", "a: [")])


def none_exists(scene: Scene) -> None:
    variable(scene, [scene.folder / "none", scene.folder / "neither"])


def no_context_in_any(scene: Scene) -> None:
    variable(scene, parts(scene))
    scene.context = "elsewhere"


def option_wins(scene: Scene) -> None:
    scene.access()
    scene.environment["KUBECONFIG"] = f"{scene.folder}/none{os.pathsep}/neither"


def one_variable(scene: Scene) -> None:
    scene.access()
    variable(scene, [scene.folder / "config"])


def relative_variable(scene: Scene) -> None:
    scene.access()
    variable(scene, ["config"])


def in_home(scene: Scene) -> None:
    scene.use(scene.content(scene.serve()), ".kube/config")
    variable(scene, [])
    del scene.environment["KUBECONFIG"]


def empty_variable(scene: Scene) -> None:
    in_home(scene)
    scene.environment["KUBECONFIG"] = ""


def colon_in_path(scene: Scene) -> None:
    scene.use(scene.content(scene.serve()), "a:b/config")


def raw(scene: Scene, change: str) -> None:
    """Use a good kubeconfig in another form."""
    content = scene.content(scene.serve())
    text = yaml.safe_dump(content)
    forms: dict[str, str | bytes] = {
        "json": json.dumps(content),
        "json-tabs": json.dumps(content, indent="\t"),
        "crlf": text.replace("\n", "\r\n"),
        "bom": "\ufeff" + text,
        "utf-16": text.encode("utf-16"),
        "documents": "---\n" + text + "---\n{}\n",
        "no-kind": yaml.safe_dump({name: value for name, value in content.items() if name not in ("kind", "apiVersion")}),
        "other-kind": text.replace("kind: Config", "kind: Secret"),
        "unknown-fields": text + "preferences: {colors: true}\nextensions: []\nx-mine: {a: 1}\n",
        "anchors": text.replace(f"token: {TOKEN}", f"<<: {{token: {TOKEN}}}"),
        "trailing-tab": text + "\t\n",
        "latin-1": (text + "# gr\xfc\xdfe\n").encode("latin-1"),
        "nul": text + "\0",
    }
    scene.use(forms[change])


def huge(scene: Scene) -> None:
    content = scene.content(scene.serve())
    more = data(scene.keys.ca.certificate)
    for number in range(1500):
        content["clusters"].append(
            {"name": f"c-{number}", "cluster": {"server": "https://x", "certificate-authority-data": more}}
        )
        content["contexts"].append({"name": f"n-{number}", "context": {"cluster": f"c-{number}", "user": "u"}})
    scene.use(content)


def nulls(scene: Scene) -> None:
    content = scene.content(scene.serve())
    scene.use({**content, "users": None})


def words(scene: Scene, text: str) -> None:
    scene.serve()
    scene.use(text)


def missing(scene: Scene) -> None:
    scene.kubeconfig = f"{scene.folder}/none"


def folder(scene: Scene) -> None:
    scene.kubeconfig = f"{scene.folder}"


def link(scene: Scene) -> None:
    """The link lies in another folder than the file: paths are relative to the link, as in kubectl."""
    scene.file("ca.crt", scene.keys.ca.certificate.read_bytes())
    target = scene.use(scene.content(scene.serve(), certificate_authority="ca.crt"), "there/config")
    path = scene.folder / "config"
    path.symlink_to(target)
    scene.kubeconfig = f"{path}"


def pipe(scene: Scene) -> None:
    os.mkfifo(scene.folder / "pipe")
    scene.kubeconfig = f"{scene.folder}/pipe"


def loop(scene: Scene) -> None:
    path = scene.folder / "config"
    path.symlink_to(path)
    scene.kubeconfig = f"{path}"


WAYS = (
    Way(
        "several-files",
        "$KUBECONFIG names three files: cluster, user and context, with paths relative to each.",
        several,
        whole=True,
    ),
    Way("several-files-with-holes", "$KUBECONFIG has empty words, a missing file and one file twice.", several_with_holes),
    Way("several-files-first-wins", "Two files have the same names: the first wins.", first_wins),
    closed(
        "several-files-whole-entries",
        "Entries of two files are not mixed.",
        first_wins_whole,
        ExitCode.UNREACHABLE,
        "local issuer",
    ),
    closed(
        "several-files-one-broken",
        "One of the files of $KUBECONFIG is no YAML.",
        one_broken,
        KUBECONFIG,
        "broken.*not a kubeconfig",
    ),
    closed("several-files-none-exists", "None of the files of $KUBECONFIG exists.", none_exists, KUBECONFIG, "No such file"),
    closed("several-files-no-context", "No file of $KUBECONFIG has the context.", no_context_in_any, USAGE, "contexts are test"),
    Way("option-wins", "--kubeconfig overrides $KUBECONFIG.", option_wins),
    Way("variable", "$KUBECONFIG names one file.", one_variable),
    Way("variable-relative", "$KUBECONFIG is relative to the folder of work.", relative_variable),
    Way("home", "The kubeconfig is ~/.kube/config.", in_home),
    Way("variable-empty", "$KUBECONFIG is empty.", empty_variable),
    Way("path-with-colon", "The path of --kubeconfig has a colon.", colon_in_path),
    Way("json", "The kubeconfig is JSON.", lambda s: raw(s, "json")),
    Way("json-tabs", "The kubeconfig is JSON with tabs.", lambda s: raw(s, "json-tabs")),
    Way("crlf", "The kubeconfig has Windows line ends.", lambda s: raw(s, "crlf")),
    Way("bom", "The kubeconfig begins with a byte order mark.", lambda s: raw(s, "bom")),
    Way("utf-16", "The kubeconfig is UTF-16, as PowerShell redirects.", lambda s: raw(s, "utf-16")),
    Way("documents", "The kubeconfig is followed by another document.", lambda s: raw(s, "documents")),
    Way("no-kind", "The kubeconfig has no kind and no apiVersion.", lambda s: raw(s, "no-kind")),
    closed("other-kind", "The file is a Secret.", lambda s: raw(s, "other-kind"), KUBECONFIG, "kind"),
    Way("unknown-fields", "The kubeconfig has fields of other programs.", lambda s: raw(s, "unknown-fields")),
    Way("anchors", "The kubeconfig has merge keys of YAML.", lambda s: raw(s, "anchors")),
    closed("trailing-tab", "The last line is a tab.", lambda s: raw(s, "trailing-tab"), KUBECONFIG, "tab character"),
    closed("latin-1", "A comment is Latin-1.", lambda s: raw(s, "latin-1"), KUBECONFIG, "not"),
    closed("nul", "The kubeconfig has a NUL byte.", lambda s: raw(s, "nul"), KUBECONFIG, "not a kubeconfig"),
    Way("huge", "The kubeconfig has 1500 clusters and 5 MB.", huge),
    closed("null-users", "The list of users is null.", nulls, KUBECONFIG, "user u is not in the file"),
    closed("file-missing", "The file of --kubeconfig does not exist.", missing, KUBECONFIG, "No such file"),
    closed("file-folder", "--kubeconfig names a folder.", folder, KUBECONFIG, "Is a directory"),
    closed("file-pipe", "The kubeconfig is a pipe, to which nobody writes.", pipe, KUBECONFIG, "it is a pipe"),
    closed("file-loop", "The kubeconfig is a link to itself.", loop, KUBECONFIG, "symbolic links"),
    Way("file-link", "The kubeconfig is a link from another folder.", link),
    closed("file-empty", "The kubeconfig is empty.", lambda s: words(s, ""), KUBECONFIG, "empty"),
    closed("file-blank", "The kubeconfig is a comment.", lambda s: words(s, "# nothing\n"), KUBECONFIG, "empty"),
    closed("file-yaml-broken", "The kubeconfig is no YAML.", lambda s: words(s, "clusters: [\n"), KUBECONFIG, "not a kubeconfig"),
    closed("file-list", "The kubeconfig is a list.", lambda s: words(s, "[1, 2]"), KUBECONFIG, "not a kubeconfig"),
    closed("file-words", "The kubeconfig is words.", lambda s: words(s, "hello"), KUBECONFIG, "not a kubeconfig"),
    closed(
        "file-tag",
        "The kubeconfig has a tag of Python.",
        lambda s: words(s, "!!python/object/apply:os.system ['echo owned']"),
        KUBECONFIG,
        "not a kubeconfig",
    ),
)
