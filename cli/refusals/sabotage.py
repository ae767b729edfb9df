"""Faults between two tasks of one run, through Airflow's listener interface: the DAG and its tasks stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.listeners import hookimpl
from airflow.sdk.listener import get_listener_manager


class _AfterTask:
    def __init__(self, task_id: str, act: Callable[[], None]) -> None:
        self.task_id = task_id
        self.act = act
        self.acted = False

    @hookimpl  # type: ignore[untyped-decorator]
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002  # Airflow's signature
        if task_instance.task_id == self.task_id:
            self.act()
            self.acted = True


@contextmanager
def after(task_id: str, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` once the task has succeeded, before the next one starts. Raises `RuntimeError` if it never was called."""
    listener = _AfterTask(task_id, act)
    get_listener_manager().add_listener(listener)
    yield
    if not listener.acted:
        raise RuntimeError(f"the sabotage after {task_id} never happened")
