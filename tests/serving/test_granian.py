"""The endpoint as `python -m cli serve` runs it: the same answers, and what a server must survive."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from cli.serve import check_port
from include.data.inference_log import spool_path
from include.errors import PlatformError
from include.registry.artifact import golden_columns, load_model
from include.release.model_store import set_desired
from include.settings import PROJECT_ROOT
from tests.conftest import free_port
from tests.serving.conftest import START_SECONDS, Endpoint
from tests.serving.world import World

pytestmark = pytest.mark.slow


class Server(Endpoint):
    """`python -m cli serve` in a process group of its own."""

    def start(self) -> None:
        environment = {**os.environ, "FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(self.home)}
        with (self.home / "granian.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "serve", "--port", str(self.port)],
                cwd=PROJECT_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for("/readyz")

    def worker(self) -> psutil.Process:
        """The one process that has the model."""
        return max(psutil.Process(self.process.pid).children(recursive=True), key=lambda child: child.memory_info().rss)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
        self.client.close()


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Server]:
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    made = Server(world.settings.home, free_port())
    made.start()
    yield made
    made.end()


def logged(world: World) -> set[str]:
    with sqlite3.connect(spool_path(world.settings)) as spool:
        return {row[0] for row in spool.execute("SELECT prediction_id FROM predictions")}


def test_answers_health_and_metrics_are_there(server: Server, world: World):
    answer = server.predict(world.rows[:5])
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert {prediction["prediction_id"] for prediction in predictions} <= logged(world)
    assert [server.client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")] == [200, 200, 200]
    assert server.client.get("/nothing").json()["error"]["code"] == "not_found"
    metrics = server.client.get("/metrics").text
    assert 'flightdeck_predictions_total{use_case="flight_delays",version="1"}' in metrics
    assert 'flightdeck_engine{engine="onnxruntime",use_case="flight_delays"} 1.0' in metrics


def test_scores_are_those_of_the_package(server: Server, world: World):
    model = load_model(world.packages[1])
    golden = model.golden["rows"]
    names = [name for name in golden_columns(model.transform, golden) if "__" in name]
    rows = [
        {**{name: value for name, value in row.items() if "__" not in name}, "features": {name: row[name] for name in names}}
        for row in golden
    ]
    given = [
        {name: row.get(name) for name in (*world.use_case.serving.entity_keys, "scheduled_departure", "asked_at", "features")}
        for row in rows
    ]
    answer = server.predict(given)
    assert answer.status_code == 200, answer.text
    scores = [prediction["probability"] for prediction in answer.json()["predictions"]]
    assert scores == pytest.approx(model.golden["scores"], abs=1e-6)


def test_a_second_endpoint_on_the_same_port_is_refused(server: Server):
    with pytest.raises(PlatformError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        check_port("127.0.0.1", server.port)
    check_port("127.0.0.1", free_port())


def test_a_worker_is_started_anew_however_often_it_is_killed(server: Server, world: World):
    killed = set()
    for _ in range(3):
        worker = server.worker()
        killed.add(worker.pid)
        worker.kill()
        worker.wait(timeout=10)
        server.wait_for("/readyz")
    assert server.worker().pid not in killed
    assert len(killed) == 3
    assert server.predict(world.rows[:1]).status_code == 200


def test_sigterm_answers_what_was_asked_and_loses_nothing(world: World):
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    server = Server(world.settings.home, free_port())
    server.start()
    answered: list[str] = []
    strange: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=30.0) as client:
            while True:
                try:
                    answer = client.post("/v1/models/flight_delays/predict", json={"rows": world.rows[:2]})
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    strange.append(answer.text)
                    return
                answered.extend(prediction["prediction_id"] for prediction in answer.json()["predictions"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    for thread in threads:
        thread.join(timeout=30)
    server.client.close()
    assert strange == []
    assert len(answered) > 50
    assert set(answered) <= logged(world)


def test_a_worker_whose_supervisor_was_killed_ends_itself(world: World):
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    server = Server(world.settings.home, free_port())
    server.start()
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    server.process.wait(timeout=10)
    server.client.close()
    _, alive = psutil.wait_procs(family, timeout=START_SECONDS / 2)
    assert alive == []
