"""`kubechain docs`, and what messages say where more is written: an installation has each file that they name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hatchling.builders.wheel import WheelBuilder

from kubechain.cli import documents, work
from kubechain.cli.printing_commands import DocsCommand, DocumentName
from kubechain.core.bundle import ROOT

PACKAGES = ("kubechain", "suites", "fixtures", "reports", "images")
# Files and folders of the repository, by which a text may name one; "https://kubernetes.io/docs/..." is another place.
NAMED = re.compile(
    r"(?<![\w./-])(?:docs|tests|deploy|examples|images|suites|fixtures|\.ci|\.github)/[\w./-]*\w|\b[A-Z_]{4,}\.md\b|\bMakefile\b"
)
DOCUMENT = re.compile(r"kubechain docs ([a-z_]+)")
# Of documents that are made in a checkout alone.
MADE_IN_A_CHECKOUT = (
    "reports/deploy/",
    "reports/catalogue.py",
    "kubechain/cli/reference.py",
    "kubechain/faults/mutants/drawn.py",
)


@cache
def shipped() -> set[str]:
    """The files of the wheel, by their path in the repository, and their folders."""
    files = {Path(each.path).relative_to(ROOT) for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    return {str(path) for file in files for path in (file, *file.parents)}


def texts() -> Iterator[tuple[str, str]]:
    """Yield the place and each text of the package that is no docstring, and what the templates of pages say."""
    for page in (ROOT / "reports" / "pages").glob("*.j2"):
        yield str(page.relative_to(ROOT)), page.read_text()
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text())
            docstrings = {
                id(node.body[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and node.body
                and isinstance(node.body[0], ast.Expr)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value


def test_no_text_of_the_package_names_a_file_that_the_wheel_lacks() -> None:
    lacking = [
        f"{where}: {name}"
        for where, text in texts()
        if not where.startswith(MADE_IN_A_CHECKOUT)
        for name in NAMED.findall(text)
        if not {name, f"docs/{name}"} & shipped()
    ]
    assert lacking == []


def test_texts_of_the_engine_name_documents_by_the_command_that_shows_them() -> None:
    """Nobody finds the folder of an installation from another folder."""
    paths = [where for where, text in texts() if re.search(r"docs/[A-Z_]+\.md", text)]
    assert [where for where in paths if where.startswith("kubechain/") and not where.startswith(MADE_IN_A_CHECKOUT)] == []
    named = {name for _, text in texts() for name in DOCUMENT.findall(text)}
    assert {"reference", "results", "rights"} <= named <= set(documents.names())


def test_each_document_can_be_shown() -> None:
    assert sorted(get_args(DocumentName)) == ["", *documents.names()]
    assert {f"docs/{name.upper()}.md" for name in documents.names()} <= shipped()


def test_document_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert work(DocsCommand(document="glossary")) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "GLOSSARY.md").read_text()


def test_documents_are_listed_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert work(DocsCommand(document="")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == documents.names()
    assert "glossary      Glossary" in lines
