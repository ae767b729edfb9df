"""A step's parameters are bound by their types; a wrong use is refused with what is right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.errors import SpecError
from include.interval import Interval
from include.steps import (
    Parameter,
    RunInfo,
    StepContext,
    StepResult,
    bind,
    call_after,
    call_step,
    load_step,
    local_context,
    signature,
)


class Flour(StepResult):
    grams: int


class Dough(StepResult):
    kneaded: bool
    flour: Flour


class Bread(StepResult):
    loaves: int
    notes: tuple[str, ...] = ()


def mill(context: StepContext) -> Flour:
    return Flour(grams=500)


def knead(context: StepContext, flour: Flour, *, minutes: int = 10) -> Dough:
    return Dough(kneaded=minutes > 5, flour=flour)


def bake(context: StepContext, doughs: tuple[Dough, ...], flour: Flour | None = None) -> Bread:
    return Bread(loaves=len(doughs), notes=("floured",) if flour else ())


def no_result(context: StepContext) -> dict[str, Any]:
    return {}


def no_context(flour: Flour) -> Dough:
    return Dough(kneaded=True, flour=flour)


def loose(context: StepContext, flour: dict[str, Any]) -> Dough:
    return Dough(kneaded=True, flour=Flour(**flour))


@pytest.fixture(scope="module")
def context() -> StepContext:
    march = Interval(datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 2, tzinfo=UTC))
    return local_context("flight_delays", march)


FLOUR = {"grams": 500}
DOUGH = {"kneaded": True, "flour": FLOUR}


def test_a_signature_says_what_a_step_needs_and_leaves():
    assert signature(mill).parameters == ()
    assert signature(knead).parameters == (Parameter("flour", Flour),)
    assert signature(bake).parameters == (
        Parameter("doughs", Dough, many=True),
        Parameter("flour", Flour, optional=True),
    )
    assert [signature(step).result for step in (mill, knead, bake)] == [Flour, Dough, Bread]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (no_result, "'no_result' must return a StepResult, and is annotated with dict"),
        (no_context, "'no_context': the first parameter must be `context: StepContext`"),
        (loose, "'loose': the parameter 'flour' must be a StepResult, a tuple"),
    ],
)
def test_a_function_that_is_no_step_is_refused(step, message):
    with pytest.raises(SpecError, match=message):
        signature(step)


def test_bind_finds_the_task_whose_step_leaves_the_type():
    assert bind(knead, {"first": mill, "other": bake}) == {"flour": "first"}
    assert bind(bake, {"a": mill, "b": knead}) == {"flour": "a", "doughs": "b"}


def test_bind_refuses_a_missing_producer_and_names_what_is_upstream():
    with pytest.raises(
        SpecError, match=r"needs flour: Flour .*no task upstream does.*'b': 'Bread'"
    ):
        bind(knead, {"b": bake})


def test_bind_refuses_two_producers_and_names_both():
    with pytest.raises(SpecError, match=r"the tasks \['a', 'b'\] all leave one"):
        bind(knead, {"b": mill, "a": mill})


def test_bind_refuses_two_producers_of_an_optional_parameter_too():
    with pytest.raises(SpecError, match=r"needs flour: Flour.*\['a', 'c'\]"):
        bind(bake, {"a": mill, "b": knead, "c": mill})


def test_bind_leaves_out_what_is_supplied_and_an_optional_parameter_without_a_producer():
    assert bind(knead, {"a": mill, "b": mill}, supplied=["flour"]) == {}
    assert bind(bake, {"b": knead}) == {"doughs": "b"}


def test_call_step_parses_one_result_several_and_none(context):
    assert call_step(knead, context, {"flour": FLOUR}) == Dough(
        kneaded=True, flour=Flour(grams=500)
    )
    assert call_step(bake, context, {"doughs": [DOUGH, DOUGH], "flour": FLOUR}) == Bread(
        loaves=2, notes=("floured",)
    )
    assert call_step(bake, context, {"doughs": DOUGH, "flour": None}) == Bread(loaves=1)
    assert call_step(bake, context, {"doughs": None}) == Bread(loaves=0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"'knead' lacks \['flour'\]; it needs \{'flour': 'Flour'\}"),
        (
            {"flour": FLOUR, "fluor": FLOUR},
            r"has no input 'fluor'\. Did you mean 'flour'\? It needs \['flour'\]",
        ),
        ({"water": {}}, r"has no input 'water'\. It needs"),
        ({"flour": {"grams": "much"}}, r"the input 'flour' is no Flour: grams: .*\['grams'\]"),
        ({"flour": {"grams": 1, "kind": "rye"}}, r"is no Flour: kind: Extra inputs"),
        ({"flour": None}, r"the input 'flour' is no Flour: the whole"),
    ],
)
def test_call_step_refuses_wrong_inputs_and_says_what_is_right(context, inputs, message):
    with pytest.raises(SpecError, match=message):
        call_step(knead, context, inputs)


def test_call_after_binds_the_results_of_earlier_steps_by_their_types(context):
    here = __name__
    assert call_after(knead, context, {f"{here}:mill": FLOUR}) == Dough(
        kneaded=True, flour=Flour(grams=500)
    )
    bread = call_after(bake, context, {f"{here}:mill": FLOUR}, doughs=[DOUGH, DOUGH])
    assert bread == Bread(loaves=2, notes=("floured",))
    with pytest.raises(SpecError, match="no task upstream does"):
        call_after(bake, context, {f"{here}:mill": FLOUR})


def test_load_step_finds_a_step():
    assert load_step(f"{__name__}:mill") is mill


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "include.processes.training:train_modle",
            (
                r"no function 'train_modle'\. Did you mean 'train_model'\? Its steps are"
                r" .*'train_model'"
            ),
        ),
        ("include.processes.training:zzz", r"has no function 'zzz'\. Its steps are \["),
        ("include.processes.trianing:train_model", r"No module named .*<process>:<function>"),
        ("", "Empty module name.*A step is named as"),
    ],
)
def test_load_step_names_the_nearest_that_is_there(reference, message):
    with pytest.raises(SpecError, match=message):
        load_step(reference)


def test_the_hints_of_load_step_leave_out_what_a_module_imports_or_hides():
    with pytest.raises(SpecError) as refusal:
        load_step("include.processes.training:zzz")
    assert "'load_use_case'" not in str(refusal.value)
    assert "'_" not in str(refusal.value).partition("Its steps are")[2]


def test_a_result_is_frozen_and_the_same_after_json():
    dough = Dough(kneaded=True, flour=Flour(grams=1))
    assert Dough.from_json(dough.as_json(), "x") == dough
    with pytest.raises(ValueError, match="frozen"):
        dough.kneaded = False


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kneaded": True, "flour": {}}, r"the XCom is no Dough: flour\.grams: Field required"),
        ({"kneaded": True}, r"flour: Field required; its fields are \['flour', 'kneaded'\]"),
        ([], "the whole: Input should be a valid dictionary"),
    ],
)
def test_from_json_names_the_place_and_the_fields(content, message):
    with pytest.raises(SpecError, match=message):
        Dough.from_json(content, "the XCom")


def test_the_run_of_a_context_is_plain_json():
    run = RunInfo(process="training", run_id="r", causes=({"asset": "a"},))
    assert run.as_json()["causes"] == [{"asset": "a"}]
