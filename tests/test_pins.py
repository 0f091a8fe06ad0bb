from collections.abc import Callable

import pytest

from kubechain.core.errors import ExitCode, SetupError
from kubechain.images import pins

FIND: Callable[[str], pins.Kubernetes] = pins.load().find


def test_version_is_found_by_patch_minor_or_as_the_default() -> None:
    default = pins.load().default
    assert FIND("").version == default
    assert FIND(default).version == default
    assert FIND(f"v{default}").version == default
    assert FIND(default.rpartition(".")[0]).version == default


@pytest.mark.parametrize("wanted", ["1.2.3", "9.99", "latest", "1", "1.37.2.1", "v"])
def test_unknown_version_is_a_usage_error_that_lists_the_pinned_ones(wanted: str) -> None:
    with pytest.raises(SetupError, match=f"{wanted}: unknown version") as caught:
        FIND(wanted)
    assert caught.value.code == ExitCode.USAGE
    for version in pins.load().kubernetes:
        assert version in str(caught.value)


def test_every_pinned_version_has_its_modules() -> None:
    found = pins.load()
    wanted = [("kind", found.kind), ("containerd", found.containerd)]
    for version, pinned in found.kubernetes.items():
        wanted += [("kubernetes", version), ("etcd", pinned.etcd), ("coredns", pinned.coredns)]
    files = [pins.module(*each) / name for each in wanted for name in ("go.mod", "go.sum")]
    assert [str(path.relative_to(pins.FOLDER)) for path in files if not path.is_file()] == []
