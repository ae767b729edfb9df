"""The consumer on a real broker: the scores of batch scoring, nothing lost or doubled over kill -9,
poison set aside, hot swaps.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import numpy as np
import pytest

from include.features.retrieval import point_in_time
from include.model.package import load_model
from include.release.model_store import set_desired, withdraw
from include.settings import PROJECT_ROOT
from proofs.harness.home import home_settings
from proofs.harness.logged import logged_rows
from proofs.harness.world import World, build_world
from tests.serving.broker import ANSWERS, DEAD, REQUESTS, Broker, Consumer, event, wait_until

pytestmark = [pytest.mark.slow]
SOON_SECONDS = 0.7


@pytest.fixture(scope="module")
def streamed_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(home_settings(tmp_path_factory.mktemp("stream") / "home", share=0.15))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    server = Broker(tmp_path_factory.mktemp("broker"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def only_consumer(streamed_world: World, broker: Broker) -> Iterator[Consumer]:
    process = Consumer(streamed_world.settings.home, broker.url)
    yield process
    if process.running:
        process.kill()


@pytest.fixture
def consumer(only_consumer: Consumer, streamed_world: World) -> Consumer:
    """Running, with version 1 in service."""
    set_desired(streamed_world.settings, "flight_delays", 1, streamed_world.digests[1])
    if not only_consumer.running:
        only_consumer.start()
    return only_consumer


def answers(broker: Broker) -> dict[str, dict]:
    return {document["event_id"]: document for _, document in broker.messages(ANSWERS)}


def test_an_event_gets_the_score_of_batch_scoring(streamed_world, broker, consumer):
    rows = streamed_world.rows
    broker.publish([event(f"parity-{number}", [row]) for number, row in enumerate(rows)])
    broker.wait_until_done()
    found = answers(broker)
    scores = np.array(
        [found[f"parity-{number}"]["predictions"][0]["probability"] for number in range(len(rows))]
    )
    model = load_model(streamed_world.packages[1])
    batch = model.score_frame(
        point_in_time(streamed_world.use_case, streamed_world.entities, streamed_world.settings)
    )
    assert len(rows) > 50
    assert np.abs(scores - batch).max() <= 1e-6
    assert np.ptp(scores) > 0.05
    log = logged_rows(streamed_world.settings)
    identifiers = {document["predictions"][0]["prediction_id"] for document in found.values()}
    assert set(log["prediction_id"]) == identifiers
    assert log.height == len(rows)


def test_an_event_about_the_past_is_answered_and_flagged(streamed_world, broker, consumer):
    past = {"asked_at": "2013-02-01T12:00:00Z", "scheduled_departure": "2013-02-01T15:00:00Z"}
    broker.publish([event("past", [{**streamed_world.rows[0], **past}])])
    broker.wait_until_done()
    (prediction,) = answers(broker)["past"]["predictions"]
    assert "newer:weather_hourly" in prediction["flags"]


def test_poison_is_set_aside_with_its_reason_and_nothing_waits_for_it(
    streamed_world, broker, consumer
):
    row = streamed_world.rows[0]
    before = logged_rows(streamed_world.settings).height
    good = event("after the poison", [row])
    poison = {
        "malformed_json": b"{not json",
        "invalid_utf8": b'{"event_id": "\xff"}',
        "missing_field": b'{"rows": []}',
        "unknown_field": event("x1", [{**row, "colour": "red"}]),
        "row_count": event("x2", []),
        "duplicate_field": b'{"event_id": "x3", "event_id": "x4", "rows": []}',
        "invalid_value": event("x5", [{**row, "carrier": 7}]),
    }
    broker.publish([*poison.values(), good])
    broker.wait_until_done()
    dead = broker.messages(DEAD)
    assert sorted(headers["Flightdeck-Reason"] for headers, _ in dead) == sorted(poison)
    for headers, letter in dead:
        assert letter["error"]["code"] == headers["Flightdeck-Reason"]
        assert (letter["stream"], letter["attempts"]) == (REQUESTS, 1)
    letters = {headers["Flightdeck-Reason"]: letter for headers, letter in dead}
    assert letters["unknown_field"]["error"]["field"] == "rows[0].colour"
    assert letters["unknown_field"]["payload"] == poison["unknown_field"].decode()
    assert letters["invalid_utf8"]["encoding"] == "base64"
    assert "after the poison" in answers(broker)
    assert logged_rows(streamed_world.settings).height == before + 1


def test_an_event_id_is_answered_once_also_after_a_restart(streamed_world, broker, consumer):
    first, second = streamed_world.rows[:2]
    before = logged_rows(streamed_world.settings).height
    broker.publish([event("twice", [first])] * 3)
    broker.wait_until_done()
    answered = answers(broker)["twice"]
    assert consumer.stop() == 0
    consumer.start()
    broker.publish([event("twice", [first]), event("twice", [second])])
    broker.wait_until_done()
    assert logged_rows(streamed_world.settings).height == before + 1
    assert [
        document for _, document in broker.messages(ANSWERS) if document["event_id"] == "twice"
    ] == [answered]
    headers, letter = broker.messages(DEAD)[-1]
    assert headers["Flightdeck-Reason"] == letter["error"]["code"] == "event_id_reused"


def test_the_documented_producer_gets_its_answer(streamed_world, broker, consumer):
    section = (PROJECT_ROOT / "docs" / "batch-and-streaming.md").read_text().split("## Streams")[1]
    code = (
        section.split("```python\n")[1].split("```")[0].replace("nats://127.0.0.1:4222", broker.url)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event_id"] == "order-4711"
    assert 0.0 <= json.loads(done.stdout)["predictions"][0]["probability"] <= 1.0


@pytest.mark.parametrize("moment", ["before_publish", "before_ack"])
def test_a_kill_between_log_answer_and_acknowledgement_repeats_nothing(
    streamed_world, broker, consumer, moment
):
    before = logged_rows(streamed_world.settings).height
    assert consumer.stop() == 0
    names = [f"{moment}-{number}" for number in range(20)]
    broker.publish([event(name, [streamed_world.rows[0]]) for name in names])
    assert consumer.run_until_it_dies(moment) == -signal.SIGKILL
    assert logged_rows(streamed_world.settings).height > before, "it must die after the commit"
    consumer.start()
    broker.wait_until_done()
    found = [
        document
        for _, document in broker.messages(ANSWERS)
        if document["event_id"].startswith(moment)
    ]
    assert sorted(document["event_id"] for document in found) == sorted(names)
    log = logged_rows(streamed_world.settings)
    assert log.height == before + len(names)
    assert {document["predictions"][0]["prediction_id"] for document in found} <= set(
        log["prediction_id"]
    )


def test_a_killed_consumer_loses_and_doubles_nothing(streamed_world, broker, consumer):
    before = logged_rows(streamed_world.settings).height
    answered_before = broker.stored(ANSWERS)
    rows = streamed_world.rows
    events = [event(f"killed-{number}", [rows[number % len(rows)]]) for number in range(3000)]
    for part in range(2):
        broker.publish(events[part * 1500 : part * 1500 + 1500])
        goal = answered_before + 200 + 1500 * part
        wait_until(partial(_holds_more, broker, goal), "nothing was answered")
        consumer.kill()
        assert sum(broker.outstanding()) > 0
        consumer.start("--in-flight", "64")
    broker.wait_until_done()
    found = [
        document
        for _, document in broker.messages(ANSWERS)
        if document["event_id"].startswith("killed-")
    ]
    assert sorted(document["event_id"] for document in found) == sorted(
        f"killed-{number}" for number in range(3000)
    )
    log = logged_rows(streamed_world.settings)
    assert log.height == before + 3000
    assert log["prediction_id"].is_unique().all()
    assert {document["predictions"][0]["prediction_id"] for document in found} <= set(
        log["prediction_id"]
    )


def test_the_model_is_swapped_while_events_flow_and_a_withdrawn_one_loses_none(
    streamed_world, broker, consumer
):
    row = streamed_world.rows[0]
    set_desired(streamed_world.settings, "flight_delays", 2, streamed_world.digests[2])
    number = 0

    def swapped() -> bool:
        nonlocal number
        number += 1
        broker.publish([event(f"swap-{number}", [row])])
        broker.wait_until_done()
        return bool(answers(broker)[f"swap-{number}"]["model_version"] == 2)

    wait_until(swapped, "version 2 never answered")
    expected = load_model(streamed_world.packages[2]).score_frame(
        point_in_time(
            streamed_world.use_case, streamed_world.entities.head(1), streamed_world.settings
        )
    )
    assert (
        abs(answers(broker)[f"swap-{number}"]["predictions"][0]["probability"] - expected[0])
        <= 1e-6
    )
    withdraw(streamed_world.settings, "flight_delays")
    wait_until(lambda: not _is_answered(broker, row), "the model was never withdrawn")
    set_desired(streamed_world.settings, "flight_delays", 1, streamed_world.digests[1])
    broker.wait_until_done()
    waited = [document for name, document in answers(broker).items() if name.startswith("waits-")]
    assert waited[-1]["model_version"] == 1
    assert consumer.stop() == 0
    assert broker.outstanding() == (0, 0)


def _holds_more(broker: Broker, goal: int) -> bool:
    return broker.stored(ANSWERS) > goal


def _is_answered(broker: Broker, row: dict) -> bool:
    """Whether an event that is published now is answered soon."""
    name = f"waits-{uuid4()}"
    broker.publish([event(name, [row])])
    deadline = time.monotonic() + SOON_SECONDS
    while time.monotonic() < deadline:
        if broker.outstanding() == (0, 0):
            return name in answers(broker)
        time.sleep(0.05)
    return False
