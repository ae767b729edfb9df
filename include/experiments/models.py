"""Which models are registered, which of them fulfils what, and a version with its whole record in
one folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import DigestMismatch, RegistryError
from include.experiments.criteria import Criteria, search
from include.experiments.runs import Training, trainings
from include.files import publishing
from include.registry.client import connect, readable_artifact
from include.registry.run_files import read_json
from include.registry.versions import RegisteredVersion, download
from include.settings import Settings
from include.training.architecture import ARCHITECTURE_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient

MANIFEST_FILE = "manifest.json"
VERSION_FILE = "version.json"


def models(settings: Settings) -> list[dict[str, Any]]:
    """One entry per registered model: name, what it answers, versions, aliases, when the newest was
    registered.
    """
    client = connect(settings)
    return [
        {
            "name": str(model.name),
            "description": str(model.description or ""),
            "versions": len(client.search_model_versions(f"name='{model.name}'")),
            "aliases": {str(alias): int(number) for alias, number in sorted(model.aliases.items())},
        }
        for model in client.search_registered_models(max_results=1000)
    ]


def search_versions(
    settings: Settings,
    criteria: Criteria,
    *,
    alias: str | None = None,
    source: str | None = None,
    text: str | None = None,
) -> list[dict[str, Any]]:
    """The registered versions whose trainings fulfil `criteria`, newest data first, each with its
    aliases and what it is made of.

    `alias` is an alias that the version carries, `source` what one of its inputs reads
    (`<view>:<feature>`, a key or a request field), `text` stands in the model's name or
    description. Raises `RegistryError` for an alias or a source that no version has.
    """
    client, by_name = connect(settings), {model["name"]: model for model in models(settings)}
    registered = [
        training
        for training in search(trainings(settings, criteria.use_cases), criteria)
        if training.version is not None and training.use_case in by_name
    ]
    entries = [_entry(client, training, by_name[training.use_case]) for training in registered]
    _check("alias", alias, {name for model in by_name.values() for name in model["aliases"]})
    _check("input", source, {name for entry in entries for name in entry["sources"]})
    return [
        entry
        for entry in entries
        if (alias is None or alias in entry["aliases"])
        and (source is None or source in entry["sources"])
        and (
            text is None
            or text.lower() in f"{entry['model']} {by_name[entry['model']]['description']}".lower()
        )
    ]


def export_version(settings: Settings, version: RegisteredVersion, folder: Path) -> dict[str, str]:
    """Write the version below `folder`, which must not exist yet: the signed package, every file of
    its run, its page and its tags.

    `manifest.json` holds the SHA-256 of each file and is returned. The folder appears complete or
    not at all. Raises `RegistryError` when the folder exists or something cannot be fetched,
    `DigestMismatch` and `SignatureError` as `download`.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    if folder.exists():
        raise RegistryError(f"{folder} is there already; name another folder, or remove it.")
    client = connect(settings)
    try:
        with publishing(folder, replace=False) as aside:
            package = download(version, aside / "fetched")
            package.rename(aside / "package")
            shutil.rmtree(aside / "fetched", ignore_errors=True)
            uri = readable_artifact(
                str(client.get_run(version.run_id).info.artifact_uri), client.tracking_uri
            )
            files = mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=str(aside / "files"), tracking_uri=client.tracking_uri
            )
            Path(files).rename(aside / "run")
            shutil.rmtree(aside / "files", ignore_errors=True)
            registered = client.get_model_version(version.name, str(version.version))
            (aside / "MODEL.md").write_text(
                f"# {version.name}, version {version.version}\n\n{registered.description}\n",
                encoding="utf-8",
            )
            facts = {
                "model": version.name,
                "version": version.version,
                "digest": version.digest,
                "run_id": version.run_id,
                "tags": version.tags,
            }
            (aside / VERSION_FILE).write_text(
                json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8"
            )
            manifest = _digests(aside)
            (aside / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"Version {version.version} of {version.name} cannot be exported: {error}"
        ) from error
    return manifest


def verify_export(folder: Path) -> dict[str, str]:
    """The manifest of an exported version, if every file is as it was written and none was added or
    lost; else `DigestMismatch`.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise RegistryError(f"{folder} is no exported version: {MANIFEST_FILE} is missing.")
    manifest: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    digests = {name: digest for name, digest in _digests(folder).items() if name != MANIFEST_FILE}
    changed = sorted(
        name for name in {*manifest, *digests} if manifest.get(name) != digests.get(name)
    )
    if changed:
        raise DigestMismatch(
            f"{folder} is not what was exported; changed, added or missing: {changed}. Export the"
            " version again."
        )
    return manifest


def _entry(client: MlflowClient, training: Training, model: Mapping[str, Any]) -> dict[str, Any]:
    architecture = read_json(client, training.mlflow_run_id, ARCHITECTURE_FILE) or {"inputs": []}
    return {
        "model": training.use_case,
        "version": training.version,
        "aliases": sorted(
            alias for alias, number in model["aliases"].items() if number == training.version
        ),
        "interval_end": training.interval_end,
        "metrics": {
            name: value
            for name, value in training.metrics.items()
            if name.count(".") == 1 and name.startswith(("test.", "golden."))
        },
        "made_of": training.tags.get("flightdeck.architecture"),
        "sources": sorted({item["source"] for item in architecture["inputs"]}),
        "digest": training.tags.get("flightdeck.digest"),
        "data_set": training.snapshot,
        "annotations": [remark.text for remark in training.annotations],
    }


def _check(what: str, name: str | None, there: set[str]) -> None:
    if name is not None and name not in there:
        raise RegistryError(
            f"No registered version has the {what} {name!r}; there are: {sorted(there) or 'none'}."
        )


def _digests(folder: Path) -> dict[str, str]:
    files: Sequence[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
