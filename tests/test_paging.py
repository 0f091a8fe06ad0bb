"""Lists in pages, and answers that are none of an API server."""

import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kubechain.claims.rights import CORE
from kubechain.cluster import existing
from kubechain.cluster.access import Access
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json
from tests import loopback
from tests.api_server import ApiServer, Fault, Request, api_server
from tests.test_api import speaking

pytestmark = pytest.mark.usefixtures("pauses")


@contextmanager
def paged(folder: Path, total: int, *, gone: Callable[[int], bool] = lambda _: False) -> Generator[tuple[Api, ApiServer]]:
    """Serve Pods in pages as an API server does; `gone` says at which Pod a continue token has expired."""

    def answer(request: Request) -> Fault:
        query = parse_qs(urlsplit(request.path).query)
        start, limit = int(query.get("continue", ["0"])[0]), int(query.get("limit", [str(total)])[0])
        if gone(start):
            return Fault(410, body='{"reason": "Expired", "message": "the continue token is too old"}')
        items = [{"metadata": {"name": f"p{number}"}} for number in range(start, min(start + limit, total))]
        metadata: Json = {"resourceVersion": "70" if "limit" in query else "99"}
        if start + limit < total:
            metadata["continue"] = str(start + limit)
        return Fault(200, body=json.dumps({"items": items, "metadata": metadata}))

    with api_server() as server:
        server.faults = answer
        api = Api(loopback.kubeconfig(folder, server.url), "test", folder)
        try:
            yield api, server
        finally:
            api.close()


@pytest.mark.parametrize(("total", "pages"), [(0, 1), (1, 1), (500, 1), (501, 2), (1700, 4)])
def test_every_page_of_a_list_is_read(tmp_path: Path, total: int, pages: int) -> None:
    with paged(tmp_path, total) as (api, server):
        listing = api.list("Pod", "ns", "app=web")
        assert [each.name for each in listing.items] == [f"p{number}" for number in range(total)]
        assert listing.version == "70"
        assert len(server.requests) == pages
        assert all("labelSelector=app%3Dweb" in request.path for request in server.requests)


def test_objects_are_counted_where_the_first_page_does_not_say_how_many_remain(tmp_path: Path) -> None:
    with paged(tmp_path, 3) as (api, _):
        assert api.count("Pod") == 3


def test_list_whose_pages_have_expired_is_listed_anew_in_one_piece(tmp_path: Path) -> None:
    with paged(tmp_path, 1200, gone=lambda start: start == 1000) as (api, server):
        listing = api.list("Pod", "ns")
        assert [each.name for each in listing.items] == [f"p{number}" for number in range(1200)]
        assert listing.version == "99"
        assert len(server.requests) == 4


def test_list_that_is_gone_at_once_is_refused(tmp_path: Path) -> None:
    with paged(tmp_path, 10, gone=lambda _: True) as (api, _), pytest.raises(ApiRefused, match="410"):
        api.list("Pod", "ns")


NOT_JSON = ["", "<html>\n<body>Welcome</body></html>", '{"kind": "Pod", "metadata": {"na', "null", "[]", '"down"', "7"]
NO_OBJECT = ["{}", '{"metadata": null}', '{"metadata": {"uid": "u"}}', '{"metadata": {"name": 7}}', '{"metadata": []}']


@pytest.mark.parametrize("text", [*NOT_JSON, *NO_OBJECT])
def test_answer_that_is_no_object_is_trouble_in_one_line(tmp_path: Path, text: str) -> None:
    with speaking(tmp_path, loopback.response(200, text)) as (api, _):
        for call in (
            lambda: api.get("Pod", "ns", "a"),
            lambda: api.patch("Pod", "ns", "a", {}),
            lambda: api.create({"kind": "Pod", "metadata": {"name": "a"}}, "ns", seconds=0),
        ):
            with pytest.raises(ApiUnavailable, match=r"API server: the answer \(Pod\) ") as caught:
                call()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [*NOT_JSON, '{"items": [{}]}', '{"items": [{"metadata": {"uid": "u"}}]}'])
def test_answer_that_is_no_list_is_trouble(tmp_path: Path, text: str) -> None:
    with speaking(tmp_path, loopback.response(200, text)) as (api, _), pytest.raises(ApiUnavailable):
        api.list("Pod", "ns")


@pytest.mark.parametrize("line", ["<html>", "[]", "{}", '{"type": "ADDED"}', '{"type": "ADDED", "object": null}'])
def test_line_of_a_watch_that_is_no_event_is_trouble(tmp_path: Path, line: str) -> None:
    answer = loopback.streaming(line.encode() + b"\n")
    with speaking(tmp_path, answer) as (api, _), pytest.raises(ApiUnavailable, match="event of a watch"):
        list(api.watch("Pod", "ns", "7", 5))


def test_object_without_a_kind_gets_the_kind_of_its_path(tmp_path: Path) -> None:
    with speaking(tmp_path, loopback.response(200, '{"metadata": {"name": "a"}}')) as (api, _):
        found = api.get("Pod", "ns", "a")
        assert found is not None
        assert found.kind == "Pod"


@pytest.mark.parametrize("text", NOT_JSON)
def test_server_that_is_no_api_server_is_reported_with_its_address(tmp_path: Path, text: str) -> None:
    with speaking(tmp_path, loopback.response(200, text)) as (api, server):
        with pytest.raises(SetupError, match=re.escape(server.url)) as caught:
            existing.identity(api)
        assert caught.value.code == ExitCode.UNREACHABLE
        with pytest.raises(HarnessError) as failed:
            existing.server_version(api)
        assert "\n" not in str(failed.value)
        with pytest.raises(HarnessError) as failed:
            Access(api).lacking(CORE.rights)
        assert "\n" not in str(failed.value)
