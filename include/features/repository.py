"""What the files of feature_repo define, each checked alone and all together: one that is wrong is
named and stops no other.

A name of Feast's belongs to one file. Another file that uses its view or entity imports it; an
entity may also be declared alike in both. Otherwise the file whose definition was applied before
keeps the name, and where none was, both are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from include.catalogue import running
from include.errors import SpecError
from include.files import write
from include.settings import Settings
from include.settings.online_store import masked
from include.spec.base import folded

TABLES_VARIABLE = "FLIGHTDECK_TABLES_URI"
APPLIED_FILE = "applied.json"
SHARED = "shared.py"
ENTITY, VIEW, SERVICE, SOURCE = "entity", "feature view", "feature service", "data source"
_environment = Lock()

Notes = Mapping[str, Any]
"""`Definitions.as_json`: which file owns which name, and which files are refused."""


@dataclass
class DefinitionFile:
    """What one file defines under public names, and what it imports from which other."""

    name: str
    objects: list[Any]
    imported: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Definitions:
    """The files that could be read, and of each that is not applied why not."""

    files: dict[str, DefinitionFile] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> list[DefinitionFile]:
        """The files whose definitions are applied."""
        return [file for name, file in self.files.items() if name not in self.refused]

    @property
    def objects(self) -> list[Any]:
        """Every object of the accepted files, one of each kind and name."""
        first: dict[tuple[str, str], Any] = {}
        for file in self.accepted:
            for each in file.objects:
                first.setdefault(identity(each), each)
        return list(first.values())

    def as_json(self) -> dict[str, Any]:
        """`owners`: kind and name -> file; `refused`: file -> the reason and the names in it, none
        where it could not be read.
        """
        owners: dict[str, str] = {}
        for file in self.accepted:
            for (kind, name), _ in _claims(file):
                owners.setdefault(f"{kind} {name}", file.name)
        refused = {
            name: {"reason": reason, "names": self._names(name)}
            for name, reason in self.refused.items()
        }
        return {"owners": owners, "refused": refused}

    def _names(self, file: str) -> list[str]:
        if file not in self.files:
            return []
        return sorted(f"{kind} {name}" for (kind, name), _ in _claims(self.files[file]))


def identity(definition: Any) -> tuple[str, str]:
    """Kind and name, as Feast tells definitions apart: without regard to upper and lower case."""
    from feast import Entity, FeatureService, FeatureView

    kinds = {Entity: ENTITY, FeatureView: VIEW, FeatureService: SERVICE}
    kind = next((text for part, text in kinds.items() if isinstance(definition, part)), SOURCE)
    return kind, folded(definition.name)


def load(settings: Settings) -> Definitions:
    """Run every file of feature_repo and hold what they define against each other."""
    result = Definitions()
    for path in definition_files(settings):
        name = f"{settings.feature_repo.name}/{path.name}"
        try:
            file = _read(settings, path, name)
        except SpecError as error:
            result.refused[path.name] = str(error)
            continue
        result.files[path.name] = file
        for (kind, text), objects in _by_name([file]).items():
            if not _alike(kind, [part for _, part in objects]):
                result.refused.setdefault(
                    path.name,
                    f"{name}: the {kind} {text!r} is defined twice; call one of them otherwise",
                )
    _hold_together(result, settings)
    _hold_imports(result, settings)
    return result


def reasons(notes: Notes, names: Sequence[str]) -> list[str]:
    """Why definitions of these names (`feature view shop_daily`) are not there: the refusals of the
    files that define one that nobody else defines, and of those that could not be read.
    """
    missing = {name for name in names if name not in notes.get("owners", {})}
    return [
        refusal["reason"]
        for refusal in notes.get("refused", {}).values()
        if missing and (not refusal["names"] or missing & set(refusal["names"]))
    ]


def refused_names(notes: Notes, settings: Settings) -> set[str]:
    """The names (as `reasons` has them) that refused files define, or had applied before they could
    not be read.
    """
    refused = notes.get("refused", {})
    names = {name for refusal in refused.values() for name in refusal["names"]}
    standing = applied(settings).get("standing", {})
    return names | {name for name, file in standing.items() if file in refused}


def names_of(views: Sequence[str], service: str | None = None) -> list[str]:
    """Views and a service as `reasons` calls them."""
    names = [f"{VIEW} {folded(view)}" for view in views]
    return names if service is None else [*names, f"{SERVICE} {folded(service)}"]


def applied(settings: Settings) -> Notes:
    """What was noted when definitions were applied last; empty before."""
    try:
        notes: dict[str, Any] = json.loads(_applied_file(settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes


def note_applied(settings: Settings, definitions: Definitions) -> None:
    """Note which file each applied name is from, and what is refused."""
    there = {path.name for path in definition_files(settings)}
    notes = definitions.as_json()
    before = applied(settings).get("standing", {})
    # A file keeps what it owned for as long as it is refused: what it had applied still stands.
    refused = there & set(definitions.refused)
    standing = {name: file for name, file in before.items() if file in refused}
    notes["standing"] = {**notes["owners"], **standing}
    write(_applied_file(settings), json.dumps(notes, indent=1, sort_keys=True))


def definition_files(settings: Settings) -> list[Path]:
    """The files that define Feast's objects, by name; what editors leave beside them is none."""
    return sorted(
        path
        for path in settings.feature_repo.glob("*.py")
        if path.name != "__init__.py" and not path.name.startswith(".") and path.is_file()
    )


