"""The four files of a new use case."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from string import Template

from cli.authoring.cadence import LATE_DAYS, LOOK_BACK_DAYS, Cadence
from cli.authoring.profile import Profile
from cli.authoring.proposal import Problem, Roles
from cli.authoring.specification import feature_name, view_name
from include.errors import SpecError
from include.features.entities import SharedEntity

DATA = Template('''\
"""What is computed of $name: the feature rows of an interval."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from include.features.rolling import read_history, rolling_means
from include.interval import Interval
from include.tables.store import TableStore

# How far features look back: an interval's features are computed once so much before it was
# ingested, so back-fill in order.
LOOK_BACK = timedelta(days=$look_back)


def compute_features(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
    """Feature view -> its rows stamped in `(start, end]`, each of what was known strictly before.

    Only labels that were known are read: `known_at` is when, not when the question was asked.
    """
    labels = read_history(tables, "raw/${name}_labels", "known_at", interval, LOOK_BACK)
$prepare    return {
        "$view": rolling_means(
            labels,
            [$entity],
            {"$mean": $column},
            moment="known_at",
            every="1d",
            windows={"7d": 7, "${look_back}d": $look_back},
            interval=interval,
            look_back=LOOK_BACK,
        ).drop("rows_7d", "rows_${look_back}d"),
    }
''')

FEATURES = Template('''\
"""Feast's definitions of the features of $name.

After a change run `flightdeck declarations $name`: the feature service and the inputs of
include/use_cases/$name/spec.py must agree.
"""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureService
from feast.types import Float64$key_type

from feature_repo.shared import key, view

$variable = key($entity, $about, $key_kind name=$entity_name)

$view = view(
    "$view",
    [$variable],
    # Each $cron run renews the values: just before one they are that old, and those that are
    # older by $late days count as missing. Where answers need newer ones, run features more often.
    ttl=timedelta(days=$ttl),
    fields={
        "$short": (Float64, "Mean of $label over the last 7 days."),
        "$long": (Float64, "The same over $look_back days."),
    },
)

${name}_v1 = FeatureService(
    name="${name}_v1",
    description="The features of the $name model, version 1.",
    features=[$view],
)
''')

DAG = Template('''\
"""The Airflow DAGs of the use case $name."""

from dags.factories import build_all
from include.use_cases.$name.spec import USE_CASE

globals().update(build_all(USE_CASE))
''')


def paths(root: Path, name: str) -> dict[str, Path]:
    """The four files of a use case, by what they are."""
    folder = root / "include" / "use_cases" / name
    return {
        "spec": folder / "spec.py",
        "data": folder / "data.py",
        "features": root / "feature_repo" / f"{name}.py",
        "dag": root / "dags" / f"{name}.py",
    }


def require_new(root: Path, name: str) -> None:
    """Raise `SpecError` where one of the files is there already: nothing is overwritten."""
    there = [str(path.relative_to(root)) for path in paths(root, name).values() if path.exists()]
    if there:
        raise SpecError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, and nothing is"
            " overwritten. Choose another name, or, where nothing in them is to be kept, remove"
            f" them first: {removal(there)}"
        )


def removal(there: Iterable[str]) -> str:
    """The line that removes files of a use case, for a shell in the checkout."""
    return f"rm {shlex.join(there)}"


TO_BE_WRITTEN = "To be written: whom the features are about."


def texts(
    name: str,
    profile: Profile,
    roles: Roles,
    problem: Problem,
    cadence: Cadence,
    spec: str,
    *,
    entity_there: SharedEntity | None = None,
) -> dict[str, str]:
    """The text of each file; an entity that is there with that key is declared like it."""
    entity = profile.column(roles.entity, "--entity")
    whole = entity.type == "integer"
    shared = {
        "name": name,
        "view": view_name(name, roles),
        "entity": repr(roles.entity),
        "look_back": LOOK_BACK_DAYS,
    }
    mean = feature_name(problem, 7).removesuffix("_7d")
    prepare, column = "", repr(roles.label)
    if problem.classes:
        column = repr("is_commonest")
        prepare = (
            f"    is_commonest = pl.col({roles.label!r}) == {problem.commonest!r}\n"
            '    labels = labels.with_columns(is_commonest.cast(pl.Int64).alias("is_commonest"))\n'
        )
    return {
        "spec": spec,
        "data": DATA.substitute(shared, mean=mean, column=column, prepare=prepare),
        "features": FEATURES.substitute(
            shared,
            variable=f"{shared['view']}_key",
            about=repr(TO_BE_WRITTEN if entity_there is None else entity_there.description),
            entity_name=repr(shared["view"] if entity_there is None else entity_there.name),
            key_type=", Int64" if whole else "",
            key_kind="kind=Int64, " if whole else "",
            short=feature_name(problem, 7),
            long=feature_name(problem, LOOK_BACK_DAYS),
            label=roles.label.replace('"', "'"),
            cron=cadence.cron,
            late=LATE_DAYS,
            ttl=cadence.ttl_days,
        ),
        "dag": DAG.substitute(shared),
    }


def write_files(root: Path, name: str, written: dict[str, str]) -> list[Path]:
    """Write them in the project's format; each is made anew, and never replaces one."""
    made = []
    for part, path in paths(root, name).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_formatted(written[part], path, root))
        made.append(path)
    return made


def _formatted(text: str, path: Path, root: Path) -> str:
    """As `ruff format` writes it; as it is where ruff is not installed."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        return text
    for arguments in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [str(ruff), *arguments, "--stdin-filename", str(path), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=root,
        )
        if done.returncode == 0 and done.stdout:
            text = done.stdout
    return text
