"""Where bundles are kept: each under its own name, once, whoever pushes it how often."""

import secrets
import threading

import pytest

from include.bundles.acceptance import Acceptance
from include.bundles.registry import BundleRegistry, registry_of
from include.errors import BundleError
from tests.unit.bundles.made import home_of, tiny_bundle


@pytest.fixture(params=["folder", "file URI", "object store"])
def registry(request, tmp_path, monkeypatch):
    """A registry in a folder, and one in a real S3."""
    if request.param == "object store":
        server = request.getfixturevalue("object_store")
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        return BundleRegistry(f"{server.url}/{secrets.token_hex(8)}")
    return BundleRegistry(f"{'' if request.param == 'folder' else 'file://'}{tmp_path}/registry")


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(home_of(tmp_path / "home"))


@pytest.mark.slow
def test_a_bundle_is_kept_once_under_its_version(registry, bundle):
    assert registry.versions() == []
    assert registry.push(bundle.version, bundle.archive)
    assert not registry.push(bundle.version, bundle.archive)
    assert registry.versions() == [bundle.version]
    assert registry.read(bundle.version) == bundle.archive
    assert registry.find(bundle.version[:7]) == bundle.version


@pytest.mark.slow
def test_two_pushes_at_once_are_one(registry, bundle):
    at_once, results = threading.Barrier(8), []

    def push():
        at_once.wait()
        results.append(registry.push(bundle.version, bundle.archive))

    threads = [threading.Thread(target=push) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert any(results)
    assert registry.versions() == [bundle.version]
    assert registry.read(bundle.version) == bundle.archive


def test_a_push_that_was_killed_leaves_nothing_that_is_listed(tmp_path, bundle):
    registry = BundleRegistry(str(tmp_path / "registry"))
    registry.push(bundle.version, bundle.archive)
    (tmp_path / "registry" / f".{bundle.version}.tar.1.abc").write_bytes(bundle.archive[:10])
    assert registry.versions() == [bundle.version]


def test_what_was_changed_there_is_not_pushed_over(registry, bundle):
    registry.push(bundle.version, bundle.archive[:-1])
    with pytest.raises(BundleError, match="changed or damaged there"):
        registry.push(bundle.version, bundle.archive)


def test_a_name_that_is_short_unknown_or_of_several_lists_what_is_there(registry):
    for version in ("abcdef1" + "0" * 57, "abcdef2" + "0" * 57):
        registry.push(version, b"x")
    for name in ("abcde", "ffffff", "abcdef"):
        with pytest.raises(BundleError, match=r"abcdef100000, abcdef200000"):
            registry.find(name)
    with pytest.raises(BundleError, match="has no bundle ffff"):
        registry.read("ffff")


def test_an_acceptance_is_kept_as_it_was_first_said(registry, bundle, tmp_path):
    home = home_of(tmp_path / "staging", "staging")
    said = Acceptance(
        version=bundle.version,
        environment="staging",
        accepted_at="2026-11-30T10:00:00+00:00",
        actor="ann",
        tried=("tiny",),
    ).signed(home)
    registry.accept(said)
    registry.accept(said.model_copy(update={"actor": "bob"}).signed(home))
    assert registry.acceptances(bundle.version) == [said]
    assert registry.versions() == []


def test_an_acceptance_holds_for_its_own_words_and_key_alone(bundle, tmp_path):
    home, other = home_of(tmp_path / "a"), home_of(tmp_path / "b")
    said = Acceptance(
        version=bundle.version, environment="staging", accepted_at="now", actor="ann", tried=()
    ).signed(home)
    other_key = Acceptance.signed(said, other)
    from include.model.signing import public_key

    keys = [public_key(home)]
    assert said.is_signed_by(keys)
    assert not said.model_copy(update={"environment": "production"}).is_signed_by(keys)
    assert not other_key.is_signed_by(keys)
    assert not said.model_copy(update={"signature": ""}).is_signed_by(keys)


def test_object_storage_that_refuses_is_said(object_store, monkeypatch):
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    with pytest.raises(BundleError, match="refuses the key"):
        BundleRegistry(f"{object_store.url}/x").versions()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    with pytest.raises(BundleError, match=r"cannot be opened: AWS_ACCESS_KEY_ID is set and"):
        BundleRegistry(f"{object_store.url}/x")


def test_no_registry_or_one_that_cannot_be_says_what_to_set():
    with pytest.raises(BundleError, match=r"set FLIGHTDECK_BUNDLE_REGISTRY to a folder"):
        registry_of(None)
    with pytest.raises(BundleError, match=r"cannot be opened.*s3://bucket"):
        BundleRegistry("nowhere://bucket/x")
