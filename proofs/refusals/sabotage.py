"""Faults between two tasks of one run, through Airflow's listener interface: the DAG and its tasks
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class _AfterTask:
    def __init__(self, task_id: str, act: Callable[[Any], None]) -> None:
        self.task_id = task_id
        self.act = act
        self.acted = False

    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:  # noqa: ARG002  # Airflow's signature
        if task_instance.task_id == self.task_id:
            self.act(task_instance)
            self.acted = True


@contextmanager
def after(task_id: str, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` once the task has succeeded, before the next one starts.

    Raises `RuntimeError` if it never was called.
    """
    with _listening(_AfterTask(task_id, lambda _: act())):
        yield


@contextmanager
def rewriting_result(
    task_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[None]:
    """The same, and the task's result becomes what `change` makes of it."""

    def rewrite(task_instance: Any) -> None:
        result = task_instance.xcom_pull(task_ids=task_id)
        task_instance.xcom_push(key="return_value", value=change(result))

    with _listening(_AfterTask(task_id, rewrite)):
        yield


@contextmanager
def _listening(listener: _AfterTask) -> Iterator[None]:
    # Airflow reads its home when it is imported, and a lane enters its home first.
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    hookimpl(_AfterTask.on_task_instance_success)
    get_listener_manager().add_listener(listener)
    yield
    if not listener.acted:
        raise RuntimeError(f"the sabotage after {listener.task_id} never happened")
