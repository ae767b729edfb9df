"""Signatures by model-signing with a key pair of this installation."""

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import DigestMismatch, RegistryError, SignatureError
from include.model.package import SIGNATURE_FILE, load_model, package_digest
from include.model.signing import (
    attach_signature,
    ensure_keys,
    public_key,
    sign_package,
    verify_signature,
)
from include.settings import PROJECT_ROOT, Settings, load_settings
from tests.unit.model.synthetic import fitted_package, parcels

pytestmark = pytest.mark.slow  # measured at two seconds or more


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("model") / "package"
    return folder, fitted_package(folder, parcels(1000))[0]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path / "home")})


@pytest.fixture
def signed(original, settings, tmp_path) -> Path:
    folder = Path(shutil.copytree(original[0], tmp_path / "package"))
    attach_signature(folder, sign_package(settings, folder, original[1]))
    return folder


def test_a_signed_package_verifies_and_keeps_its_digest(signed, settings, original):
    verify_signature(signed, public_key(settings))
    assert package_digest(signed) == original[1]
    assert load_model(signed, expected_digest=original[1]).digest == original[1]


def test_the_private_key_is_for_its_owner_only_and_is_made_once(settings):
    private = ensure_keys(settings)
    content = private.read_bytes()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert ensure_keys(settings).read_bytes() == content
    assert sorted(path.name for path in settings.keys_dir.iterdir()) == [
        "signing.pem",
        "signing.pub.pem",
    ]


def test_processes_that_start_together_share_one_key(settings):
    imports = (
        "from include.model.signing import ensure_keys; from include.settings import load_settings"
    )
    code = f"{imports}; print(ensure_keys(load_settings()).read_text())"
    environment = {"FLIGHTDECK_HOME": str(settings.home), "PYTHONPATH": str(PROJECT_ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert len(keys) == 1
    assert "BEGIN PRIVATE KEY" in keys.pop()


def test_a_lost_private_key_is_not_replaced_silently(settings):
    ensure_keys(settings).unlink()
    with pytest.raises(RegistryError, match="cannot sign"):
        ensure_keys(settings)


@pytest.mark.parametrize("name", ["model.ubj", "transform.json", "golden.json", "digest.json"])
def test_an_altered_file_does_not_verify(signed, settings, name):
    content = bytearray((signed / name).read_bytes())
    content[len(content) // 2] ^= 1
    (signed / name).write_bytes(content)
    with pytest.raises(SignatureError, match=name.replace(".", r"\.")):
        verify_signature(signed, public_key(settings))


@pytest.mark.parametrize("name", ["extra.json", ".gitignore"])
def test_an_added_or_a_missing_file_does_not_verify(signed, settings, name):
    (signed / name).write_text("{}")
    with pytest.raises(DigestMismatch, match=name.replace(".", r"\.")):
        load_model(signed)
    (signed / name).unlink()
    (signed / "reference.json").unlink()
    with pytest.raises(SignatureError, match=r"reference\.json"):
        verify_signature(signed, public_key(settings))


def test_a_package_rebuilt_with_a_fitting_digest_does_not_verify(signed, settings):
    """Whoever can write the files can write a digest that fits, but cannot sign."""
    (signed / "golden.json").write_text("{}")
    record = json.loads((signed / "digest.json").read_text())
    (signed / "digest.json").write_text(json.dumps({**record, "digest": package_digest(signed)}))
    with pytest.raises(SignatureError):
        verify_signature(signed, public_key(settings))


def test_unsigned_foreign_and_broken_signatures_are_told_apart(
    signed, settings, original, tmp_path
):
    key = public_key(settings)
    bundle = json.loads((signed / SIGNATURE_FILE).read_text())
    attach_signature(signed, "no json")
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(signed, key)
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(b"0" * 70).decode()
    attach_signature(signed, json.dumps(bundle))
    with pytest.raises(SignatureError, match="false"):
        verify_signature(signed, key)
    other = load_settings({"FLIGHTDECK_HOME": str(tmp_path / "other")})
    attach_signature(signed, sign_package(other, original[0], original[1]))
    with pytest.raises(SignatureError, match="Key mismatch"):
        verify_signature(signed, key)
    attach_signature(signed, None)
    with pytest.raises(SignatureError, match="is not signed"):
        verify_signature(signed, key)
    attach_signature(signed, "{}")
    with pytest.raises(SignatureError, match="public key"):
        verify_signature(signed, tmp_path / "no.pem")


def test_only_the_package_that_was_evaluated_is_signed(settings, original):
    with pytest.raises(DigestMismatch):
        sign_package(settings, original[0], "0" * 64)
