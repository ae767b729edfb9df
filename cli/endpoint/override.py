"""The command `override`: a named person lets a version be tried that its gates refused."""

from __future__ import annotations

import os
import pwd
from typing import Annotated

import typer

from cli.platform.airflow_api import AirflowApi
from cli.records.tracking import command_settings
from include.catalogue import load_use_case
from include.release.rollout.overrides import let_be_tried
from include.settings import Settings

PASSWORD = "FLIGHTDECK_PASSWORD"  # noqa: S105  # the name of a variable


def override(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")],
    candidate: Annotated[
        str,
        typer.Argument(
            metavar="CANDIDATE", help="A version, or the MLflow run of a refused training."
        ),
    ],
    *,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; kept in the ledger and on the version's page.")
    ],
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An Airflow user, whose password is asked for or read from"
            f" {PASSWORD}; the user of this machine by default.",
        ),
    ] = None,
) -> None:
    """Let a version be tried that its gates refused, by the right of a named person.

    It is one of the names in the specification's release.overriders. The version is released by
    the deployment DAG with its number, checked and analysed as any other.
    """
    settings, declared = command_settings(context), load_use_case(use_case)
    done = let_be_tried(
        settings,
        declared,
        candidate,
        person=_person(settings, user),
        reason=reason,
        evidence={
            "command": "flightdeck override",
            "machine_user": _machine_user(),
            "signed_in_at": "this machine" if user is None else settings.airflow_url,
        },
    )
    row = done.entry
    print(
        f"{use_case} version {row.version} may be tried (row {row.number} of the ledger, by"
        f" {row.actor}). Release it with {declared.dag_id('deployment')} and"
        f' {{"version": {row.version}}}.'
    )
    if done.page_problem:
        print(f"Its page in MLflow does not tell it yet: {done.page_problem}")


def _person(settings: Settings, user: str | None) -> str:
    """Who uses the right: a user that Airflow has authenticated, or this machine."""
    if user is None:
        return _machine_user()
    password = os.environ.get(PASSWORD) or typer.prompt(f"Password of {user}", hide_input=True)
    with AirflowApi(settings, user, password=password) as airflow:
        airflow.get("/api/v2/version")  # a call signs in first
    return user


def _machine_user() -> str:
    """The user of this process, whatever its environment says."""
    return pwd.getpwuid(os.getuid()).pw_name
