"""The command `bento`: serving code and a registered version in one Bento, tried before it is
there.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import typer

from cli.lazy import new_application
from cli.platform.processes import component
from cli.records.tracking import command_settings
from cli.runs.servers import SERVING, leaving_when_asked, on_free_ports, started
from cli.tables import print_facts
from include.bundles.checkout import read_checkout
from include.catalogue import load_use_case
from include.errors import RegistryError, ReleaseError
from include.features.store import apply_definitions
from include.files import publishing, write
from include.registry.client import connect
from include.registry.versions import RegisteredVersion, champion, download, version
from include.release.checks import check_package
from include.release.endpoint import wait_until_serving
from include.release.packed.build import (
    bento_environment,
    bento_folder,
    build_bento,
    code_digest,
    commit_of,
)
from include.release.packed.contents import Packed
from include.settings import Settings
from include.spec import UseCase
from include.tls import trusted

SERVING_SECONDS = 240.0
TAG, DIGEST = "bento", "bento_code_digest"
"""The tags of a registered version that name the newest Bento of it and the digest of its code."""

application = new_application(no_args_is_help=True)


@application.callback()
def _bento() -> None:
    """Build one Bento of serving code and a registered version."""


@application.command("build")
def build(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")],
    *,
    number: Annotated[
        int | None,
        typer.Option(
            "--version", metavar="N", help="A registered version; the champion by default."
        ),
    ] = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Build of files that are not committed, too.")
    ] = False,
) -> None:
    """Build a Bento that carries a registered version and serves it without registry and store.

    The code is that of the commit. The package's digest, signature and golden answers are checked,
    then the built Bento is started in an empty home and must serve exactly this version, give its
    golden answers, answer a request and refuse a wrong one. Only then it is in BentoML's store
    (BENTOML_HOME, ~/bentoml by default) and named by the version's tag `bento` in the registry.
    """
    settings, case = command_settings(context), load_use_case(use_case)
    checkout = read_checkout(allow_dirty=allow_dirty)
    registered = _registered(settings, case, number)
    store = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").absolute()
    packed = Packed(
        use_case=case.name,
        version=registered.version,
        digest=registered.digest,
        commit=commit_of(checkout),
    )
    with TemporaryDirectory(prefix="flightdeck-bento-") as name, leaving_when_asked():
        work = Path(name)
        package = download(registered, work / "package")
        _require_sound(package, registered, case)
        tag = build_bento(settings, packed, package, checkout, work / "bentoml", work)
        with served(settings, work / "bentoml", tag, work) as endpoint:
            require_contract(endpoint, packed)
        _put(work / "bentoml", store, tag)
    client, code = connect(settings), code_digest(checkout)
    for key, value in ((TAG, tag), (DIGEST, code)):
        client.set_model_version_tag(case.name, str(registered.version), key, value)
    facts = {
        "model": f"{case.name} version {registered.version}, digest {registered.digest[:16]}",
        "code": f"commit {packed.commit}, digest {code[:16]}",
        "store": store,
        "serve": f"FLIGHTDECK_HOME=FOLDER bentoml serve {tag}",
        "image (needs Docker)": f"bentoml containerize {tag}",
    }
    print_facts(tag, facts)


@contextmanager
def served(settings: Settings, store: Path, tag: str, work: Path) -> Iterator[Settings]:
    """The settings of an endpoint that serves a Bento of `store` from an empty home below `work`,
    where it finds neither a registry nor a model store.

    Raises `PlatformError` with the last lines of its log where it does not start.
    """
    alone = on_free_ports(settings.with_own_stores(work / "home"), [SERVING])
    nothing = f"sqlite:///{work / 'no-registry.db'}"
    alone = alone.model_copy(
        update={"mlflow_tracking_uri": nothing, "api_keys_file": None, "serving_workers": 1}
    )
    alone.home.mkdir()
    apply_definitions(alone)
    process = component(alone, SERVING)
    address = ("--host", alone.host, "--port", str(alone.serving_port))
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()
    environment = {
        name: value
        for name, value in bento_environment(store).items()
        if name.startswith(("BENTOML_", "PYTHONPATH"))
    }
    with started(
        replace(
            process,
            command=(sys.executable, "-m", "bentoml", "serve", tag, *address),
            environment={**process.environment, **environment},
            directory=elsewhere,
            log=work / "serving.log",
        )
    ):
        yield alone


def require_contract(endpoint: Settings, packed: Packed) -> None:
    """Raise `ReleaseError` unless an endpoint serves exactly this version, gives its golden
    answers, answers the request that its own description shows, and refuses a field too many.
    """
    wait_until_serving(
        endpoint, packed.use_case, packed.version, packed.digest, seconds=SERVING_SECONDS
    )
    path = f"/v1/models/{packed.use_case}/predict"
    with httpx.Client(
        base_url=endpoint.serving_url, timeout=30.0, trust_env=False, verify=trusted()
    ) as client:
        described = client.get("/docs.json").json()["paths"][path]["post"]["requestBody"]
        (example, *_) = described["content"]["application/json"]["examples"].values()
        # Brought along, for the store of an empty home has no feature to look up.
        features = client.get(f"/v1/models/{packed.use_case}").json()["features"]
        row = {**example["value"]["rows"][0], "features": dict.fromkeys(features)}
        answer = client.post(path, json={"rows": [row]})
        wrong = client.post(path, json={"rows": [{**row, "no_such_field": 1}]})
    served_by = answer.json().get("model_version") if answer.is_success else None
    if served_by != packed.version:
        raise ReleaseError(
            f"The Bento answers its own example with {answer.status_code} by version {served_by},"
            f" not with 200 by version {packed.version}: {answer.text[:300]}"
        )
    if wrong.status_code != httpx.codes.UNPROCESSABLE_ENTITY:
        raise ReleaseError(
            f"The Bento answers a request with a field that nobody declares with"
            f" {wrong.status_code}, not with 422: {wrong.text[:300]}"
        )


def _registered(settings: Settings, use_case: UseCase, number: int | None) -> RegisteredVersion:
    if number is not None:
        return version(settings, use_case, number)
    registered = champion(settings, use_case)
    if registered is None:
        raise RegistryError(
            f"{use_case.name} has no champion yet; name a registered version with --version N."
        )
    return registered


def _require_sound(package: Path, registered: RegisteredVersion, use_case: UseCase) -> None:
    """Refuse a package that the checks of a release refuse; how fast this machine scores is no
    question of what is packed.
    """
    verdict = check_package(package, registered.digest, use_case)
    refused = [item for item in verdict.refused if not item.rule.endswith("_ms")]
    if refused:
        reasons = "; ".join(item.sentence for item in refused)
        raise ReleaseError(f"{use_case.name} version {registered.version} is not packed: {reasons}")


def _put(source: Path, store: Path, tag: str) -> None:
    """Move the Bento into BentoML's store whole, and have it be the latest one there."""
    target = bento_folder(store, tag)
    with publishing(target) as aside:
        shutil.copytree(bento_folder(source, tag), aside, dirs_exist_ok=True)
    write(target.parent / "latest", tag.partition(":")[2])
