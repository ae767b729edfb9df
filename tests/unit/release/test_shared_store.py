"""A model store that hosts share in object storage: one host releases, another serves, and they
share nothing but its address and a public key.
"""

from __future__ import annotations

import io
import json
import secrets
import shutil
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.errors import (
    DigestMismatch,
    FlightdeckError,
    ReleaseError,
    ServingError,
    SettingsError,
    SignatureError,
)
from include.files import write
from include.model.package import package_digest
from include.model.signing import attach_signature, public_key, sign_package
from include.object_storage import ObjectStore
from include.release.followers import (
    Follower,
    live_followers,
    report,
    this_process,
    withdraw_report,
)
from include.release.model_store import at_hand, publish, set_desired, shared_problem, withdraw
from include.release.packages import restore_package
from include.release.plan import (
    one_arm,
    plan_name,
    plan_path,
    plan_written,
    planned,
    read_plan,
    write_plan,
    write_plan_by_hand,
)
from include.release.reconcile import witnesses
from include.release.shared.objects import package_name
from include.settings import Settings, load_settings
from proofs.harness.object_store import ObjectStoreServer
from serving.models.bringer import Bringer, of_this_host

pytestmark = pytest.mark.slow
NAME = "flight_delays"
Host = Callable[[str], Settings]
Package = tuple[Path, str]


