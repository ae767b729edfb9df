"""A deployment as its DAG runs it:

MLflow's registry, the package check in a child process, the real endpoint, the ledger.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from include.errors import ReleaseError
from include.model.package import package_digest
from include.model.signing import attach_signature, sign_package
from include.processes import deployment as steps
from include.registry import versions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.release.model_store import desired, publish, version_folder, withdraw
from include.release.rollout.overrides import override_gates
from include.settings import Settings
from include.steps import RunInfo, StepContext
from include.verdict import Verdict
from proofs.harness.damage.packages import change_model, flipped
from proofs.harness.databases import mlflow_at
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import BUSY_MACHINE
from proofs.harness.registered import register
from proofs.harness.traffic import Traffic
from proofs.harness.world import INTERVAL, World
from tests.step_runs import run_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:.*Any type hint is inferred as AnyType:UserWarning"
    ),  # MLflow, about its own signature check
]
RUNS = count(1)
ORDER = (steps.select_version, steps.package_model, steps.check_package, steps.promote_version)


@pytest.fixture(scope="module")
def registry(world: World) -> Settings:
    """MLflow on SQLite with version 1 and 2 registered and accepted."""
    uri = mlflow_at(world.settings.home / "mlflow" / "mlflow.db")
    settings = world.settings.model_copy(update={"mlflow_tracking_uri": uri})
    for number in (1, 2):
        register(settings, world, number)
    return settings


def context_for(settings: Settings, world: World, endpoint: Endpoint, **params: Any) -> StepContext:
    run = RunInfo(
        process="deployment",
        run_id=f"manual__{next(RUNS)}",
        trigger="manual",
        triggered_by="reviewer",
        params=params,
    )
    # How fast a busy machine scores is no question of these tests.
    gates = world.use_case.gates.model_copy(update=dict(BUSY_MACHINE))
    return StepContext(
        world.use_case.model_copy(update={"gates": gates}),
        settings.model_copy(update={"serving_url": endpoint.url}),
        INTERVAL,
        run,
    )


def accept(context: StepContext, version: int, digest: str) -> None:
    """The ledger's row of a package that was accepted in the context's run."""
    evidence = {"run": context.run.as_json(), "about": "check_package", "outcome": "passed"}
    ledger = Ledger(context.settings)
    ledger.append("verdict", "flight_delays", version, digest, "reviewer", "ok", evidence)


def deploy(context: StepContext) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for step in ORDER:
        inputs[step.__name__] = run_step(step, context, inputs)
    return inputs


def test_the_challenger_is_deployed_recorded_once_and_can_be_rolled_back_to_an_older_version(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    context = context_for(registry, world, endpoint)
    ledger = Ledger(registry)
    inputs = deploy(context)
    assert inputs["check_package"]["accepted"], inputs["check_package"]["reasons"]
    assert inputs["promote_version"] == {
        "version": 2,
        "digest": world.digests[2],
        "previous_version": None,
        "ledger_row": 3,
        "changed": True,
        "alias_problem": None,
    }
    assert endpoint.predict(world.rows[:1]).json()["model_version"] == 2
    champion = versions.champion(registry, world.use_case)
    assert champion is not None
    assert champion.version == 2

    assert run_step(steps.promote_version, context, inputs) == inputs["promote_version"]
    rows = ledger.rows("flight_delays")
    assert [row.event for row in rows] == ["verdict", "traffic", "promoted"]
    entry = rows[-1]
    assert (entry.version, entry.actor) == (2, "reviewer")
    assert entry.evidence["run"]["run_id"] == context.run.run_id
    assert entry.evidence["endpoint"]["check"]["largest_difference"] <= 1e-6
    assert entry.evidence["checks"]["latency_p50_ms"]["observed"] > 0
    assert 0 < entry.evidence["smoke"]["p50_ms"] <= entry.evidence["smoke"]["p90_ms"]

    back = deploy(
        context_for(registry, world, endpoint, version=1, reason="the old one was better")
    )
    assert (back["promote_version"]["version"], back["promote_version"]["previous_version"]) == (
        1,
        2,
    )
    assert ledger.rows()[-1].reason == "version 1 was asked for: the old one was better"
    assert endpoint.model()["version"] == 1
    assert ledger.verify().number == 6


def test_a_version_that_the_endpoint_does_not_take_is_rolled_back(
    endpoint: Endpoint,
    world: World,
    registry: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "SERVING_SECONDS", 30.0)
    ledger = Ledger(registry)
    if ledger.current("flight_delays") is None:
        deploy(context_for(registry, world, endpoint, version=1))
    before = ledger.current("flight_delays")
    assert before is not None
    digest = publish_wrong_golden(world, tmp_path)
    context = context_for(registry, world, endpoint)
    accept(context, 5, digest)
    inputs = {
        "select_version": {"version": 5, "digest": digest, "mlflow_run_id": "r", "reason": "test"},
        "check_package": {
            "accepted": True,
            "reasons": [],
            "checks": {},
            "version": 5,
            "digest": digest,
        },
    }
    with pytest.raises(ReleaseError, match="golden"):
        run_step(steps.promote_version, context, inputs)
    row = ledger.rows("flight_delays")[-1]
    assert (row.event, row.version, row.evidence["back_to"]) == ("rolled_back", 5, before.version)
    assert ledger.current("flight_delays") == before
    state = desired(world.settings, "flight_delays")
    assert state is not None
    assert state.version == before.version
    assert endpoint.predict(world.rows[:1]).json()["model_version"] == before.version


def test_a_version_that_is_too_slow_over_http_is_rolled_back(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    ledger = Ledger(registry)
    if ledger.current("flight_delays") is None:
        deploy(context_for(registry, world, endpoint, version=1))
    before = ledger.current("flight_delays")
    assert before is not None
    other = 2 if before.version == 1 else 1
    context = context_for(registry, world, endpoint, version=other)
    serving = world.use_case.serving.model_copy(update={"max_smoke_ms": 0.001})
    hurried = replace(context, use_case=context.use_case.model_copy(update={"serving": serving}))
    with pytest.raises(ReleaseError, match=r"max_smoke_ms is 0\.001"):
        deploy(hurried)
    row = ledger.rows("flight_delays")[-1]
    assert (row.event, row.version, row.evidence["back_to"]) == (
        "rolled_back",
        other,
        before.version,
    )
    endpoint.wait_for_version(before.version)


@pytest.mark.parametrize("damage", ["removed", "one bit"])
def test_the_version_before_serves_again_although_its_package_is_gone_or_damaged(
    endpoint: Endpoint, world: World, registry: Settings, damage: str
) -> None:
    ledger = Ledger(registry)
    if ledger.current("flight_delays") is None:
        deploy(context_for(registry, world, endpoint, version=1))
    before = ledger.current("flight_delays")
    assert before is not None
    context = context_for(registry, world, endpoint, version=2 if before.version == 1 else 1)
    serving = world.use_case.serving.model_copy(update={"max_smoke_ms": 0.001})
    hurried = replace(context, use_case=context.use_case.model_copy(update={"serving": serving}))
    inputs: dict[str, Any] = {}
    for step in ORDER[:-1]:
        inputs[step.__name__] = run_step(step, hurried, inputs)
    folder = version_folder(registry, "flight_delays", before.version)
    if damage == "removed":
        shutil.rmtree(folder)
    else:
        change_model(folder, flipped)
    with Traffic(endpoint.url, world.rows, callers=2, retries=False).flowing() as traffic:
        with pytest.raises(ReleaseError, match=r"max_smoke_ms is 0\.001"):
            run_step(steps.promote_version, hurried, inputs)
        endpoint.wait_for_version(before.version)
        traffic.wait_for(10)
    assert dict(traffic.errors) == {}
    row = ledger.rows("flight_delays")[-1]
    assert (row.event, row.evidence["back_to"]) == ("rolled_back", before.version)
    endpoint.stop()
    endpoint.start()
    endpoint.wait_for("/readyz")
    assert endpoint.model()["version"] == before.version


def publish_wrong_golden(world: World, tmp_path: Path) -> str:
    """A package with a right digest whose golden scores are not what the model answers."""
    folder = tmp_path / "wrong"
    shutil.copytree(world.packages[2], folder)
    golden = json.loads((folder / "golden.json").read_text())
    golden["scores"] = [score + 0.01 for score in golden["scores"]]
    (folder / "golden.json").write_text(json.dumps(golden))
    digest = package_digest(folder)
    record = json.loads((folder / "digest.json").read_text())
    (folder / "digest.json").write_text(json.dumps({**record, "digest": digest}))
    attach_signature(folder, sign_package(world.settings, folder, digest))
    publish(world.settings, "flight_delays", folder, 5, digest)
    return digest


def test_a_refused_or_exchanged_package_is_never_promoted(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    context = context_for(registry, world, endpoint)
    selected = {"version": 2, "digest": world.digests[2], "mlflow_run_id": "r", "reason": "test"}
    refused = {
        "accepted": False,
        "reasons": ["too slow"],
        "checks": {},
        "version": 2,
        "digest": world.digests[2],
    }
    with pytest.raises(ReleaseError, match="too slow"):
        run_step(
            steps.promote_version, context, {"select_version": selected, "check_package": refused}
        )
    exchanged = {**refused, "accepted": True, "digest": world.digests[1]}
    with pytest.raises(ReleaseError, match="start the deployment again"):
        run_step(
            steps.promote_version,
            context,
            {"select_version": selected, "check_package": exchanged},
        )
    assert endpoint.model()["version"] == 1


def test_a_package_whose_check_was_marked_or_edited_is_never_promoted(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    context = context_for(registry, world, endpoint)
    selected = {"version": 2, "digest": world.digests[2], "mlflow_run_id": "r", "reason": "test"}
    edited = {
        "accepted": True,
        "reasons": [],
        "checks": {},
        "version": 2,
        "digest": world.digests[2],
    }
    before = endpoint.model()["version"]
    with pytest.raises(ReleaseError, match="no verdict of check_package in run deployment/manual"):
        run_step(
            steps.promote_version, context, {"select_version": selected, "check_package": edited}
        )
    assert endpoint.model()["version"] == before


def test_a_version_without_an_accepted_verdict_is_not_selected(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    client = connect(registry)
    client.set_model_version_tag("flight_delays", "2", "decision", "refused")
    try:
        with pytest.raises(ReleaseError, match="no accepted verdict"):
            run_step(steps.select_version, context_for(registry, world, endpoint))
    finally:
        client.set_model_version_tag("flight_delays", "2", "decision", "accepted")
    nobody = replace(
        context_for(registry, world, endpoint),
        use_case=world.use_case.model_copy(update={"name": "other_case"}),
    )
    with pytest.raises(ReleaseError, match="no challenger yet"):
        run_step(steps.select_version, nobody)


def test_a_version_that_its_gates_refused_is_selected_by_an_override_that_stays_visible(
    endpoint: Endpoint, world: World, registry: Settings
) -> None:
    client = connect(registry)
    client.set_model_version_tag("flight_delays", "2", "decision", "refused")
    try:
        override_gates(
            Ledger(registry),
            "flight_delays",
            2,
            world.digests[2],
            actor="lead",
            reason="the old one fails on snow",
            verdict=Verdict(),
            evidence={},
        )
        context = context_for(registry, world, endpoint, version=2)
        selected = run_step(steps.select_version, context)
    finally:
        client.set_model_version_tag("flight_delays", "2", "decision", "accepted")
    assert selected["reason"] == (
        "version 2 was asked for, although its gates refused it (lead: the old one fails on snow)"
    )


def test_a_withdrawn_use_case_is_not_served_any_more(endpoint: Endpoint, world: World) -> None:
    withdraw(world.settings, "flight_delays")
    endpoint.wait_for_version(None)
    assert endpoint.predict(world.rows[:1]).json()["error"]["code"] == "no_model"
    endpoint.wait_for("/readyz", 503)
