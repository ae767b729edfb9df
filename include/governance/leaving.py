"""What belongs to a use case, and what becomes of each part when it is removed or renamed.

Only files that declare are ever moved. Tables, versions, ledger and logs stay: they are the record
of what was decided with them.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include import catalogue
from include.catalogue import load_valid
from include.errors import SpecError
from include.features.statistics import statistics_table
from include.features.store import read_definitions
from include.files import write
from include.release.ledger import Ledger
from include.release.retirement import release_under_way, serving_version
from include.settings import PROJECT_ROOT, Settings
from include.spec import UseCase
from include.spec.use_case import NAME_PATTERN
from include.tables.store import TableStore

MOVED, STAYS = "moved", "stays"


@dataclass(frozen=True)
class Part:
    """One thing of a use case: its kind, where it is, and what becomes of it."""

    kind: str
    place: str
    outcome: str
    note: str = ""


def belongings(settings: Settings, use_case: UseCase) -> list[Part]:
    """Everything of a use case that is kept somewhere, and what its removal does to it."""
    name = use_case.name
    return [
        *(Part("file", _shown(path), MOVED) for path in declaring_files(name)),
        *_tables(settings, use_case),
        *_definitions(settings, use_case),
        Part("DAGs", f"{name}__*", "gone", "Airflow drops them once the file is gone; runs stay"),
        Part("registered model", name, STAYS, "in MLflow, with its runs"),
        Part("ledger", f"{len(Ledger(settings).rows(name))} rows", STAYS, "append-only"),
        *(
            Part("folder", str(folder), STAYS, "packages and plans of the endpoint, reports")
            for folder in (
                settings.serving_dir / "models" / name,
                settings.serving_dir / name,
                settings.reports_dir / "validation" / name,
            )
            if folder.exists()
        ),
    ]


def obstacles(settings: Settings, use_case: str) -> list[str]:
    """Why a use case cannot be removed or renamed now, a sentence each."""
    reasons = []
    running = release_under_way(settings, use_case)
    version = serving_version(settings, use_case)
    if running is not None:
        reasons.append(running)
    elif version is not None:
        reasons.append(
            f"Version {version} of {use_case} serves: retire it first (flightdeck retire-use-case"
            f" {use_case} --reason WHY --apply)."
        )
    for other in load_valid()[0].values():
        read = [table.name for table in other.tables if table.written_by == use_case]
        read += [part.table for part in other.feature_tables if part.written_by == use_case]
        if read and other.name != use_case:
            reasons.append(
                f"{other.name} reads {read}, which {use_case} writes: let it write them, or drop"
                " them there."
            )
    return reasons


def remove(settings: Settings, use_case: str) -> Path:
    """Move the files that declare a use case aside and return the folder that holds them now.

    A call that was ended in between is completed by the next one.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = settings.home / "removed" / f"{use_case}-{stamp}"
    aside.mkdir(parents=True, exist_ok=True)
    for path in declaring_files(use_case):
        shutil.move(str(path), str(aside / f"{path.parent.name}-{path.name}"))
    return aside


def check_new_name(name: str) -> None:
    """Raise `SpecError` for a name that no use case may have, or that one has."""
    if not NAME_PATTERN.match(name):
        raise SpecError(f"use case {name!r}: a name must match {NAME_PATTERN.pattern}.")
    if name in catalogue.names() or declaring_files(name):
        raise SpecError(f"There is a use case {name!r} already; choose another name.")


def mentions(former: str) -> list[Path]:
    """Files of other use cases and DAG files that import from the use case."""
    own = catalogue.FOLDER / former
    pattern = re.compile(rf"include\.use_cases\.{former}\b")
    files = sorted([*catalogue.FOLDER.rglob("*.py"), *dags_folder().glob("*.py")])
    return [
        path
        for path in files
        if own not in path.parents and pattern.search(path.read_text("utf-8"))
    ]


def rename(former: str, name: str) -> list[Path]:
    """Give the files that declare a use case another name, and return those that were written.

    The name is replaced where it is the use case's: in `name="..."` of its `UseCase`, in imports,
    and in its DAG file. Raises `SpecError` where the result is no use case of that name; the former
    files are as they were then.
    """
    source, target = catalogue.FOLDER / former, catalogue.FOLDER / name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    loaded = False
    try:
        for path in sorted(target.rglob("*.py")):
            write(path, _renamed(path.read_text("utf-8"), former, name))
        catalogue.load_use_case(name)
        loaded = True
    finally:
        if not loaded:
            shutil.rmtree(target)
    written = sorted(target.rglob("*.py"))
    for path in mentions(former):
        write(path, _renamed(path.read_text("utf-8"), former, name))
        written.append(path)
    dag = dags_folder() / f"{former}.py"
    if dag.exists():
        text = re.sub(rf"\b{former}\b", name, dag.read_text("utf-8"))
        write(dag.with_name(f"{name}.py"), text)
        written.append(dag.with_name(f"{name}.py"))
        dag.unlink()
    shutil.rmtree(source)
    return written


def declaring_files(name: str) -> list[Path]:
    """The DAG file and the folder of a use case, as far as they are there.

    In the order in which they may be moved: a folder without its DAG file is still a use case.
    """
    candidates = (dags_folder() / f"{name}.py", catalogue.FOLDER / name)
    return [path for path in candidates if path.exists()]


def dags_folder() -> Path:
    """Where the DAG files lie."""
    return PROJECT_ROOT / "dags"


def _renamed(text: str, former: str, name: str) -> str:
    text = re.sub(rf"include\.use_cases\.{former}\b", f"include.use_cases.{name}", text)
    calls = re.compile(rf"(UseCase\(\s*(?:#[^\n]*\n\s*)*name=)(['\"]){former}\2")
    return calls.sub(rf"\g<1>\g<2>{name}\g<2>", text)


def _tables(settings: Settings, use_case: UseCase) -> Iterator[Part]:
    tables = TableStore(settings.tables_uri)
    names = [table.name for table in use_case.own_tables]
    for part in use_case.own_feature_tables:
        names += [part.table, statistics_table(part.view)]
    for name in names:
        if tables.exists(name):
            yield Part("table", tables.uri(name), STAYS, "its rows, at every version")
    yield Part("tables", f"{tables.root}/{use_case.name}/", STAYS, "predictions, log, statistics")


def _definitions(settings: Settings, use_case: UseCase) -> Iterator[Part]:
    views = {item.view for item in use_case.inputs if item.view is not None}
    needed = {*views, use_case.feature_service}
    definitions = read_definitions(settings)
    for file in definitions.accepted:
        named = sorted(needed & {getattr(item, "name", "") for item in file.objects})
        if named:
            place = f"feature_repo/{file.name}"
            yield Part("Feast", f"{place}: {', '.join(named)}", STAYS, "with their online rows")


def _shown(path: Path) -> str:
    root = PROJECT_ROOT
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