def definitions_digest(settings: Settings) -> str:
    """What changes with the definitions, the tables' root and the online store's address."""
    digest = hashlib.sha256(settings.tables_uri.encode())
    if settings.online_store is not None:
        digest.update(masked(settings.online_store).encode())
    for path in [*definition_files(settings), settings.feature_repo / "feature_store.yaml"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _applied_file(settings: Settings) -> Path:
    return settings.feature_store_dir / APPLIED_FILE


def _read(settings: Settings, path: Path, name: str) -> DefinitionFile:
    """Run one file. What it imports of its neighbours is read anew: they may have been imported
    when the tables lay elsewhere.
    """
    from feast import Entity, FeatureService, FeatureView

    package = settings.feature_repo.name
    neighbours = {
        other.name: f"{package}.{other.stem}"
        for other in definition_files(settings)
        if other.name != SHARED
    }
    with _environment_variable(TABLES_VARIABLE, settings.tables_uri):
        for module in neighbours.values():
            sys.modules.pop(module, None)
        with running(path, name):
            values = runpy.run_path(str(path))
    origin = {
        id(value): other
        for other, module in neighbours.items()
        if module in sys.modules
        for value in vars(sys.modules[module]).values()
    }
    file = DefinitionFile(path.name, [])
    defined = {
        id(value): value
        for public, value in values.items()
        if not public.startswith("_") and isinstance(value, (Entity, FeatureView, FeatureService))
    }
    for number, value in defined.items():
        if number in origin:
            file.imported.setdefault(origin[number], []).append(value)
        else:
            file.objects.append(value)
    return file


Claim = tuple[tuple[str, str], Any]


def _claims(file: DefinitionFile) -> Iterator[Claim]:
    """Kind and name of everything that the file defines, with the sources of its views."""
    for each in file.objects:
        yield identity(each), each
    for each in file.objects:
        source = getattr(each, "batch_source", None)
        if source is not None:
            yield (SOURCE, folded(source.name)), source


def _by_name(files: Sequence[DefinitionFile]) -> dict[tuple[str, str], list[tuple[str, Any]]]:
    """Kind and name -> file and object of each that has it."""
    claims: dict[tuple[str, str], list[tuple[str, Any]]] = defaultdict(list)
    for file in files:
        for key, each in _claims(file):
            claims[key].append((file.name, each))
    return claims


def _alike(kind: str, objects: Sequence[Any]) -> bool:
    """Whether one name may stand for all of them: one object, entities with the same key, sources
    of the same rows.
    """
    first = objects[0]
    if kind == ENTITY:
        keys = {(each.name, each.join_key, each.value_type) for each in objects}
        return len(keys) == 1
    return all(each is first or (kind == SOURCE and each == first) for each in objects)


def _hold_together(result: Definitions, settings: Settings) -> None:
    """Refuse the files that define a name which another file owns, or which nobody owns yet."""
    repo = settings.feature_repo.name
    owners = applied(settings).get("standing", {})
    wrong = set(result.refused)
    for (kind, text), claims in _by_name(result.accepted).items():
        claiming = list(dict.fromkeys(file for file, _ in claims))
        owner = owners.get(f"{kind} {text}")
        # An entity may be declared alike in several files, which cannot be seen here.
        if owner in wrong and kind != ENTITY:
            for file in claiming:
                result.refused.setdefault(
                    file,
                    f"{repo}/{file}: the {kind} {text!r} belongs to {repo}/{owner}, which is"
                    " refused itself: what it had applied stays; correct that file, or call this"
                    " one otherwise",
                )
            continue
        if _alike(kind, [each for _, each in claims]):
            continue
        for file in claiming:
            others = [f"{repo}/{other}" for other in claiming if other != file]
            if file == owner and others:
                continue
            result.refused.setdefault(
                file,
                f"{repo}/{file}: the {kind} {text!r} is defined in {', '.join(others)} too; a name"
                f" of Feast's has one definition: import it from there, or call it otherwise",
            )


def _hold_imports(result: Definitions, settings: Settings) -> None:
    """Refuse the files that import from refused ones."""
    repo = settings.feature_repo.name
    changed = True
    while changed:
        changed = False
        for file in result.accepted:
            wrong = [other for other in file.imported if other in result.refused]
            if wrong:
                changed = True
                result.refused[file.name] = (
                    f"{repo}/{file.name}: it imports from {repo}/{wrong[0]}, which is not applied:"
                    f" {result.refused[wrong[0]]}"
                )


@contextmanager
def _environment_variable(name: str, value: str) -> Iterator[None]:
    with _environment:
        before = os.environ.get(name)
        os.environ[name] = value
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