@pytest.fixture
def host(object_store: ObjectStoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host by its name, each with a home of its own."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    shared = f"{object_store.url}/{secrets.token_hex(8)}"

    def made(name: str) -> Settings:
        variables = {"HOME": str(tmp_path / name), "MODELS_URI": shared}
        named = {f"FLIGHTDECK_{key}": value for key, value in variables.items()}
        return load_settings({**object_store.variables, **named})

    return made


@pytest.fixture
def releasing(host: Host) -> Settings:
    return host("releasing")


@pytest.fixture
def package(releasing: Settings, tmp_path: Path) -> Package:
    folder = tmp_path / "package"
    (folder / "parts").mkdir(parents=True)
    (folder / "model.ubj").write_bytes(b"trees")
    (folder / "parts" / "more.json").write_bytes(b"{}")
    digest = package_digest(folder)
    files = {"model.ubj": "0", "parts/more.json": "0"}
    (folder / "digest.json").write_text(json.dumps({"digest": digest, "files": files}))
    attach_signature(folder, sign_package(releasing, folder, digest))
    return folder, digest


@pytest.fixture
def serving(host: Host, releasing: Settings, package: Package) -> Settings:
    """It has the public key alone, which came with the package."""
    settings = host("serving")
    write(settings.keys_dir / "signing.pub.pem", public_key(releasing).read_bytes())
    return settings


def objects(settings: Settings) -> ObjectStore:
    assert settings.models_uri is not None
    return ObjectStore(settings.models_uri)


def brought(settings: Settings) -> Bringer:
    """What an endpoint's thread does, once."""
    bringer = Bringer(settings, lambda: (NAME,))
    bringer.look()
    return bringer


def test_another_host_brings_what_was_released_and_follows_the_newest_plan(
    releasing: Settings, serving: Settings, package: Package
) -> None:
    folder, digest = package
    publish(releasing, NAME, folder, 1, digest)
    set_desired(releasing, NAME, 1, digest)
    assert planned(serving) == [NAME]
    assert plan_written(serving, NAME) is not None
    bringer = brought(serving)
    assert bringer.problem(NAME) is None
    here = of_this_host(serving)
    assert read_plan(here, NAME) == read_plan(releasing, NAME)
    assert (at_hand(here, NAME, 1, digest) / "parts" / "more.json").read_bytes() == b"{}"
    withdraw(releasing, NAME)
    bringer.look()
    plan = read_plan(here, NAME)
    assert plan is not None
    assert plan.arms == ()
    bringer.stop()


def test_a_package_that_was_changed_in_the_store_is_not_brought_and_can_be_put_back(
    releasing: Settings, serving: Settings, package: Package
) -> None:
    folder, digest = package
    publish(releasing, NAME, folder, 1, digest)
    name = package_name(NAME, 1)
    whole = objects(releasing).read(name)
    assert whole is not None
    for damaged, error in (
        (whole.content.replace(b"trees", b"bonds"), DigestMismatch),
        (whole.content[:700], FlightdeckError),
        (b"", ServingError),
        (archive({"../outside": b"x"}), ServingError),
        (archive({"a": b"x"}, type=tarfile.SYMTYPE, linkname="nowhere"), ServingError),
        (archive({"a": b"x"}, type=tarfile.LNKTYPE, linkname="nowhere"), ServingError),
        (archive({"a": b"x"}, pax_headers={"path": "a\0b"}), ServingError),
    ):
        objects(releasing).write(name, damaged)
        with pytest.raises(error):
            at_hand(serving, NAME, 1, digest)
        assert not at_hand(of_this_host(serving), NAME, 1).exists()
        assert shared_problem(releasing, NAME, 1, digest) is not None
    assert not (serving.home.parent / "outside").exists()
    assert restore_package(releasing, NAME, 1, digest) == "this host's copy"
    assert shared_problem(serving, NAME, 1, digest) is None
    publish(releasing, NAME, folder, 1, digest)  # again: nothing is written
    assert at_hand(serving, NAME, 1).is_dir()


def archive(files: dict[str, bytes], **changes: object) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = 0 if "linkname" in changes else len(data)
            for field, value in changes.items():
                setattr(member, field, value)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_a_package_that_another_key_signed_is_not_brought(
    host: Host, serving: Settings, package: Package, tmp_path: Path
) -> None:
    stranger = host("stranger")
    folder = tmp_path / "strange"
    shutil.copytree(package[0], folder)
    attach_signature(folder, sign_package(stranger, folder, package[1]))
    publish(stranger, NAME, folder, 1, package[1])
    set_desired(stranger, NAME, 1, package[1])
    bringer = brought(serving)
    assert "SignatureError" in (bringer.problem(NAME) or "")
    assert not plan_path(serving, NAME).exists()
    with pytest.raises(SignatureError):
        at_hand(serving, NAME, 1, package[1])
    bringer.stop()


def test_a_plan_whose_package_is_missing_is_not_followed_until_it_is_there(
    releasing: Settings, serving: Settings, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, digest = package
    write_plan(releasing, one_arm(NAME, 1, digest, sequence=3))
    bringer = Bringer(serving, lambda: (NAME,))
    monkeypatch.setattr("serving.models.bringer.RETRY_SECONDS", 0.0)
    bringer.look()
    assert "names version 1 of flight_delays, which is not in s3://" in (
        bringer.problem(NAME) or ""
    )
    assert not plan_path(serving, NAME).exists()
    publish(releasing, NAME, folder, 1, digest)
    bringer.look()
    assert bringer.problem(NAME) is None
    assert plan_path(serving, NAME).exists()
    bringer.stop()


def test_of_the_processes_of_a_home_one_brings_and_another_takes_over_when_it_ends(
    releasing: Settings, serving: Settings, package: Package
) -> None:
    folder, digest = package
    first = brought(serving)
    publish(releasing, NAME, folder, 1, digest)
    set_desired(releasing, NAME, 1, digest)
    second = brought(serving)
    assert not plan_path(serving, NAME).exists()
    first.stop()
    second.look()
    assert plan_path(serving, NAME).exists()
    second.stop()


def test_an_older_plan_that_is_put_back_in_the_store_is_not_brought(
    releasing: Settings, serving: Settings, package: Package
) -> None:
    folder, digest = package
    publish(releasing, NAME, folder, 1, digest)
    write_plan(releasing, one_arm(NAME, 1, digest, sequence=3))
    old = objects(releasing).read(plan_name(NAME))
    assert old is not None
    write_plan(releasing, one_arm(NAME, 1, digest, sequence=4))
    bringer = brought(serving)
    objects(releasing).write(plan_name(NAME), old.content)
    bringer.look()
    objects(releasing).write(plan_name(NAME), b"no plan")
    bringer.look()
    assert "does not hold a plan" in (bringer.problem(NAME) or "")
    plan = read_plan(of_this_host(serving), NAME)
    assert plan is not None
    assert plan.sequence == 4
    bringer.stop()


def test_of_two_hosts_that_write_a_plan_at_once_none_overwrites_the_other(
    host: Host, releasing: Settings, package: Package
) -> None:
    hosts = [releasing, host("other")]
    shutil.copytree(releasing.keys_dir, hosts[1].keys_dir)
    digest, barrier = package[1], threading.Barrier(2)

    def by_hand(settings: Settings, version: int) -> None:
        for _ in range(5):
            barrier.wait(30)
            write_plan_by_hand(settings, NAME, one_arm(NAME, version, digest).arms)

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(by_hand, hosts, (1, 2)))
    stored = objects(releasing).read(plan_name(NAME))
    assert stored is not None
    assert json.loads(stored.content)["revision"] == 9  # of ten, from 0
    write_plan(releasing, one_arm(NAME, 1, digest, sequence=5, decided_by="5" * 64))
    with pytest.raises(ReleaseError, match="plan 4 of flight_delays is late: plan 5 is in force"):
        write_plan(hosts[1], one_arm(NAME, 1, digest, sequence=4))
    assert [witness.number for witness in witnesses(hosts[1])] == [5]


def test_processes_of_all_hosts_report_themselves_to_releases(
    releasing: Settings, serving: Settings, package: Package
) -> None:
    process = this_process()
    alive = Follower(process=process, use_case=NAME, port=1, heartbeat=0.0)
    elsewhere = process.model_copy(update={"host": "far-away", "pid": 7})
    silent = alive.model_copy(update={"process": elsewhere})
    report(serving, alive)
    report(serving, silent)
    assert live_followers(releasing, NAME) == [alive]
    withdraw_report(serving, NAME, process)
    assert live_followers(releasing, NAME) == []


def test_a_store_that_is_away_is_said_and_changes_nothing_here(
    releasing: Settings, serving: Settings, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, digest = package
    publish(releasing, NAME, folder, 1, digest)
    set_desired(releasing, NAME, 1, digest)
    brought(serving).stop()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for use in (
        lambda: read_plan(releasing, NAME),
        lambda: publish(releasing, NAME, folder, 2, digest),
        lambda: set_desired(releasing, NAME, 1, digest),
        lambda: live_followers(releasing, NAME),
    ):
        with pytest.raises(ServingError, match="cannot be reached"):
            use()
    brought(serving).stop()
    here = of_this_host(serving)
    plan = read_plan(here, NAME)
    assert plan is not None
    assert plan.champion is not None
    assert at_hand(here, NAME, 1, digest).is_dir()


def test_an_address_that_no_hosts_can_share_is_refused(tmp_path: Path) -> None:
    for address in (str(tmp_path), "gs://bucket/x"):
        with pytest.raises(SettingsError, match=r"MODELS_URI is .*s3://bucket.*Unset, it"):
            load_settings({"FLIGHTDECK_MODELS_URI": address})
    with pytest.raises(SettingsError, match="Neither AWS_REGION nor AWS_ENDPOINT_URL is set"):
        load_settings({"FLIGHTDECK_MODELS_URI": "s3://bucket/x"})
