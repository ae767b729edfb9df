"""The calls in README.md and docs/serving.md work as printed, and are answered without a flag; so
is the event of docs/batch-and-streaming.md, whose rows the endpoint's code answers.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cli.demo.main import DEFAULT_MONTHS, HISTORY_MONTHS, month_interval
from cli.demo.traffic import asking_hours
from include.features.online.store import materialise
from include.interval import Interval
from include.release.model_store import publish, set_desired
from include.settings import PROJECT_ROOT
from proofs.harness.data import land
from proofs.harness.endpoint import GRPC_PORT, Endpoint
from proofs.harness.home import home_settings
from proofs.harness.ports import free_port
from proofs.harness.world import World

pytestmark = pytest.mark.slow
FLAG = re.compile("(unknown|stale|newer|unseen):")
CALLS = [
    pytest.param(language, text, id=f"{page}-{number}")
    for page in ("README.md", "docs/serving.md")
    for number, (language, text) in enumerate(
        re.findall(r"^```(sh|python)\n(.*?)^```$", (PROJECT_ROOT / page).read_text(), re.M | re.S)
    )
    if "127.0.0.1:300" in text
]


@pytest.fixture(scope="module")
def documented(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with both ports, and features as `make demo` leaves them."""
    settings = home_settings(tmp_path_factory.mktemp("documented"))
    shutil.copytree(world.settings.keys_dir, settings.keys_dir)
    *_, last_hour = asking_hours(month_interval(HISTORY_MONTHS + DEFAULT_MONTHS))
    land(settings, Interval(last_hour - timedelta(days=10), last_hour))
    materialise(world.use_case, settings, last_hour)
    publish(settings, "flight_delays", world.packages[1], 1, world.digests[1])
    set_desired(settings, "flight_delays", 1, world.digests[1])
    with Endpoint(settings, changes={GRPC_PORT: str(free_port())}) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def test_there_are_calls_in_every_language() -> None:
    texts = [call.values[1] for call in CALLS]
    assert sum("curl" in str(text) for text in texts) >= 4
    assert sum("httpx" in str(text) for text in texts) >= 2
    assert any("tritonclient.grpc" in str(text) for text in texts)


@pytest.mark.parametrize(("language", "text"), CALLS)
def test_a_documented_call_works_as_printed(
    documented: Endpoint, tmp_path: Path, language: str, text: str
) -> None:
    here = text.replace("127.0.0.1:3000", f"127.0.0.1:{documented.port}")
    here = here.replace("127.0.0.1:3001", documented.grpc_address)
    command = (
        [sys.executable, "-W", "error", "-c", here]
        if language == "python"
        else ["bash", "-euc", here]
    )
    called = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert called.returncode == 0, called.stderr
    assert not FLAG.search(called.stdout), called.stdout
    if "curl" in text:
        answer = json.loads(called.stdout)
        assert {"predictions", "outputs"} & set(answer), called.stdout


def test_the_documented_event_is_a_request_that_is_answered_without_a_flag(
    documented: Endpoint,
) -> None:
    text = (PROJECT_ROOT / "docs/batch-and-streaming.md").read_text()
    (literal,) = re.findall(r"^    row = (\{.*?^    \})$", text, re.M | re.S)
    answer = documented.client.post(
        "/v1/models/flight_delays/predict", json={"rows": [ast.literal_eval(literal)]}
    )
    assert answer.status_code == 200, answer.text
    (prediction,) = answer.json()["predictions"]
    assert prediction["flags"] == []
