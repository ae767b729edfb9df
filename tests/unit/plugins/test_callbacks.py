"""What happens when a task of a training has failed for good."""

from __future__ import annotations

from types import SimpleNamespace

from plugins import callbacks
from tests.unit.plugins.task_context import task_context


def test_the_failed_run_s_tracking_run_is_closed_and_its_causes_are_given_back(monkeypatch):
    closed = []
    monkeypatch.setattr(
        callbacks,
        "mark_failed",
        lambda settings, use_case, run_id, reason: closed.append((use_case, run_id, reason)),
    )
    given_back = []
    monkeypatch.setattr(
        callbacks, "give_back", lambda settings, use_case, run_id: given_back.append(run_id)
    )
    callbacks.close_tracking_run(task_context(exception=ValueError("no labels")))
    assert closed == [("flight_delays", "run_1", "train_model: no labels")]
    assert given_back == ["run_1"]


def test_a_use_case_may_hold_what_parts_its_name_from_the_process(monkeypatch):
    closed = []
    step = SimpleNamespace(settings=None, run=SimpleNamespace(run_id="run_1"))
    monkeypatch.setattr(callbacks, "step_context", lambda *_, **__: step)
    monkeypatch.setattr(callbacks, "mark_failed", lambda _, use_case, *__: closed.append(use_case))
    monkeypatch.setattr(callbacks, "give_back", lambda *_: None)
    task = SimpleNamespace(task_id="train_model")
    callbacks.close_tracking_run({"dag": SimpleNamespace(dag_id="a__b__training"), "ti": task})
    assert closed == ["a__b"]
