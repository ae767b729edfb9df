"""Candidates with one fault each, trained by the wired training DAG; its gates have to refuse
them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.registry import versions
from proofs.harness.damage.packages import (
    Change,
    change_model,
    digest_anew,
    flipped,
    halved,
    wild_parent,
)
from proofs.harness.damage.rows import LATE_AFTER_MINUTES, delayed, of
from proofs.refusals.case import Case
from proofs.refusals.sabotage import after, rewriting_result
from proofs.refusals.verdict import Outcome
from proofs.refusals.world import CANDIDATE_UNTIL, CHAMPION_UNTIL, FEBRUARY, MARCH, World

GATES = "check_gates"
PACKAGE = "check_package"
TEST_ROWS = datetime(2013, 3, 17, tzinfo=UTC)
# Of February and March, which are quicker to deliver anew than three months.
TWO_MONTHS = {"training": {"window_days": 59}}
TWO_MONTHS_TEST_ROWS = datetime(2013, 3, 22, tzinfo=UTC)


def _training(
    changes: Mapping[str, Any], until: str = CANDIDATE_UNTIL
) -> Callable[[World], Outcome]:
    def act(world: World) -> Outcome:
        world.overlay(changes)
        return world.train(until)

    return act


def _equal_model(world: World) -> Outcome:
    """The champion's own window and number of trials give the champion again."""
    return world.train(CHAMPION_UNTIL)


def _missing_champion(world: World) -> Outcome:
    """The ledger still names a champion; its package is gone from MLflow and the model store."""
    _remove_champion(world)
    return world.train()


def _remove_champion(world: World) -> None:
    """Remove the folder of every logged model but the newest one's, if a run has logged one since
    the champion.
    """
    champion = versions.champion(world.settings, world.use_case)
    roots = (world.settings.home / "mlflow", world.settings.serving_dir)
    folders = [path.parent for root in roots for path in root.rglob("model.ubj")]
    if champion is None or not folders:
        raise RuntimeError("there is no champion whose artefact could be removed")
    for folder in folders:
        shutil.rmtree(folder)


def _tampered(world: World) -> Outcome:
    """One byte of the package changes between its evaluation and the gates."""
    with after("evaluate_model", lambda: change_model(newest_package(world), flipped)):
        return world.train()


def _worse_on_one_slice(world: World) -> Outcome:
    """Until the test rows begin, JFK's labels are dealt out anew: each day's late flights are its
    earliest ones.

    As many flights are late on every day and at every origin as in truth, so the delivery itself
    shows nothing: none by more than a minute over the limit, or it would have been scheduled to
    arrive before it left.
    """
    anew = (
        pl.col("arrival_delay")
        .sort(descending=True)
        .over(["origin", pl.col("known_at").dt.date()])
        .clip(upper_bound=LATE_AFTER_MINUTES + 1)
    )
    chosen = (pl.col("origin") == "JFK") & (pl.col("known_at") < TWO_MONTHS_TEST_ROWS)
    world.overlay(TWO_MONTHS)

    def deal(frame: pl.DataFrame) -> pl.DataFrame:
        earliest = frame.sort(pl.col("flight_id").str.slice(-4), "flight_id")
        return delayed(
            earliest, pl.when(chosen).then(anew).otherwise(pl.col("arrival_delay"))
        ).sort("known_at", "flight_id")

    for interval in (FEBRUARY, MARCH):
        world.deliver(of("raw/arrivals", deal), interval)
        delivered = world.features(interval)
        if delivered.seen != "passed":
            return delivered
    return world.train()


def _unfair(world: World) -> Outcome:
    """Until the test rows begin, no flight from JFK is late: a model of these two months finds none
    of JFK's late flights.
    """
    cleared = (pl.col("origin") == "JFK") & (pl.col("known_at") < TWO_MONTHS_TEST_ROWS)
    delay = (
        pl.when(cleared)
        .then(pl.min_horizontal("arrival_delay", LATE_AFTER_MINUTES))
        .otherwise(pl.col("arrival_delay"))
    )
    world.overlay(TWO_MONTHS)
    for interval in (FEBRUARY, MARCH):
        world.deliver(of("raw/arrivals", lambda frame: delayed(frame, delay)), interval)
        delivered = world.features(interval)
        if delivered.seen != "passed":
            return delivered
    return world.train()


