"""Signatures of model packages: registration signs with the private key; fetching, publishing and
loading check with the public one.

Made and checked by `model-signing` (Sigstore's format, elliptic curve P-256, offline). The
signature covers every file of the package and lies beside them as signature.json, outside of the
digest: signing again gives another signature of the same package.

    <home>/keys/signing.pem       the private key, mode 0600; only the machine that trains needs it
    <home>/keys/signing.pub.pem   the public key
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import rfc8785

from include.errors import RegistryError, SignatureError
from include.files import write
from include.model.package import RELEASE_FILE, SIGNATURE_FILE, verify_package
from include.settings import Settings

if TYPE_CHECKING:
    from model_signing import hashing

PRIVATE_KEY = "signing.pem"
PUBLIC_KEY = "signing.pub.pem"


def public_key(settings: Settings) -> Path:
    """Where the key lies that packages are checked with."""
    return settings.keys_dir / PUBLIC_KEY


def ensure_keys(settings: Settings) -> Path:
    """The private key's path; the pair is made once, and of two processes that make one at once the
    first one's stays.

    Raises `RegistryError` where only the public key is left: a new pair would make every signed
    version unusable.
    """
    private, public = settings.keys_dir / PRIVATE_KEY, public_key(settings)
    if not private.exists():
        if public.exists():
            raise RegistryError(
                f"{private} is missing while {public} is there: this machine cannot sign. Put the"
                " private key back; or remove the public key, which makes a new pair at the next"
                " training and refuses every version that was signed before."
            )
        _create(private)
    if not public.exists():
        _write_once(public, _public_bytes(private), 0o644)
    return private


def sign_package(settings: Settings, folder: Path, digest: str) -> str:
    """The signature (one line of JSON) of the package in `folder`, which must have `digest`.

    Nothing is written into the folder.
    """
    from model_signing import signing

    verify_package(folder, digest)
    with TemporaryDirectory(prefix="flightdeck-sign-") as aside:
        file = Path(aside) / SIGNATURE_FILE
        config = (
            signing.Config()
            .use_elliptic_key_signer(private_key=ensure_keys(settings))
            .set_hashing_config(_hashing())
        )
        config.sign(folder, file)
        return file.read_text()


def attach_signature(folder: Path, signature: str | None) -> None:
    """Put a recorded signature beside the package's files; without one, remove what lies there."""
    path = folder / SIGNATURE_FILE
    if signature is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(signature)


def verify_signature(folder: Path, key: Path) -> None:
    """Raise `SignatureError` unless signature.json covers exactly the files of the package and was
    made with `key`'s private half.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    path = folder / SIGNATURE_FILE
    advice = "Do not use it; register the version again where the signing key is."
    if not path.is_file():
        raise SignatureError(
            f"The model package at {folder} is not signed: there is no {SIGNATURE_FILE}. {advice}"
        )
    if not key.is_file():
        raise SignatureError(
            f"The signature of {folder} cannot be checked: the public key {key} is missing. Copy it"
            " from the trainer."
        )
    try:
        json.loads(path.read_bytes())
        verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(
            _hashing()
        ).verify(folder, path)
    except InvalidSignature as error:
        raise SignatureError(
            f"The signature of the model package at {folder} is false: it was altered. {advice}"
        ) from error
    # the library raises whatever its parsers raise on a signature that was tampered with
    except Exception as error:
        raise SignatureError(
            f"The signature of the model package at {folder} does not hold ({error}). {advice}"
        ) from error


def sign_statement(settings: Settings, purpose: str, statement: dict[str, Any]) -> str:
    """The signature (base64) of a small JSON document, by the key that signs packages.

    What is signed is its canonical form (RFC 8785) behind `purpose`, so that a signature of one
    kind of statement stands for no other. The same statement has the same signature (RFC 6979).
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    content = ensure_keys(settings).read_bytes()
    key = serialization.load_pem_private_key(content, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise RegistryError(
            f"{settings.keys_dir / PRIVATE_KEY} is no elliptic curve key; put the one that signs"
            " packages back."
        )
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    signature = key.sign(_signed_bytes(purpose, statement), algorithm)
    return base64.b64encode(signature).decode("ascii")


def verify_statement(key: Path, purpose: str, statement: dict[str, Any], signature: str) -> None:
    """Raise `SignatureError` unless `sign_statement` made the signature with `key`'s private
    half.
    """
    try:
        content = key.read_bytes()
    except OSError as error:
        raise SignatureError(
            f"The public key {key} cannot be read: {error}. Copy it from the trainer."
        ) from error
    verify_statement_by(content, str(key), purpose, statement, signature)


def verify_statement_by(
    key: bytes, where: str, purpose: str, statement: dict[str, Any], signature: str
) -> None:
    """The same with the content of a public key's PEM file, which lies at `where`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        public = serialization.load_pem_public_key(key)
    except ValueError as error:
        raise SignatureError(
            f"The public key {where} cannot be read: {error}. Copy it from the trainer."
        ) from error
    try:
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise SignatureError(f"{where} is no elliptic curve key. Copy it from the trainer.")
        public.verify(
            base64.b64decode(signature, validate=True),
            _signed_bytes(purpose, statement),
            ec.ECDSA(hashes.SHA256()),
        )
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(f"The signature of the {purpose} does not hold.") from error


def _signed_bytes(purpose: str, statement: dict[str, Any]) -> bytes:
    return f"flightdeck {purpose}\n".encode() + rfc8785.dumps(statement)


def _hashing() -> hashing.Config:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(
        paths=[SIGNATURE_FILE, RELEASE_FILE], ignore_git_paths=False
    )


def _create(private: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_once(private, content, 0o600)


def _write_once(path: Path, content: bytes, mode: int) -> None:
    # Of two processes that make the keys at once, one wins for both.
    with suppress(FileExistsError):
        write(path, content, durable=True, replace=False, mode=mode)


def _public_bytes(private: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
