"""The ledger's own key pair (Ed25519): rows and head are signed with it.

<home>/keys/ledger.pem       the private key, mode 0600; whoever appends needs it
<home>/keys/ledger.pub.pem   the public key, written last when a ledger is begun: where it lies,
                             there has been a ledger
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from include.errors import LedgerBroken, ReleaseError
from include.files import write

PRIVATE_KEY = "ledger.pem"
PUBLIC_KEY = "ledger.pub.pem"


class Keys:
    """The key pair in one folder; read when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.private_path = folder / PRIVATE_KEY
        self.public_path = folder / PUBLIC_KEY
        self._private: Ed25519PrivateKey | None = None
        self._public: Ed25519PublicKey | None = None

    @property
    def can_sign(self) -> bool:
        """Whether the private key is at hand."""
        return self.private_path.is_file()

    def begin(self) -> None:
        """Make the private key where there is none; of two processes the first one's stays."""
        if not self.can_sign:
            self.private_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            with suppress(FileExistsError):
                write(self.private_path, content, durable=True, replace=False, mode=0o600)

    def publish(self) -> None:
        """Write the public key, once."""
        if not self.public_path.exists():
            content = (
                self._signer()
                .public_key()
                .public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
            with suppress(FileExistsError):
                write(self.public_path, content, durable=True, replace=False, mode=0o644)

    def sign(self, message: bytes) -> str:
        """The signature in hexadecimal. Raises `ReleaseError` without the private key."""
        return self._signer().sign(message).hex()

    def holds(self, message: bytes, signature: str) -> bool:
        """Whether the signature was made over this message with the private key.

        Raises `LedgerBroken` where there is no key to check with.
        """
        if self._public is None:
            self._public = self._verifier()
        return signature_holds(self._public, message, signature)

    def _signer(self) -> Ed25519PrivateKey:
        if self._private is None:
            self._private = _private(self.private_path)
        return self._private

    def _verifier(self) -> Ed25519PublicKey:
        if self.public_path.is_file():
            return read_public_key(self.public_path)
        if self.can_sign:
            return self._signer().public_key()
        raise LedgerBroken(
            "key missing",
            0,
            f"The ledger cannot be checked: its key {self.public_path} is missing. Put it back"
            " from a backup.",
        )


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The key in a PEM file; `ReleaseError` where there is none."""
    try:
        return public_key_of(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"{path} holds no public Ed25519 key ({error}); a ledger's lies at"
            f" <home>/keys/{PUBLIC_KEY}."
        ) from error


def public_key_of(content: bytes) -> Ed25519PublicKey:
    """The key of a PEM text; `ValueError` where it is none."""
    key = serialization.load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"it is a key of another kind: {type(key).__name__}")  # noqa: TRY004  # one error for all bad keys
    return key


def signature_holds(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    """Whether a signature in hexadecimal belongs to message and key."""
    try:
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"The ledger cannot be written: its key {path} cannot be read ({error}). Put it back"
            " from a backup; with a new one every row would count as forged."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError(f"{path} holds no Ed25519 key but a {type(key).__name__}.")
    return key
