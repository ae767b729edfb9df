"""The commands by which a use case leaves: retire, remove, rename. Each says what it would do, and
does it with `--apply` alone.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Annotated

import typer

from cli.platform.state import running_settings
from cli.tables import print_table
from include.catalogue import load_use_case
from include.errors import ReleaseError
from include.governance import leaving
from include.release.followers import live_followers, wait_until_followed
from include.release.retirement import release_under_way, retire, serving_version
from include.settings import Settings

FOLLOWED_SECONDS = 60.0
Name = Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without it nothing is changed.")]


def retire_use_case(
    context: typer.Context,
    use_case: Name,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the ledger.")],
    apply: Apply = False,
) -> None:
    """Have no version of a use case answer any more.

    Callers get 503; tables, versions and records stay. flightdeck rollback takes it back.
    """
    settings, declared = _settings(context), load_use_case(use_case)
    running, version = release_under_way(settings, use_case), serving_version(settings, use_case)
    if running is not None:
        raise ReleaseError(running)
    if not apply:
        serves = "no version serves" if version is None else f"version {version} serves now"
        print(f"{use_case}: {serves}. With --apply none does any more, and the ledger says why.")
        return
    entry, plan = retire(
        settings,
        declared,
        actor=getpass.getuser(),
        reason=reason,
        evidence={"command": "flightdeck retire-use-case"},
    )
    followers: Sequence[object] = ()
    if live_followers(settings, use_case):
        followers = wait_until_followed(settings, plan, seconds=FOLLOWED_SECONDS)
    print(
        f"{use_case} is retired (row {entry.number} of the ledger, {len(followers)} endpoint"
        f" processes). Pause its DAGs in Airflow ({use_case}__*): what they train is released by"
        f" nobody. flightdeck rollback {use_case} --to {entry.version} takes it back."
    )


def remove_use_case(context: typer.Context, use_case: Name, *, apply: Apply = False) -> None:
    """Move the files of a retired use case aside, and list what stays.

    They go to <home>/removed, from where they can be put back.
    """
    settings = _settings(context)
    declared = load_use_case(use_case)
    _print_parts(use_case, leaving.belongings(settings, declared))
    _require_free(settings, use_case)
    if not apply:
        print("Nothing was changed; --apply moves its files aside.")
        return
    print(f"The files of {use_case} lie in {leaving.remove(settings, use_case)} now.")


def rename_use_case(
    context: typer.Context,
    use_case: Name,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its name from now on.")],
    *,
    apply: Apply = False,
) -> None:
    """Give a retired use case another name: its folder, DAG file and imports.

    Tables keep their names; versions, ledger and logs stay under the old one.
    """
    settings = _settings(context)
    declared = load_use_case(use_case)
    leaving.check_new_name(name)
    _print_parts(use_case, leaving.belongings(settings, declared))
    for path in leaving.mentions(use_case):
        print(f"imports are changed in {path}")
    _require_free(settings, use_case)
    if not apply:
        print(f"Nothing was changed; --apply makes it {name}.")
        return
    for path in leaving.rename(use_case, name):
        print(f"wrote {path}")
    print(f"Next: flightdeck check {name}, backfill {name}, train {name}, deploy {name}.")


def _require_free(settings: Settings, use_case: str) -> None:
    obstacles = leaving.obstacles(settings, use_case)
    if obstacles:
        raise ReleaseError(" ".join(obstacles))


def _print_parts(use_case: str, parts: Sequence[leaving.Part]) -> None:
    rows = [(part.kind, part.place, part.outcome, part.note) for part in parts]
    print_table(use_case, ("what", "where", "becomes", "note"), rows, prose=("where", "note"))


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or running_settings()
