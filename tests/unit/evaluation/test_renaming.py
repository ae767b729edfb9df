"""Values of slices and classes are identities: under other names, one to one, a really trained
model gets the same verdict, with its metrics read back from MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.evaluation.evaluate import evaluate, labels_of, metric_names
from include.evaluation.gates.base import GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.slices import shown, slice_parts
from include.registry.client import connect
from include.registry.metric_names import slice_metrics
from include.settings import load_settings
from include.spec import Slice, UseCase
from include.spec.expectations import FairnessGroups
from include.training.tracking import log_metrics
from include.verdict import GateVerdict
from proofs.harness.databases import mlflow_at
from tests.unit.problems.problem_cases import rows, splits, trained, use_case

DEPOTS = ("east", "north", "west")
CLASSES = ("early", "on_time", "late")
NAMES = {
    "Han": ("東京", "大阪", "京都"),
    "signs": ("<5", ">5", "=5"),
    "empty and spaces": ("", " ", "  "),
    "separators": ("a/b", "a__b", "a_x_b"),
    "words": ("(missing)", ":missing:", "low"),
    "long": ("x" * 300, "x" * 299 + "y", "x" * 301),
    "case and null bytes": ("A", "a", "a\0"),
}


@pytest.fixture(scope="module")
def mlflow_run(tmp_path_factory):
    """`log(metrics) -> metrics`: what MLflow gives back of a new run."""
    home = tmp_path_factory.mktemp("mlflow")
    values = {"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home)}
    values["FLIGHTDECK_MLFLOW_TRACKING_URI"] = mlflow_at(home / "mlflow.db")
    client = connect(load_settings(values))
    experiment = client.create_experiment("renaming")

    def log(metrics: Mapping[str, float]) -> dict[str, float]:
        run_id = client.create_run(experiment).info.run_id
        log_metrics(client, run_id, metrics)
        return dict(client.get_run(run_id).data.metrics)

    return log


def renamed(problem: str, names: tuple[str, ...], classes: tuple[str, ...]) -> UseCase:
    """The parcels with other names of depots (declared, grouped) and of classes."""
    values = use_case(problem).model_dump()
    depot = next(c for c in values["tables"][0]["columns"] if c["name"] == "depot")
    depot["categories"] = names
    values["slices"] = [
        Slice(column="depot", minimum_rows=50).model_dump(),
        Slice(column="depot", crossed_with="half", minimum_rows=50).model_dump(),
    ]
    values["inputs"] = [item for item in values["inputs"] if item["name"] != "pickup_hour"]
    values["serving"]["request_fields"] = [{"name": "half", "type": "string"}]
    values["tables"][0]["columns"] = [
        {**column, "name": "half", "type": "string"} if column["name"] == "pickup" else column
        for column in values["tables"][0]["columns"]
    ]
    fairness = FairnessGroups(column="depot", groups={"one": names[:1], "two": names[1:]})
    values["gates"]["fairness"] = [fairness.model_dump()]
    if problem == "multiclass":
        values["problem"] |= {"classes": classes, "positive": classes[2]}
    return UseCase.model_validate(values)


def frame(names: tuple[str, ...], classes: tuple[str, ...], *, broken: bool) -> pl.DataFrame:
    """Parcels of which some lack their depot; with `broken` the second depot's newest labels are
    exchanged, so that a model fails there and nowhere else.
    """
    parcels = rows(4000)
    newest = pl.int_range(pl.len()) >= int(parcels.height * 0.8)
    if broken:
        wrong = newest & (pl.col("depot") == DEPOTS[1])
        parcels = parcels.with_columns(
            late=pl.when(wrong).then(1 - pl.col("late")).otherwise("late"),
            outcome=pl.when(wrong)
            .then(pl.col("outcome").replace_strict(CLASSES, CLASSES[1:] + CLASSES[:1]))
            .otherwise("outcome"),
        )
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("a_x_b")).otherwise(pl.lit("b"))
    return parcels.with_columns(
        pl.when(pl.int_range(pl.len()) % 9 == 0)
        .then(None)
        .otherwise(pl.col("depot").replace_strict(DEPOTS, names))
        .alias("depot"),
        pl.col("outcome").replace_strict(CLASSES, classes),
        half=half,
    )


def verdict(case: UseCase, parcels: pl.DataFrame, home: Any, mlflow_run: Any) -> GateVerdict:
    """Train, evaluate, keep the metrics in MLflow, and let every gate judge what it gives back."""
    run = trained(case, home, parcels)
    metrics = mlflow_run(metric_names(evaluate(case, run.model, splits(parcels))))
    test = run.parts["test"]
    parts = slice_parts(case, run.model.transform, test)
    return run_gates(
        GateInput(
            use_case=case,
            metrics=metrics,
            evaluated_digest=run.digest,
            package_digest=run.digest,
            labels=labels_of(case, test),
            days=np.arange(test.height) % 30,
            slices=parts,
            scores=run.model.score_frame(test),
            champion=None,
            model=run.model,
            test=test,
            slice_metrics=slice_metrics(metrics, "test", [part.identity for part in parts]),
        )
    )


def outcomes(verdict: GateVerdict, names: tuple[str, ...]) -> dict[tuple[str, str, str], Any]:
    """The outcome of every finding, with the depots' names put back."""
    places = {
        f"depot={shown(name)}": f"depot={depot}" for name, depot in zip(names, DEPOTS, strict=True)
    }
    for half in ("a_x_b", "b"):
        places |= {
            f"depot_x_half={shown(name)}_x_{shown(half)}": f"{depot} and {half}"
            for name, depot in zip(names, DEPOTS, strict=True)
        }
    return {
        (row.rule, row.metric, places.get(row.part, row.part)): (row.outcome, row.judged)
        for row in verdict.findings
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory, mlflow_run):
    """The verdicts under Latin names, by problem and by whether a depot is broken."""
    home = tmp_path_factory.mktemp("plain")
    return {
        (problem, broken): verdict(
            renamed(problem, DEPOTS, CLASSES),
            frame(DEPOTS, CLASSES, broken=broken),
            home / f"{problem}{broken}",
            mlflow_run,
        )
        for problem in ("binary", "multiclass")
        for broken in ((False, True) if problem == "binary" else (True,))
    }


@pytest.mark.slow
def test_the_models_under_latin_names_are_refused_by_the_broken_depot_only(plain):
    for problem in ("binary", "multiclass"):
        refused = {row.part for row in plain[problem, True].refused if row.rule == "slice_brier"}
        assert "depot=north" in refused
        assert not {"depot=east", "depot=west"} & refused
    sound = plain["binary", False]
    assert not [row for row in sound.refused if row.rule.startswith("slice_")]


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["binary", "multiclass"])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_other_names_never_change_a_verdict(names, problem, plain, tmp_path, mlflow_run):
    judged = verdict(
        renamed(problem, names, names), frame(names, names, broken=True), tmp_path, mlflow_run
    )
    before = plain[problem, True]
    assert judged.accepted == before.accepted
    assert outcomes(judged, names) == outcomes(before, DEPOTS)
