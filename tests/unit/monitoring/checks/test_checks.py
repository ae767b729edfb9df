"""The other checks: each names its planted fault, is quiet without it, and says what it cannot
judge.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.monitoring.checks.effectiveness import effectiveness
from include.monitoring.checks.estimate import estimate
from include.monitoring.checks.fairness import fairness
from include.monitoring.checks.kind_of_change import kind_of_change
from include.monitoring.checks.multivariate import multivariate
from include.monitoring.checks.novelty import novelty
from include.monitoring.checks.registry import CHECKS, run_checks
from proofs.bench.monitoring.labelled import CHANGES, World
from tests.unit.monitoring.checks.windows import refused, window, with_column


def test_every_check_is_quiet_on_a_steady_window():
    steady = window()
    groups = np.array(["a", "b", "c"])
    sides = [
        replace(side, groups={"group": groups[np.arange(side.rows) % 3]})
        for side in (steady.serving, steady.reference)
    ]
    findings = run_checks(replace(steady, serving=sides[0], reference=sides[1]))
    assert refused(findings) == []
    assert {item.subject for item in findings} == set(CHECKS)


def test_every_check_says_that_few_rows_are_not_judged():
    few = window()
    few = replace(few, limits=few.limits.model_copy(update={"minimum_rows": 10_000}))
    findings = run_checks(few)
    assert findings
    assert {item.outcome for item in findings} == {"not judged"}


def test_a_moved_population_is_told_from_training():
    assert refused(multivariate(window(CHANGES["the inputs' scale"][1]))) == [("domain_auc", "")]


def test_outliers_are_shown_with_their_ids_and_refuse_when_they_are_many():
    usual = window()
    values = usual.serving.sample.columns["input_2"].copy()
    values[:40] = np.linspace(30, 60, 40)
    side = replace(
        with_column(usual.serving, "input_2", values),
        ids=np.array([f"row {place}" for place in range(len(values))]),
    )
    (finding,) = novelty(replace(usual, serving=side))
    assert refused([finding]) == [("outliers", "")]
    rows: Any = finding.example["rows"]
    assert (rows[0]["id"], rows[0]["column"]) == ("row 39", "input_2")
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("world", "rules"),
    [
        (World(relation=-CHANGES["nothing"][1].relation), {"auc_drop"}),
        (World(intercept=0.0), {"calibration_gap"}),
        (World(flipped=0.25), {"auc_drop", "calibration_gap"}),
    ],
    ids=["turned", "rate", "flipped"],
)
def test_a_worse_model_is_named_with_its_interval(world, rules):
    findings = effectiveness(window(world))
    assert {rule for rule, _ in refused(findings)} >= rules
    assert ", 95 %)" in next(i for i in findings if i.rule == "auc_drop").reason


def test_the_coverage_and_delay_of_labels_are_stated():
    usual = window()
    labels = usual.serving.labels.copy()
    labels[::2] = np.nan
    side = replace(usual.serving, labels=labels, delays=np.full(len(labels), 5.0))
    (coverage, *_) = effectiveness(replace(usual, serving=side))
    assert coverage.observed == 0.5
    assert "(50.0 %) have a label, half of them within 5 hours" in coverage.reason


def test_slices_have_an_interval_and_refuse_nothing():
    usual = window(CHANGES["a turned relation"][1])
    groups = {"depot": np.array(["east", "west"])[np.arange(usual.serving.rows) % 2]}
    findings = effectiveness(replace(usual, serving=replace(usual.serving, groups=groups)))
    slices = [item for item in findings if item.rule == "slice_auc"]
    assert [item.part for item in slices] == ["depot=east", "depot=west"]
    assert all(item.passed for item in slices)


def test_the_estimate_is_marked_and_scored_against_the_truth():
    findings = {item.rule: item for item in estimate(window())}
    assert findings["estimated_auc"].reason.startswith("Estimate without labels")
    assert abs(findings["error_of_estimate"].observed) < 0.02
    turned = {i.rule: i for i in estimate(window(CHANGES["a turned relation"][1]))}
    assert turned["error_of_estimate"].observed > 0.1


def test_an_estimate_needs_no_labels_of_the_window():
    usual = window()
    side = replace(usual.serving, labels=np.full(usual.serving.rows, np.nan))
    rules = [item.rule for item in estimate(replace(usual, serving=side))]
    assert "estimated_auc" in rules
    assert "error_of_estimate" not in rules


def test_the_newest_labels_calibrate_the_estimate():
    """A relation that changed before this window is known from the windows before, the better the
    more of them there are; the test split counts until there are enough.
    """
    turned = window(CHANGES["a turned relation"][1])
    newest = [window(CHANGES["a turned relation"][1], seed=seed).serving for seed in (8, 9, 10)]
    errors = [
        next(
            item.observed
            for item in estimate(replace(turned, matured=matured))
            if item.rule == "error_of_estimate"
        )
        for matured in ((), tuple(newest[:1]), tuple(newest))
    ]
    assert errors[0] > 0.1
    assert errors[0] > errors[1] > errors[2]
    assert abs(errors[2]) < 0.03


def test_an_error_of_the_estimate_stands_beside_what_chance_makes_of_it():
    (scored,) = (item for item in estimate(window()) if item.rule == "error_of_estimate")
    assert abs(scored.observed) < scored.noise < 0.03
    assert f"where chance makes up to {scored.noise:.3f}" in scored.reason


def test_a_changed_relation_says_to_which_side_an_estimate_errs():
    changed = window(CHANGES["a turned relation"][1])
    (_, split, _) = kind_of_change(changed)
    (scored,) = (item for item in estimate(changed) if item.rule == "error_of_estimate")
    assert scored.observed > 0.1
    assert split.reason.endswith("the former relation alone promises too much.")
    assert "promises" not in kind_of_change(window())[1].reason


def test_the_loss_of_a_regression_is_estimated():
    usual = replace(window(), score_kind="value")
    (finding,) = estimate(usual)
    assert finding.rule == "estimated_mse"


def test_several_classes_are_judged_by_what_needs_no_single_score():
    usual = window()
    several = replace(
        usual,
        score_kind="several",
        reference=replace(usual.reference, scores=np.empty(0)),
    )
    findings = run_checks(several)
    assert refused(findings) == []
    assert {item.subject for item in findings} == {
        "efficiency",
        "schema_skew",
        "distribution",
        "multivariate",
        "novelty",
        "attribution",
        "effectiveness",
    }


@pytest.mark.parametrize("change", ["nothing", "a turned relation", "fewer positives"])
def test_the_kind_of_change_is_said(change):
    kind, world = CHANGES[change]
    (named, split, relation) = kind_of_change(window(world))
    assert named.observed == kind
    assert "by the relation" in split.reason
    assert relation.passed == (kind == "none")


def test_a_group_that_gets_other_answers_is_named():
    usual, random = window(), np.random.default_rng(1)
    groups = [
        {"group": np.array(["a", "b"])[random.integers(2, size=side.rows)]}
        for side in (usual.serving, usual.reference)
    ]
    scores = usual.serving.scores.copy()
    scores[groups[0]["group"] == "b"] *= 0.4
    serving = replace(usual.serving, groups=groups[0], scores=scores)
    changed = replace(usual, serving=serving, reference=replace(usual.reference, groups=groups[1]))
    assert {part for _, part in refused(fairness(changed))} == {"group=a", "group=b"}


def test_a_metric_comes_with_the_bounds_of_its_interval_for_who_draws_it():
    (auc,) = (item for item in effectiveness(window()) if item.rule == "auc_drop")
    assert auc.example["low"] < auc.example["value"] < auc.example["high"]
    assert auc.example["before"] - auc.example["value"] == pytest.approx(auc.observed)
    (estimated,) = (item for item in estimate(window()) if item.rule == "estimated_auc")
    assert estimated.example["low"] <= estimated.observed <= estimated.example["high"]


@pytest.mark.parametrize(
    ("kind", "metric", "of_losses"),
    [("several", "accuracy", lambda mean: 1.0 - mean), ("value", "rmse", np.sqrt)],
)
def test_of_several_classes_and_of_numbers_the_losses_make_the_metric(kind, metric, of_losses):
    usual = window()
    losses = np.where(np.arange(usual.serving.rows) % 4 == 0, 1.0, 0.0)
    losses[::7] = np.nan
    side = replace(usual.serving, losses=losses)
    changed = replace(usual, score_kind=kind, serving=side, baseline={metric: 0.6})
    (finding,) = (item for item in effectiveness(changed) if item.rule == metric)
    assert finding.observed == pytest.approx(of_losses(np.nanmean(losses)))
    assert finding.example["low"] < finding.observed < finding.example["high"]
    assert finding.example["before"] == 0.6
    assert finding.passed
