"""The pages for people, and that every printed example is answered without a flag."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from include.release.model_store import set_desired, withdraw
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World
from serving.http.swagger import ASSETS, assets_folder

pytestmark = pytest.mark.slow
ELSEWHERE = re.compile(r"""(?:src|href|url|@import)\s*[=(]?\s*["']?(?:https?:)?//""")


class Links(HTMLParser):
    """All addresses that a page loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.fixture
def page(endpoint: Endpoint) -> str:
    answer = endpoint.client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.status_code == 200
    return answer.text


def test_the_page_says_what_serves_since_when_and_links_to_what_there_is(
    endpoint: Endpoint, world: World, page: str
) -> None:
    since = endpoint.model()["since"]
    assert f"version 1</b> since {since[:10]} {since[11:16]} UTC" in page
    assert world.use_case.title in page
    assert world.digests[1][:12] in page
    assert "/explain</code> gives the reasons too" in page
    metrics = re.search(r"<dt>Test split</dt><dd>(.*?)</dd>", page)
    assert metrics is not None
    assert {"n", "auc", "brier"} <= {item.split()[0] for item in metrics[1].split(", ")}
    assert "block" not in metrics[1]
    targets = Links(page).targets
    assert {"/docs", "/docs.json", "/metrics", "/readyz"} <= set(targets)
    for target in targets:
        assert target.startswith("/")
        assert endpoint.client.get(target).status_code == 200, target


def test_nothing_on_the_page_comes_from_elsewhere_and_it_fits_a_phone(page: str) -> None:
    assert not ELSEWHERE.search(page)
    assert "<script" not in page
    assert 'name="viewport" content="width=device-width' in page


def test_the_printed_call_is_copied_into_a_shell_and_answered_without_a_flag(page: str) -> None:
    calls = re.findall(r"<pre>(.*?)</pre>", page, re.S)
    (call,) = [text for text in calls if "/flight_delays/" in text]
    answered = subprocess.run(
        ["bash", "-euc", unescape(call)], capture_output=True, text=True, check=True, timeout=60
    )
    (prediction,) = json.loads(answered.stdout)["predictions"]
    assert prediction["flags"] == []


def examples(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, operations in document["paths"].items():
        for described in operations.values():
            for content in described.get("requestBody", {}).get("content", {}).values():
                for example in content.get("examples", {}).values():
                    yield path, example["value"]


def test_every_example_of_the_openapi_document_is_answered_without_a_flag(
    endpoint: Endpoint, unserved: re.Pattern[str]
) -> None:
    asked = 0
    for path, example in examples(endpoint.client.get("/docs.json").json()):
        if unserved.search(path):
            continue
        answer = endpoint.client.post(path, json=example)
        assert answer.status_code == 200, (path, answer.text)
        if "predictions" in answer.json():
            assert [row["flags"] for row in answer.json()["predictions"]] == [[]], path
            asked += 1
        elif "outputs" in answer.json():
            flags = [item for item in answer.json()["outputs"] if item["name"] == "flags"]
            assert [item["data"] for item in flags] == [[""]], path
            asked += 1
    assert asked == 4


def test_swagger_ui_and_its_files_come_from_this_machine(endpoint: Endpoint) -> None:
    page = endpoint.client.get("/docs")
    assert page.status_code == 200
    assert not ELSEWHERE.search(page.text)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    loaded = [target for target in Links(page.text).targets if target.startswith("/docs/")]
    assert len(loaded) == 3
    for target in loaded:
        assert endpoint.client.get(target).status_code == 200, target
    assert all((assets_folder() / name).is_file() for name in ASSETS)
    bundle = endpoint.client.get("/docs/swagger-ui-bundle.js")
    assert len(bundle.content) == (assets_folder() / "swagger-ui-bundle.js").stat().st_size


def test_without_a_model_the_page_says_so_and_shows_the_form(
    endpoint: Endpoint, world: World
) -> None:
    withdraw(world.settings, "flight_delays")
    try:
        endpoint.wait_for_version(None)
        page = endpoint.client.get("/").text
    finally:
        set_desired(world.settings, "flight_delays", 1, world.digests[1])
        endpoint.wait_for_version(1)
    assert "no version yet" in page
    assert "Not ready" in page
    assert "shows the form only" in page
