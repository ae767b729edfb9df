"""Several small use cases with a model each, as an endpoint finds them that has served them before:
what the tests of many models in one process share.
"""

from __future__ import annotations

from pathlib import Path

from include.data_sets.split import cut, moments
from include.features.store import NO_SERVICE
from include.interval import Interval
from include.model.signing import attach_signature, ensure_keys, sign_package
from include.release.model_store import publish, set_desired, version_folder
from include.release.plan import read_issued
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.training.package import train_package
from serving.models.last_good import LastGood
from tests.unit.model.synthetic import START, USE_CASE, parcels

NAMES = ("parcels_a", "parcels_b", "parcels_c")
SNAPSHOT = {"name": "parcels/snapshots/x", "uri": "tables/x", "version": 0, "digest": "0" * 64}
WINDOW = Interval(START, START.replace(month=2))
ROW = {
    "parcel_id": "p1",
    "asked_at": "2020-02-01T10:00:00Z",
    "depot": "east",
    "pickup": "2020-02-01T13:00:00Z",
}


def plain(name: str) -> UseCase:
    """The parcels without features of a view, under another name."""
    inputs = tuple(item for item in USE_CASE.inputs if ":" not in item.source)
    training = USE_CASE.training.model_copy(update={"boost_rounds": 5})
    update = {
        "name": name,
        "inputs": inputs,
        "feature_tables": (),
        "training": training,
        "feature_service": NO_SERVICE,
    }
    return USE_CASE.model_copy(update=update)


CASES = {name: plain(name) for name in NAMES}


def settings_of(folder: Path, *, loaded: int) -> Settings:
    """A home of its own, whose processes keep so many models loaded."""
    return load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(folder),
            "FLIGHTDECK_SERVING_LOADED_MODELS": str(loaded),
        }
    )


def deploy(settings: Settings, name: str, version: int = 1) -> str:
    """Publish a version and have it desired; its digest."""
    ensure_keys(settings)
    use_case, rows = CASES[name], parcels(1200, seed=version)
    context = StepContext(use_case, settings, WINDOW, RunInfo("training", f"run-{version}"))
    splits = cut(use_case, rows, moments(use_case, rows))
    parameters = {"max_depth": 2, "eta": 0.3}
    folder, digest, _ = train_package(context, splits, parameters, SNAPSHOT, "unknown")
    attach_signature(folder, sign_package(settings, folder, digest))
    publish(settings, name, folder, version, digest)
    set_desired(settings, name, version, digest)
    return digest


def remember(settings: Settings, name: str, digest: str) -> None:
    """Have the home know the plan of version 1 as one that was followed here, so that nobody tries
    that version anew.
    """
    issued = read_issued(settings, name)
    if issued is None:
        raise LookupError(name)
    LastGood(settings, name).keep(issued, {(1, digest): version_folder(settings, name, 1)})
