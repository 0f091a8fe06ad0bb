"""Templates of pages as byte code: it is read again, and where it cannot be kept, a page is made all the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment

from reports.templates import Compiled, environment

NAME = "fleet.html.j2"


def with_code_in(folder: Path) -> Environment:
    made = environment()
    made.bytecode_cache = Compiled(str(folder))
    return made


def test_template_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = with_code_in(tmp_path / "code").get_template(NAME)
    monkeypatch.setattr(Environment, "compile", None)
    assert set(with_code_in(tmp_path / "code").get_template(NAME).blocks) == set(first.blocks)


def test_template_is_compiled_where_no_byte_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert with_code_in(tmp_path / "file" / "code").get_template(NAME)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert with_code_in(tmp_path / "code").get_template(NAME)
    assert not (tmp_path / "code").exists()
