import json
import re
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.verdict import NOT_RUN
from kubechain.core import redact_files
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import Blocked, SetupError
from reports import allure_html, allure_results, allure_run
from tests.fakes import record, run_record

GATE = allure_run.gate_rules(run_record("DNS", record(Link.DNS, "failed")), None, None)
LINE = "chain broken at DNS: expected a, got b"
KEPT = '<script type="module">window.allure = "gta is not gtag";</script>'
TAG_MANAGER = '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>'
INLINE = '<script>\nwindow.dataLayer = [];\nfunction gtag(){}\ngtag("js", new Date());\n</script>'


def page(*parts: str) -> str:
    return "<html><head>" + "".join(parts) + "</head><body><p>chain</p></body></html>"


def test_only_analytics_scripts_are_removed() -> None:
    assert allure_html.without_analytics(page(TAG_MANAGER, INLINE, KEPT)) == page(KEPT)
    assert allure_html.without_analytics(page(KEPT, INLINE, KEPT, TAG_MANAGER)) == page(KEPT, KEPT)
    assert allure_html.without_analytics(page(KEPT)) == page(KEPT)


def test_only_the_height_of_pages_is_added() -> None:
    made = allure_html.with_tall_pages(page(KEPT))
    assert made.replace(allure_html.TALL, "", 1) == page(KEPT)
    assert made.startswith(f"<html><head>{allure_html.TALL}")


def test_page_without_analytics_has_no_remote_address() -> None:
    text = allure_html.without_analytics(page(TAG_MANAGER, INLINE, KEPT))
    assert allure_html.remote_addresses(text) == []


@pytest.mark.parametrize(
    "part",
    [
        TAG_MANAGER,
        '<script src="https://cdn.example/x.js"></script>',
        "<script src='http://cdn.example/x.js'></script>",
        "<script src=https://cdn.example/x.js></script>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<img src="https://pixel.example/1.gif">',
        '<iframe src = "https://x.example"></iframe>',
        '<SCRIPT SRC="HTTPS://CDN.EXAMPLE/X.JS"></SCRIPT>',
        '<script src="//cdn.example/x.js"></script>',
        '<style>@import "https://fonts.example/css";</style>',
        "<style>body { background: url(https://pixel.example/1.gif) }</style>",
    ],
)
def test_remote_resource_is_found(part: str) -> None:
    assert allure_html.remote_addresses(page(part))


@pytest.mark.parametrize(
    "part",
    [
        '<a href="https://kubernetes.io/docs/">specification</a>',
        '<a class="x" target="_blank" href=https://kubernetes.io/docs/>specification</a>',
        '<svg xmlns="http://www.w3.org/2000/svg" xlink:href="http://www.w3.org/1999/xlink"></svg>',
        '<img src="data:image/png;base64,aa">',
        '<link href="styles.css">',
        KEPT,
    ],
)
def test_link_or_embedded_resource_is_not_remote(part: str) -> None:
    assert allure_html.remote_addresses(page(part)) == []


def matches(matcher: dict[str, object], status: str, feature: str, message: str) -> bool:
    wanted = str(matcher.get("labels", {"feature": ".*"})["feature"])  # pyright: ignore[reportIndexIssue, reportUnknownArgumentType, reportUnknownVariableType]
    return (
        status in str(matcher.get("statuses", status))
        and bool(re.fullmatch(wanted, feature))
        and bool(re.search(str(matcher.get("message", "")), message))
    )


def category_of(status: str, link: Link, message: str) -> str:
    rules = allure_html.configuration(Path("out"), LINE)["categories"]["rules"]
    found = (rule["name"] for rule in rules if matches(rule["matchers"][0], status, allure_results.feature(link), message))
    return next(found, "none")


def test_failed_claim_is_in_the_category_of_its_link() -> None:
    for link in Link:
        assert category_of("failed", link, "Unmet: x") == f"Failed at {link.value}"


def test_blocked_claim_has_its_own_category() -> None:
    error = Blocked("PODS", "0/2 ready")
    kept = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
    assert category_of("broken", Link.DNS, kept) == "Blocked by an earlier link"
    assert category_of("broken", Link.DNS, "kubechain.core.errors.HarnessError: unreachable").startswith("Inconclusive")


def test_claim_that_was_not_run_has_its_own_category() -> None:
    assert category_of("skipped", Link.DNS, NOT_RUN).startswith("Not run")
    assert category_of("skipped", Link.DNS, "needs 2 nodes") == "none"


def test_report_is_one_page() -> None:
    options = allure_html.configuration(Path("out"), LINE)["plugins"]["awesome"]["options"]
    assert options["singleFile"] is True


def test_report_has_the_verdict_as_its_title() -> None:
    assert allure_html.configuration(Path("out"), LINE)["name"] == LINE


def test_title_of_the_report_loads_nothing() -> None:
    title = '<script>\n      window.allureReportOptions = {"reportName":"got href=https://x.example/"}\n    </script>'
    assert allure_html.remote_addresses(page(title)) == []
    assert allure_html.remote_addresses(page(title, '<img src="https://pixel.example/1.gif">'))


def test_report_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no Allure results"):
        allure_html.generate(tmp_path, tmp_path / "report", BuildCache(tmp_path / "store"), LINE, GATE)


def test_results_are_redacted(tmp_path: Path) -> None:
    result = tmp_path / "a-result.json"
    result.write_text(json.dumps({"statusDetails": {"trace": "x\ntoken=s3cr3ts3cr3t"}, "status": "broken"}))
    redact_files.folder(tmp_path)
    assert "s3cr3t" not in result.read_text()
    assert json.loads(result.read_text())["status"] == "broken"


def program(folder: Path, page_text: str) -> Path:
    """Write a replacement of Allure's script that writes this page and keeps a copy of its configuration."""
    script = folder / "allure"
    script.write_text(
        "#!/bin/sh\n"
        f"mkdir -p '{folder}/report'\n"
        f"cp \"$2\" '{folder}/used.json'\n"
        f"cat > '{folder}/report/index.html' <<'END'\n{page_text}\nEND\n"
    )
    return script


def generated(folder: Path, monkeypatch: pytest.MonkeyPatch, page_text: str) -> Path:
    (folder / "results").mkdir()
    (folder / "results" / "a-result.json").write_text("{}")

    def shell(_: BuildCache) -> Path:
        return Path("/bin/sh")

    def allure(_: BuildCache) -> Path:
        return folder

    monkeypatch.setattr(allure_html, "_node", shell)
    monkeypatch.setattr(allure_html, "_allure", allure)
    monkeypatch.setattr(allure_html, "SCRIPT", program(folder, page_text))
    return allure_html.generate(folder / "results", folder / "report", BuildCache(folder / "store"), LINE, GATE)


def test_report_is_written_without_analytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = generated(tmp_path, monkeypatch, page(TAG_MANAGER, INLINE, KEPT)).read_text()
    assert "gtag(" not in text
    assert KEPT in text
    assert not (tmp_path / "allurerc.json").exists()
    assert json.loads((tmp_path / "used.json").read_text())["gate"] == GATE


def test_report_with_a_remote_resource_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match=r"would load .*pixel"):
        generated(tmp_path, monkeypatch, page('<img src="https://pixel.example/1.gif">'))
    assert not (tmp_path / "report" / "index.html").exists()
