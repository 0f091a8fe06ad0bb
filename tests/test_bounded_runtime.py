import json
from pathlib import Path

import pytest

from kubechain.cluster import bounded_runtime

STATUS = "Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t{:016x}\nSeccomp:\t2\n"
ALL = (1 << len(bounded_runtime.NAMES)) - 1


def test_bounding_set_is_decoded_by_capability_number() -> None:
    assert bounded_runtime.bounding_set(STATUS.format(0b11)) == {"CAP_CHOWN", "CAP_DAC_OVERRIDE"}
    assert bounded_runtime.bounding_set(STATUS.format(1 << 21)) == {"CAP_SYS_ADMIN"}
    assert bounded_runtime.bounding_set(STATUS.format(1 << 40)) == {"CAP_CHECKPOINT_RESTORE"}
    assert bounded_runtime.is_complete(STATUS.format(ALL))
    assert not bounded_runtime.is_complete(STATUS.format(ALL ^ (1 << 16)))


def test_capabilities_are_removed_and_never_added() -> None:
    asked = {"bounding": ["CAP_CHOWN", "CAP_SYS_MODULE"], "effective": ["CAP_SYS_MODULE"], "ambient": list[str]()}
    allowed = {"CAP_CHOWN", "CAP_KILL"}
    assert bounded_runtime.bound(asked, allowed) == {"bounding": ["CAP_CHOWN"], "effective": [], "ambient": []}


@pytest.mark.parametrize("nested", [True, False])
def test_capabilities_of_a_runc_file_are_rewritten_and_the_rest_is_kept(tmp_path: Path, *, nested: bool) -> None:
    process = {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_MODULE"]}, "args": ["sh"]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"process": process, "root": {}} if nested else process))
    bounded_runtime.rewrite(str(path), {"CAP_CHOWN"}, nested=nested)
    found = json.loads(path.read_text())
    assert (found["process"] if nested else found) == {"capabilities": {"bounding": ["CAP_CHOWN"]}, "args": ["sh"]}


def test_process_without_capabilities_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"process": {"args": ["sh"]}}')
    bounded_runtime.rewrite(str(path), set(), nested=True)
    assert path.read_text() == '{"process": {"args": ["sh"]}}'


def test_option_is_found_in_both_forms() -> None:
    assert bounded_runtime.argument(["create", "--bundle", "/b", "id"], "--bundle", "-b") == "/b"
    assert bounded_runtime.argument(["create", "--bundle=/b=c"], "--bundle", "-b") == "/b=c"
    assert bounded_runtime.argument(["create", "-b", "/b"], "--bundle", "-b") == "/b"
    assert bounded_runtime.argument(["create", "--bundle"], "--bundle", "-b") is None
    assert bounded_runtime.argument(["exec", "--process-label", "x"], "--process", "-p") is None
