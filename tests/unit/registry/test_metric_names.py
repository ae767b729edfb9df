"""Any value has a name of its own that MLflow takes, and the name gives the value back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.registry.metric_names import (
    LONGEST,
    escape,
    mlflow_name,
    slice_metrics,
    slice_name,
    unescape,
)

VALUES = st.one_of(st.none(), st.text(max_size=60))
AWKWARD = [
    *(None, "", " ", "  ", ".", "..", "/", "a/b", "a__b", "a.b", "a b", "a ", "a\0", "a\n"),
    *(":3c:", ":missing:", ":empty:", ":x:", ":sha-0:", "(missing)", "<5", ">5", "東京", "大阪"),
    *("\ufb01", "fi", "\u00c5", "\u212b", "A\u030a", "\ud800"),
]


@given(VALUES)
def test_a_short_value_is_given_back_and_a_long_one_says_that_it_was_shortened(value):
    name = escape(value)
    if ":sha-" in name:
        with pytest.raises(ValueError, match=r"slices\.json"):
            unescape(name)
    else:
        assert unescape(name) == value


@given(VALUES, VALUES)
def test_two_values_never_have_one_name(first, second):
    assert (escape(first) == escape(second)) == (first == second)


def test_no_two_awkward_values_have_one_name_and_a_common_one_stays_readable():
    assert len({escape(value) for value in AWKWARD}) == len(AWKWARD)
    assert [escape(value) for value in ("EWR", "New York", "東京", "<5", "a/b", "a__b")] == [
        "EWR",
        "New York",
        "東京",
        ":3c:5",
        "a:2f:b",
        "a__b",
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_mlflow_takes_every_name(values, columns):
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

    place = slice_name((tuple(columns), tuple(values)))
    metric = f"class.{columns[0]}.recall"
    for name in (
        mlflow_name("validation", place, metric, "high"),
        mlflow_name("test", slice_name(((columns[0],), (values[0],))), "balanced_accuracy"),
    ):
        _validate_metric_name(name)
        assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_long_values_that_differ_in_their_last_sign_stay_apart_within_the_limit():
    names = {escape("x" * length) for length in range(1, 400)}
    assert len(names) == 399
    assert max(map(len, names)) <= LONGEST


@given(st.lists(st.tuples(st.text(), VALUES), unique=True, max_size=6))
def test_the_metrics_of_every_slice_are_found_again_among_all_of_a_run(places):
    identities = [((column,), (value,)) for column, value in places]
    metrics = {
        mlflow_name("test", slice_name(identity), name): float(number)
        for number, identity in enumerate(identities)
        for name in ("auc", "class.a.b.recall")
    }
    metrics |= {"test.auc": 0.5, "validation.slice.x.y.auc": 0.1}
    read = slice_metrics(metrics, "test", identities)
    assert [read[identity]["auc"] for identity in identities] == [
        float(number) for number in range(len(identities))
    ]
    assert slice_metrics({}, "test", identities) == {identity: {} for identity in identities}


def test_a_class_that_is_called_like_a_bound_of_an_interval_has_a_place_apart():
    assert mlflow_name("test", "class.low.auc") == "test.class.low.auc"
    assert mlflow_name("test", "auc", "low") == "test.auc.low"
    assert mlflow_name("test", "class.a.b.auc") == "test.class.a:2e:b.auc"
