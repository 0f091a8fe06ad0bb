"""docs/ACCESS.md has every way to a cluster, and each of its rows has a test."""

import ast
import importlib

import pytest

from kubechain.core.bundle import ROOT
from tests.hostile import access_document, access_records, document
from tests.hostile.access_records import WAYS
from tests.hostile.access_rows import SECTIONS, Row
from tests.hostile.catalogue import RECORDS

FOLDER = ROOT / "tests"
ROWS = [row for rows in SECTIONS.values() for row in rows]
TEXT = access_document.markdown()


def test_every_module_of_ways_is_listed() -> None:
    modules = [importlib.import_module(f"tests.hostile.{path.stem}") for path in (FOLDER / "hostile").glob("access*.py")]
    with_ways = {module.__name__ for module in modules if getattr(module, "WAYS", WAYS) is not WAYS}
    assert with_ways == {module.__name__ for module in access_records.MODULES}


def test_every_way_has_one_row() -> None:
    tests = [line.rsplit("|", 2)[1].removesuffix("*short* ").strip() for line in TEXT.splitlines() if line.startswith("| ")]
    assert [way.id for way in WAYS if tests.count(way.id) != 1] == []
    known = {way.id for way in WAYS} | {row.test for row in ROWS} | {"test"}
    assert [test for test in tests if test not in known] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.test.rpartition("::")[2])
def test_every_row_has_a_test_that_exists(row: Row) -> None:
    file, _, name = row.test.partition("::")
    if not name:
        assert row.test in {record.id for record in RECORDS}
        return
    functions = [node.name for node in ast.walk(ast.parse((FOLDER / file).read_text())) if isinstance(node, ast.FunctionDef)]
    assert name in functions


def test_every_document_is_written_by_make_catalogue() -> None:
    assert {path.name for path in document.DOCUMENTS} == {"HOSTILE.md", "ACCESS.md"}
    assert access_document.markdown in document.DOCUMENTS.values()
