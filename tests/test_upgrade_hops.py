import pytest

from kubechain.core.errors import ExitCode, SetupError
from kubechain.images.pins import Kubernetes, Pins
from kubechain.upgrade.versions import hops


def pinning(*versions: str) -> Pins:
    return Pins("1.37.2", "", "", "", {each: Kubernetes(each, "", "", "") for each in versions}, {})


PINNED = pinning("1.37.2", "1.34.4", "1.36.3", "1.35.4")


@pytest.mark.parametrize(
    ("first", "last", "versions"),
    [
        ("1.34.4", "1.37.2", "1.34.4 1.35.4 1.36.3 1.37.2"),
        ("1.34", "v1.35.4", "1.34.4 1.35.4"),
        ("1.36.3", "", "1.36.3 1.37.2"),
    ],
)
def test_no_minor_version_is_skipped(first: str, last: str, versions: str) -> None:
    assert [each.version for each in hops(first, last, PINNED)] == versions.split()


def test_hop_goes_to_the_newest_pinned_patch_version() -> None:
    several = pinning("1.34.4", "1.35.10", "1.35.4", "1.36.1", "1.36.3")
    assert [each.version for each in hops("1.34.4", "1.36.1", several)] == ["1.34.4", "1.35.10", "1.36.1"]
    assert [each.version for each in hops("1.35.4", "1.35.10", several)] == ["1.35.4", "1.35.10"]


@pytest.mark.parametrize(
    ("first", "last", "known", "why"),
    [
        ("", "1.37.2", PINNED, "--from is missing: set one of 1.37.2, "),
        ("1.33.1", "1.37.2", PINNED, "--from=1.33.1: unknown version; set one of 1.37.2, "),
        ("1.34.4", "1.38.0", PINNED, "--to=1.38.0: unknown version; set one of 1.37.2, "),
        ("1.35.4", "1.35.4", PINNED, "--from=1.35.4 --to=1.35.4: the same version"),
        ("1.36.3", "1.35.4", PINNED, "--from=1.36.3 --to=1.35.4: a downgrade"),
        ("1.35.10", "1.35.4", pinning("1.35.4", "1.35.10"), "--from=1.35.10 --to=1.35.4: a downgrade"),
        ("1.34.4", "1.37.2", pinning("1.34.4", "1.36.3", "1.37.2"), "--from=1.34.4 --to=1.37.2: 1.35 not pinned"),
    ],
)
def test_bad_versions_are_a_usage_error(first: str, last: str, known: Pins, why: str) -> None:
    with pytest.raises(SetupError) as caught:
        hops(first, last, known)
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)
    assert caught.value.code == ExitCode.USAGE