def _missing_segment(world: World) -> Outcome:
    """LaGuardia's flights stop days before the test rows begin: two weeks of them are delivered, so
    the delivery has the segment.
    """
    remaining = (pl.col("origin") != "LGA") | (pl.col("asked_at") < TEST_ROWS - timedelta(days=3))
    world.deliver(of("raw/flights", lambda frame: frame.filter(remaining)))
    delivered = world.features()
    return world.train() if delivered.seen == "passed" else delivered


def _missing_champion_metrics(world: World) -> Outcome:
    """The champion's files go between the check of the training set and the gates: no metric of the
    comparison can be computed.
    """
    with after("evaluate_model", lambda: _remove_champion(world)):
        return world.train()


def _then_deploy(changes: Mapping[str, Any]) -> Callable[[World], Outcome]:
    """A limit for the package that the gates of training judge, or else the check of the
    deployment.
    """

    def act(world: World) -> Outcome:
        world.overlay({"gates": changes})
        trained = world.train()
        return world.deploy() if trained.seen == "passed" else trained

    return act


def _broken_package(damage: Change) -> Callable[[World], Outcome]:
    """The trainer itself writes a broken model: its digest, in the package and in the task's
    result, is that of the broken bytes.
    """

    def act(world: World) -> Outcome:
        def break_it(result: dict[str, Any]) -> dict[str, Any]:
            change_model(newest_package(world), damage)
            return {**result, "digest": digest_anew(newest_package(world))}

        with rewriting_result("train_model", break_it):
            return world.train()

    return act


def newest_package(world: World) -> Path:
    """The folder of the package that was trained last."""
    return max(
        (world.settings.home / "work").rglob("package"), key=lambda path: path.stat().st_mtime
    )


# A few deep trees on fine bins, with leaves for single flights.
BRITTLE = {
    "training": {
        "parameters": {
            "max_depth": 16,
            "eta": 0.6,
            "min_child_weight": 0,
            "lambda": 0,
            "max_bin": 2048,
        },
        "search_space": None,
        "boost_rounds": 10,
        "early_stopping_rounds": 10,
    }
}

CASES = (
    Case(
        "too few rows",
        ("validate_snapshot: row count",),
        _training({"training": {"window_days": 5}}),
    ),
    Case(
        "worse model",
        (f"{GATES}: champion_improvement",),
        _training({"training": {"parameters": {"scale_pos_weight": 0.1}}}),
    ),
    Case("equal model", (f"{GATES}: champion_improvement",), _equal_model),
    Case(
        "over-confident model",
        (f"{GATES}: calibration",),
        _training(
            {
                "training": {
                    "parameters": {"max_depth": 14, "eta": 1.0, "min_child_weight": 0, "lambda": 0},
                    "search_space": None,
                }
            }
        ),
    ),
    Case(
        "unfair model", (f"{GATES}: fairness",), _unfair, told="true_positive_ratio, test, origin"
    ),
    Case(
        "brittle model",
        (f"{GATES}: perturbation", f"{GATES}: missing_values"),
        _training(BRITTLE),
    ),
    Case(
        "missing champion metrics", (f"{GATES}: champion_improvement",), _missing_champion_metrics
    ),
    Case("segment missing from the test rows", (f"{GATES}: segments",), _missing_segment),
    Case(
        "missing champion artefact",
        ("validate_snapshot: reference", f"{GATES}: champion_improvement"),
        _missing_champion,
    ),
    Case(
        "segment too small to judge",
        (f"{GATES}: champion_slices",),
        _training({"slices": [{"column": "origin"}, {"column": "tailnum", "minimum_rows": 300}]}),
    ),
    Case("model worse on one slice only", (f"{GATES}: champion_slices",), _worse_on_one_slice),
    Case(
        "oversized model",
        (f"{GATES}: package_size", f"{PACKAGE}: size_bytes"),
        _then_deploy({"max_package_megabytes": 0.05}),
    ),
    Case(
        "slow model",
        (f"{GATES}: latency", f"{PACKAGE}: latency_p50_ms"),
        _then_deploy({"max_latency_p50_ms": 0.01}),
    ),
    Case("model that cannot load", (f"{GATES}: runtime_validity",), _broken_package(halved)),
    Case(
        "model that crashes its process at load",
        (f"{GATES}: runtime_validity",),
        _broken_package(wild_parent),
    ),
    Case("tampered artefact", (f"{GATES}: evaluated_object",), _tampered),
)
