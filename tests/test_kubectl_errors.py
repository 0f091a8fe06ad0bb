"""Who is to blame when kubectl fails: the words are those of kubectl 1.32 and 1.37."""

import pytest

from kubechain.core.errors import NoProgram, SetupError
from kubechain.core.process import Completed
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.probes.kubectl_errors import error_of, status_in_pod

POLICY = "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no"
CASES: dict[str, tuple[str, type[Exception], str]] = {
    "server refuses": ('Error from server (NotFound): services "nginx" not found', ApiRefused, "NotFound"),
    "server refuses by a policy": (
        f'Error from server (Forbidden): services "nginx" is forbidden: {POLICY}',
        ApiRefused,
        "Forbidden",
    ),
    "wrapped": ('error: failed to create deployment: deployments.apps "nginx" already exists', ApiRefused, "AlreadyExists"),
    "wrapped policy": (
        f'error: failed to create deployment: deployments.apps "nginx" is forbidden: {POLICY}',
        ApiRefused,
        "Forbidden",
    ),
    "invalid": ('The Service "nginx" is invalid: spec.ports: Required value', ApiRefused, "Invalid"),
    "no credentials": ("error: You must be logged in to the server (Unauthorized)", ApiRefused, "Unauthorized"),
    "connection refused": (
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
        ApiUnavailable,
        "",
    ),
    "unreachable": ("Unable to connect to the server: dial tcp 192.0.2.1:6443: i/o timeout", ApiUnavailable, ""),
    "connection ends": ('error: failed to create deployment: Post "https://x/apis": EOF', ApiUnavailable, ""),
    "server fails": ("Error from server (InternalError): an error on the server has prevented the request", ApiUnavailable, ""),
    "server is busy": ("Error from server (TooManyRequests): the server has received too many requests", ApiUnavailable, ""),
    "etcd": ("Error from server: etcdserver: request timed out", ApiUnavailable, ""),
    "discovery fails": ('error: the server doesn\'t have a resource type "deployments"', ApiUnavailable, ""),
    "dead webhook": (
        'Error from server (InternalError): Internal error occurred: failed calling webhook "a.b": Post "https://x": not found',
        ApiUnavailable,
        "",
    ),
    "kubelet unreachable": (
        'error: Internal error occurred: error sending request: Post "https://10.0.0.1:10250/exec": dial tcp: connect: no route',
        ApiUnavailable,
        "",
    ),
    "no program": (
        'error: Internal error occurred: OCI runtime exec failed: exec: "curl": executable file not found in $PATH: unknown',
        NoProgram,
        "",
    ),
    "shell without the program": ("sh: curl: not found command terminated with exit code 127", NoProgram, ""),
    "usage": ("error: unknown flag: --nope", SetupError, ""),
    "nothing": ("", SetupError, ""),
}


def failed(stderr: str) -> Completed:
    return Completed(("kubectl", "get", "pods"), 1, "", stderr)


@pytest.mark.parametrize("name", CASES)
def test_words_tell_who_is_to_blame(name: str) -> None:
    stderr, kind, reason = CASES[name]
    error = error_of(failed(stderr))
    assert type(error) is kind
    if isinstance(error, ApiRefused):
        assert (error.reason, error.detail) == (reason, stderr)
    else:
        assert str(error).startswith("`kubectl get pods`")


def test_status_of_a_command_in_a_pod_is_its_own() -> None:
    assert status_in_pod(Completed(("kubectl",), 0, "", "")) == 0
    assert status_in_pod(failed("curl: (6)\ncommand terminated with exit code 6")) == 6
    assert status_in_pod(failed(CASES["shell without the program"][0])) is None
    assert status_in_pod(failed(CASES["connection refused"][0])) is None


def test_secret_in_the_words_of_kubectl_is_not_shown() -> None:
    assert "hunter2" not in str(error_of(failed("error: bad --token hunter2")))
