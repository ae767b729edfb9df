"""The commands `bundle deploy`, `rollback` and `status`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from cli.bundles.deploy import Deployed, Request, deploy, roll_back
from cli.bundles.named import BundleName, RegistryUri, find_bundle
from cli.platform import supervision
from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.runs.servers import leaving_when_asked
from cli.runs.verdict import REFUSED, print_folded
from cli.tables import print_facts, print_table
from include.bundles.deployments import Deployment, Deployments
from include.bundles.manifest import short
from include.bundles.unpacked import difference, versions_dir
from include.errors import SettingsError
from include.settings import PREFIX, Settings

CHECKOUT = "the checkout"
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the record.")]


def deploy_bundle(
    name: BundleName,
    *,
    to: Annotated[
        str, typer.Option(metavar="ENVIRONMENT", help="Where it goes: dev, staging, production.")
    ],
    reason: Reason = "",
    override: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Why it need not be accepted by the one before."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The end of the trial's data; their end by default."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0.001, max=1.0, help="Share of the rows of the trial."),
    ] = None,
    registry: RegistryUri = None,
) -> int:
    """Run a bundle end to end in an environment, and let it run there if it is accepted.

    The home is that of FLIGHTDECK_HOME. The bundle's own code ingests, trains, lets its gates
    judge, deploys to an endpoint of its own and asks it, on the environment's share of the data;
    production takes what staging has accepted. Exit code 0: the bundle runs here. 3: it was
    refused, and what ran before runs on.
    """
    settings = _settings_of(to)
    named = find_bundle(settings, name, registry)
    options = [*(("--to", until) if until else ()), *(("--share", str(share)) if share else ())]
    before = Deployments(settings).current()
    with leaving_when_asked():
        deployed = deploy(settings, named, Request(reason, override, tuple(options)))
    if deployed.reasons:
        _tell_refused(settings, named.bundle.version, before, deployed)
        return REFUSED
    version = short(named.bundle.version)
    if deployed.row is None:
        print(f"{settings.environment} runs {version} already.")
        return 0
    print(f"{settings.environment} runs {version}; before it ran {_shown(before)}.")
    _tell_platform(settings)
    return 0


def roll_back_bundle(
    *,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="One that was deployed; by default the one before."),
    ] = None,
    reason: Reason = "",
) -> None:
    """Let the pipeline run again that ran before, or an earlier one.

    Runs that have begun keep the version that they began with.
    """
    settings = running_settings()
    row = roll_back(settings, to, reason)
    print(f"{settings.environment} runs {short(row.version)} again; before it ran", end=" ")
    print(f"{_shown(row.previous)}.")
    _tell_platform(settings)


def show_status(*, as_json: AsJson = False) -> int:
    """Show which version of the pipeline runs here, since when and why, and what came before.

    The exit code is 1 where its files are not as they were built.
    """
    settings = running_settings()
    deployments = Deployments(settings)
    current, rows = deployments.current(), deployments.rows()
    damage = None if current is None else difference(versions_dir(settings) / current, current)
    if as_json:
        answer = {"current": current, "damage": damage, "rows": [vars(row) for row in rows]}
        print_answer(answer, print, as_json=True)
        return int(damage is not None)
    print_facts(
        f"Pipeline of {settings.environment} in {settings.home}",
        {
            "runs": _shown(current),
            "files": damage or "as they were built" if current else CHECKOUT,
            "begun": _unfinished(deployments.unfinished()),
        },
    )
    print_table(
        "Record",
        ("when", "what", "version", "commit", "before", "who", "why"),
        [_line(row) for row in reversed(rows)],
        prose=("why",),
    )
    return int(damage is not None)


def _settings_of(environment: str) -> Settings:
    """The settings in that environment. Raises `SettingsError` where the variable says another."""
    variable = os.environ.get(f"{PREFIX}ENV", environment)
    if variable != environment:
        raise SettingsError(
            f"{PREFIX}ENV is {variable}, and the bundle is to go to {environment}. Call it with"
            f" {PREFIX}ENV={environment} and that environment's {PREFIX}HOME."
        )
    return running_settings({**os.environ, f"{PREFIX}ENV": environment})


def _tell_refused(settings: Settings, version: str, before: str | None, deployed: Deployed) -> None:
    count = len(deployed.reasons)
    print(f"{short(version)} is refused, for {count} reason{'s' if count > 1 else ''}:")
    for number, reason in enumerate(deployed.reasons, 1):
        print_folded(f"{number:3d}. ", reason)
    print(f"{settings.environment} runs {_shown(before)} as before, and its model serves on.")


def _tell_platform(settings: Settings) -> None:
    if supervision.is_running(settings):
        print_folded(
            "",
            "Runs that begin use it within a minute from now; those that have begun keep theirs."
            " The endpoint, triggers and pages use it after `flightdeck down` and `flightdeck up`.",
        )


def _unfinished(row: Deployment | None) -> str:
    if row is None:
        return "nothing"
    return (
        f"{short(row.version)} at {row.recorded_at} by {row.actor}: it is being tried, or its trial"
        " was ended from outside and changed nothing"
    )


def _line(row: Deployment) -> tuple[Any, ...]:
    why = row.reason
    if row.event == "refused":
        why = " ".join(row.evidence["reasons"])
    if "override" in row.evidence:
        why = f"{why} (not accepted before: {row.evidence['override']})".strip()
    return (
        row.recorded_at,
        row.event.replace("_", " "),
        short(row.version),
        short(row.code_commit),
        _shown(row.previous),
        row.actor,
        why,
    )


def _shown(version: str | None) -> str:
    return CHECKOUT if version is None else short(version)
