"""What made the answers of a few rows: chosen by rule, complete, and nothing private."""

from __future__ import annotations

import numpy as np
import pytest

from include.evaluation.attributed_rows import BIAS, PRIVATE, attributed_rows, chosen_rows
from include.evaluation.evaluate import labels_of
from include.problems.registry import strategy_of
from include.spec import UseCase
from tests.unit.model.synthetic import PARCELS, USE_CASE, fitted_package, parcels


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fitted_package(tmp_path_factory.mktemp("model") / "package", parcels())[1]


def records_of(model, use_case: UseCase = USE_CASE):
    frame = parcels(400, seed=4)
    matrix = model.transform.apply_frame(frame)
    scores = model.score_matrix(matrix)
    labels = labels_of(USE_CASE, frame)
    records = attributed_rows(strategy_of(use_case), model, frame, matrix, scores, labels)
    return frame, scores, labels, records


def test_the_extremes_the_middle_and_the_most_wrong_are_chosen_once_each():
    answers = np.array([0.1, 0.9, 0.5, 0.4, 0.6])
    losses = np.array([0.0, 5.0, 0.1, 0.3, 0.2])
    assert chosen_rows(answers, losses) == {
        1: "highest answer",
        2: "middle answer",
        0: "lowest answer",
        3: "most wrong",
    }
    assert chosen_rows(answers[:1], losses[:1]) == {0: "highest answer"}


def test_the_contributions_of_each_row_add_up_to_its_answer_and_name_what_it_had(model):
    frame, scores, labels, records = records_of(model)
    rows = {record["row"] for record in records}
    assert 3 <= len(rows) <= 5
    for row in rows:
        of_row = [record for record in records if record["row"] == row]
        position = frame["parcel_id"].to_list().index(row)
        assert of_row[0]["answer"] == pytest.approx(scores[position])
        assert of_row[0]["label"] == labels[position]
        total = sum(record["contribution"] for record in of_row)
        assert 1.0 / (1.0 + np.exp(-total)) == pytest.approx(scores[position], abs=1e-5)
        assert of_row[-1]["input"] == BIAS
        sizes = [abs(record["contribution"]) for record in of_row[:-1]]
        assert sizes == sorted(sizes, reverse=True)
        values = {record["input"]: record["value"] for record in of_row}
        assert values["depot"] == frame["depot"][position]
    highest = next(record for record in records if record["why"] == "highest answer")
    assert highest["answer"] == pytest.approx(scores.max())


def test_what_the_log_may_not_hold_is_not_written_down(model):
    columns = tuple(
        item.model_copy(update={"privacy": "hash"}) if item.name in ("parcel_id", "depot") else item
        for item in PARCELS.columns
    )
    marked = PARCELS.model_copy(update={"columns": columns})
    use_case = USE_CASE.model_copy(update={"tables": (marked, *USE_CASE.tables[1:])})
    frame, _, _, records = records_of(model, use_case)
    assert {item["value"] for item in records if item["input"] == "depot"} == {PRIVATE}
    assert {item["value"] for item in records if item["input"] == "load"} != {PRIVATE}
    assert not {item["row"] for item in records} & set(frame["parcel_id"])
