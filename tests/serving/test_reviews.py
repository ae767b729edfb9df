"""An answer of the endpoint, from the request to the review that overturns it: over the real log,
model store, ledger and explanations.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.application import invoke
from include.decisions.record import decision_record
from include.errors import LedgerBroken
from include.files import sqlite_url
from include.processes.decisions.review import close_review, request_review
from include.release.ledger import Ledger
from include.release.rollout.decisions import champion_arm, decide
from include.steps import RunInfo, StepContext
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import INTERVAL, World
from tests.unit.decisions.parcels import answer_to

pytestmark = pytest.mark.slow
URL = "/v1/models/flight_delays"


def release(world: World, endpoint: Endpoint, version: int) -> int:
    """The ledger's row that puts a version into service."""
    ledger = Ledger(world.settings)
    newest = ledger.newest(USE_CASE.name)
    entry, _ = decide(
        world.settings,
        ledger,
        "promoted",
        version,
        world.digests[version],
        use_case=world.use_case,
        arms=(champion_arm(version, world.digests[version]),),
        actor="engineer",
        reason="fewer wrong calls",
        evidence={"run": {"process": "deployment", "run_id": f"reviews_{version}"}},
        after=0 if newest is None else newest.number,
    )
    endpoint.wait_for_version(version)
    return entry.number


def context(world: World, run_id: str, prediction_id: str) -> StepContext:
    params = {"prediction_id": prediction_id, "reason": "the flight was on time"}
    run = RunInfo("decision_review", run_id, "manual", "engineer", params=params)
    return StepContext(USE_CASE, world.settings, INTERVAL, run)


def test_an_answer_is_shown_reviewed_by_who_may_and_found_when_it_is_edited(
    endpoint: Endpoint, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = release(world, endpoint, 2)
    (answer,) = endpoint.client.post(f"{URL}/explain", json={"rows": world.rows[:1]}).json()[
        "predictions"
    ]
    identifier, reasons = answer["prediction_id"], answer["explanation"]

    record = decision_record(world.settings, USE_CASE, identifier)
    model, again = record.answered_by, record.again
    assert (model.version, model.digest, model.share) == (2, world.digests[2], 1.0)
    assert (model.decided_by.number, model.decided_by.actor) == (row, "engineer")
    assert (again.same, again.source) == (True, "computed")
    assert again.score == pytest.approx(answer["probability"], abs=1e-6)
    assert again.contributions == pytest.approx(reasons["contributions"], abs=1e-6)
    assert record.request["tailnum"] == world.rows[0]["tailnum"]
    assert record.decision is answer["decision"]
    assert any(value is not None for value in record.features.values())

    asked = context(world, "by_a_stranger", identifier)
    refused = close_review(asked, answer_to(request_review(asked), by="stranger"))
    assert (refused.accepted, refused.outcome) == (False, None)
    asked = context(world, "by_the_reviewer", identifier)
    review = close_review(asked, answer_to(request_review(asked)))
    assert (review.accepted, review.outcome) == (True, "overturned")
    assert review.decision is not answer["decision"]

    invoke(["decisions", "list", "--use-case", USE_CASE.name, "--json"], world.settings)
    shown = json.loads(capsys.readouterr().out)
    assert [one["prediction_id"] for one in shown["reviews"]] == [identifier]
    rates = shown["rates"][USE_CASE.name]
    assert ("version", "2", 1, 1) in {
        (one["segment"], one["value"], one["reviewed"], one["overturned"]) for one in rates
    }
    assert any(one["segment"] == "origin x carrier" for one in rates)

    path = world.settings.ledger_path
    assert Ledger(world.settings).verify().number >= review.ledger_row
    shutil.copytree(path.parent, tmp_path / "ledger")
    copy = tmp_path / "ledger" / path.name
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute("DROP TRIGGER release_ledger_no_update")
        database.execute(
            "UPDATE release_ledger SET evidence = replace(evidence, 'overturned', 'upheld')"
            " WHERE number = ?",
            (review.ledger_row,),
        )
    with pytest.raises(LedgerBroken) as broken:
        Ledger.at(sqlite_url(copy), copy.parent, world.settings.keys_dir).verify()
    assert (broken.value.kind, broken.value.row) == ("edited", review.ledger_row)
