"""A challenger that is deliberately bad: the champion's model with every answer turned around.

It answers 1 - p where the champion answers p, so it is whole, fast and wrong, as a model with a
flipped label is: its package passes every check, and only live traffic shows it. Its gates are
recorded as refused, and an override in the release ledger, which names it, lets it be tried.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.model.package import ScoringModel, golden_columns, load_model, write_package
from include.registry import versions
from include.registry.client import connect
from include.registry.logged_model import log_package
from include.release.ledger import Ledger
from include.release.rollout.overrides import gate_override, override_gates
from include.settings import Settings
from include.spec import UseCase
from include.verdict import Finding, GateVerdict

if TYPE_CHECKING:
    import xgboost

ACTOR = "flightdeck demo"
REASON = "deliberately bad, to show a roll-back: it answers 1 - p where the champion answers p"
REFUSED = GateVerdict(findings=(Finding(rule="deliberately_bad", passed=False, reason=REASON),))
TAG = "flightdeck.deliberately_bad"
RUN_NAME = "deliberately bad challenger"
LEAF = -1


def turned_package(package: Path, folder: Path) -> str:
    """Write the package of the turned model to `folder`; its digest."""
    model = load_model(package)
    booster = turned(model.booster)
    scores = _scores(model, booster)
    golden = {**model.golden, "scores": scores.tolist()}
    return write_package(folder, booster, model.transform, model.metadata, model.reference, golden)


def turned(booster: xgboost.Booster) -> xgboost.Booster:
    """A booster for binary labels that answers 1 - p: every leaf and the base have the other
    sign.
    """
    import xgboost

    content = json.loads(bytes(booster.save_raw("json")))
    learner = content["learner"]
    for tree in learner["gradient_booster"]["model"]["trees"]:
        for node, child in enumerate(tree["left_children"]):
            if child == LEAF:
                tree["split_conditions"][node] = -tree["split_conditions"][node]
        tree["base_weights"] = [-weight for weight in tree["base_weights"]]
    parameters = learner["learner_model_param"]
    parameters["base_score"] = re.sub(
        r"[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?",
        lambda number: f"{1.0 - float(number.group()):.9E}",
        parameters["base_score"],
    )
    turned = xgboost.Booster()
    turned.load_model(bytearray(json.dumps(content).encode()))
    return turned


def register_turned(settings: Settings, use_case: UseCase, package: Path) -> int:
    """Register the turned model of a package as a version of the use case, and record the override
    that lets it be released; its number. Repeating it gives the same version.
    """
    existing = _existing(settings, use_case)
    with TemporaryDirectory(prefix="flightdeck-turned-") as folder:
        turned_folder = Path(folder) / "package"
        if existing is None:
            digest = turned_package(package, turned_folder)
            number = _register(settings, use_case, turned_folder, digest)
        else:
            number, digest = existing
    ledger = Ledger(settings)
    if gate_override(ledger.rows(use_case.name), number, digest) is None:
        override_gates(
            ledger,
            use_case.name,
            number,
            digest,
            actor=ACTOR,
            reason=REASON,
            verdict=REFUSED,
            evidence={"command": "flightdeck demo"},
        )
    return number


def _register(settings: Settings, use_case: UseCase, package: Path, digest: str) -> int:
    client = connect(settings)
    experiment = client.get_experiment_by_name(use_case.name)
    identifier = "0" if experiment is None else str(experiment.experiment_id)
    run = client.create_run(
        identifier,
        run_name=RUN_NAME,
        tags={TAG: REASON, "decision": "refused"},
    ).info.run_id
    model = load_model(package)
    log_package(
        client,
        experiment_id=identifier,
        mlflow_run_id=run,
        package=package,
        digest=digest,
        transform=model.transform,
        example=_example(model),
    )
    client.set_terminated(run)
    return versions.register_refused(settings, use_case, run, digest, REFUSED)


def _existing(settings: Settings, use_case: UseCase) -> tuple[int, str] | None:
    """Number and digest of the version that an earlier call registered."""
    everything = connect(settings).search_model_versions(f"name='{use_case.name}'")
    own = [version for version in everything if TAG.removeprefix("flightdeck.") in version.tags]
    if not own:
        return None
    return int(own[0].version), str(own[0].tags["digest"])


def _scores(model: ScoringModel, booster: xgboost.Booster) -> np.ndarray:
    matrix = model.transform.apply(golden_columns(model.transform, model.golden["rows"]))
    return np.asarray(booster.inplace_predict(matrix), dtype=np.float64)


def _example(model: ScoringModel) -> pl.DataFrame:
    """Two golden rows, as MLflow shows a model's input."""
    columns: dict[str, Any] = golden_columns(model.transform, model.golden["rows"][:2])
    return pl.DataFrame(columns)
