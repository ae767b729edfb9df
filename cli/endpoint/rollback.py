"""The command `rollback`: all traffic back to a version that served before."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli.platform.state import running_settings
from include.catalogue import load_use_case
from include.processes.rollback import go_back
from include.settings import Settings


def rollback(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")],
    to: Annotated[
        int | None,
        typer.Option(
            metavar="VERSION", help="A version that has served; the one before by default."
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; kept in the ledger.")
    ] = "by command",
) -> None:
    """Give all traffic back to a version that served before.

    During a rollout that is the version in service. It needs neither MLflow nor Airflow.
    """
    settings = context.find_object(Settings) or running_settings()
    result = go_back(
        settings,
        load_use_case(use_case),
        to=to,
        actor=getpass.getuser(),
        reason=reason,
        evidence={"command": "flightdeck rollback"},
    )
    print(
        f"{use_case} version {result.version} serves (row {result.ledger_row} of the ledger,"
        f" {result.processes} endpoint processes)."
    )
    for number, why in result.passed_over.items():
        print(f"Version {number} was passed over: {why}")
    if result.alias_problem:
        print(f"MLflow's alias champion has not moved: {result.alias_problem}")
