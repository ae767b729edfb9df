from __future__ import annotations

import numpy as np
import pytest

from include.features.transform import FeatureTransform
from include.model.reference import bin_shares, build_reference
from tests.unit.model.synthetic import USE_CASE, parcels


@pytest.fixture(scope="module")
def reference():
    frame = parcels()
    transform = FeatureTransform.fit(USE_CASE, frame)
    matrix = transform.apply_frame(frame)
    return build_reference(transform, matrix, np.linspace(0.0, 1.0, frame.height)), matrix


def test_every_inputs_shares_sum_to_one_and_end_with_the_missing(reference):
    built, matrix = reference
    assert list(built["inputs"]) == ["depot", "pickup_hour", "load"]
    for position, entry in enumerate(built["inputs"].values()):
        assert sum(entry["shares"]) == pytest.approx(1.0)
        assert (
            entry["shares"][-1]
            == entry["missing_share"]
            == pytest.approx(np.isnan(matrix[:, position]).mean())
        )
    assert 0.05 < built["inputs"]["load"]["missing_share"] < 0.15


def test_a_number_is_cut_into_deciles_and_a_category_into_its_values(reference):
    built, _ = reference
    load, depot = built["inputs"]["load"], built["inputs"]["depot"]
    assert len(load["edges"]) == 9
    assert len(load["shares"]) == 11
    assert np.allclose(np.array(load["shares"][:-1]) / (1 - load["missing_share"]), 0.1, atol=0.005)
    assert depot["categories"] == ["east", "north", "west"]
    assert len(depot["shares"]) == 4


def test_bins_are_closed_on_the_left_and_other_rows_fall_into_the_same_bins():
    entry = {"kind": "number", "edges": [1.0, 2.0], "categories": []}
    values = np.array([0.5, 1.0, 1.5, 2.0, 99.0, np.nan, np.nan, np.nan])
    assert bin_shares(entry, values) == [1 / 8, 2 / 8, 2 / 8, 3 / 8]
    assert bin_shares(entry, np.array([])) == [0.0, 0.0, 0.0, 0.0]


def test_an_input_without_any_value_has_one_empty_bin():
    frame = parcels(100)
    transform = FeatureTransform.fit(USE_CASE, frame)
    matrix = transform.apply_frame(frame)
    matrix[:, 2] = np.nan
    entry = build_reference(transform, matrix, np.zeros(100))["inputs"]["load"]
    assert entry["edges"] == []
    assert entry["shares"] == [0.0, 1.0]
