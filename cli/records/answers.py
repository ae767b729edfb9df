"""What every command about records does with its answer, and the arguments that they share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Author = Annotated[str, typer.Option("--who", metavar="NAME", help="Who says it.")]
Replaces = Annotated[
    str | None,
    typer.Option(
        "--replaces", metavar="ID", help="The remark that this one corrects; both stay readable."
    ),
]
Remark = Annotated[str, typer.Argument(metavar="TEXT", help="The remark.")]
TrainingName = Annotated[
    str,
    typer.Argument(
        metavar="TRAINING", help="<model>/<version>, or the beginning of an MLflow run id."
    ),
]


def print_answer(answer: Any, show: Callable[[Any], None], *, as_json: bool) -> None:
    """Print the answer for programs or for people."""
    if as_json:
        print(json.dumps(answer, indent=1, default=str))
    else:
        show(answer)
