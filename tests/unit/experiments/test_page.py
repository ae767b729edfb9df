"""The page of trainings: every number is one that MLflow has, accepted and refused ones apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cli.application import invoke
from include.experiments.page import MOST_TRAININGS, page, page_path
from include.monitoring.overview.marks import Mark
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.ml_test_score.complete import training
from tests.unit.training.trained import Trainings, trainings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def trained(number: int, auc: float, **changes):
    metrics = {"test.auc": auc, "golden.auc": auc - 0.01, "package.bytes": 5e5}
    return training(
        number,
        started=NOON + timedelta(days=number),
        metrics=metrics,
        parameters={"xgboost.max_depth": str(number), "xgboost.eta": "0.1", "device": "cpu"},
        **changes,
    )


def test_metrics_costs_and_parameters_that_differ_are_drawn():
    every = [trained(1, 0.71), trained(2, 0.73), trained(3, 0.62, decision="refused")]
    released = Mark("release", NOON + timedelta(days=2, hours=1), "v2", "Version 2 in service")
    text = page(USE_CASE, every, [released])
    for title in ("AUC</b> on the test split", "AUC</b> on the golden set", "Size of the package"):
        assert title in text
    assert "accepted 0.73" in text
    assert "refused 0.62" in text
    assert ">xgboost.max_depth</b>" in text
    # The same in all, or no number.
    assert ">xgboost.eta</b>" not in text
    assert ">device</b>" not in text
    assert ">v2</span>" in text
    # What no training has is said to be missing, and not drawn as nothing.
    assert "Latency</b>" in text
    assert "No training has it." in text
    assert "<script" not in text
    assert "http" not in text


def test_one_training_is_a_page_also_before_it_is_decided():
    assert "0.71" in page(USE_CASE, [trained(1, 0.71)])
    assert "undecided" in page(USE_CASE, [training(1, decision="undecided")])


def test_what_people_wrote_is_text_and_of_very_many_the_newest_are_shown():
    every = [trained(number, 0.7, reasons=("<b>bold</b>",)) for number in range(MOST_TRAININGS + 5)]
    text = page(USE_CASE, every)
    assert "<b>bold</b>" not in text
    assert "&lt;b&gt;bold" in text
    assert f"<dt>Trainings</dt><dd>{MOST_TRAININGS + 5}<" in text
    assert text.count("<tr>") == MOST_TRAININGS + 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:feast")
def test_the_command_writes_it_of_real_trainings(tmp_path_factory, capsys):
    world: Trainings = trainings(tmp_path_factory.getbasetemp() / "trained")
    assert invoke(["experiments", "page", "flight_delays"], world.settings) == 0
    path = page_path(world.settings, USE_CASE)
    assert str(path) in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    assert "<dt>Accepted</dt><dd>1<" in text
    assert "<dt>Refused</dt><dd>1<" in text
    assert ">xgboost.max_depth</b>" in text
