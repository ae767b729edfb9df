"""The commands `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.backup.restore import restore as restore_home
from cli.backup.save import save
from cli.platform.state import running_settings
from include.settings import load_settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, for example home.tar.")]
BYTES_PER_MEGABYTE = 1e6


def backup(file: File) -> None:
    """Save everything of this home in one file, while the platform runs.

    Airflow's metadata, the release ledger, tables, models, MLflow's records, the inference log,
    alarms, keys and passwords: keep the file as secret as those. Logs and what can be made anew are
    not in it.
    """
    missing = save(running_settings(), file)
    size = file.stat().st_size / BYTES_PER_MEGABYTE
    print(f"{file}: {size:,.1f} MB, readable by you alone; it holds keys and passwords.")
    for sentence in missing:
        print(f"Not in it: {sentence} Save that by its own means.")


def restore(file: File) -> None:
    """Make an empty home from a backup: FLIGHTDECK_HOME names it, var/ without.

    Every file is held against what was saved; the home appears whole or not at all. Let the former
    platform not run any longer: both would sign as the same one.
    """
    settings = load_settings()
    about = restore_home(settings, file)
    print(
        f"{settings.home} is as it was at {about['made_at']}, {len(about['members']):,} files."
        " `flightdeck up` starts it; `flightdeck releases verify` holds its ledger against its"
        " signatures."
    )
    print(
        "Whoever was erased since then is in it again: before anything runs, `flightdeck privacy"
        " again USE_CASE --list FILE` (docs/privacy.md)."
    )
    for sentence in about["left_out"]:
        print(f"Was not in the backup: {sentence} Restore that by its own means.")
