"""The command `compose-secrets`: the files that docker/compose.yaml hands to its services, and with
`--production` those of docker/compose.production.yaml.

Each is made once and stays; a user who is added gets a password. Compose shows a container the file
itself, with its owner and mode, and no service runs as its owner; so the files can be read by
whoever reaches them, and the folder is closed to everybody but its owner.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from cli.endpoint.api_keys import add_key
from include.errors import PlatformError
from include.files import write
from include.model.signing import PRIVATE_KEY, PUBLIC_KEY, ensure_keys
from include.settings import PREFIX, Settings, load_settings
from include.settings.environments import TRIAL_USERS

DATABASES = ("airflow", "flightdeck", "mlflow")
PASSWORDS = "passwords.json"  # a file's name
ACCOUNTS = "accounts.json"
ACCOUNT = "flightdeck"
POSTGRES, VALKEY, BROKER = "postgres:5432", "valkey:6379", "broker:6379"
READABLE = 0o444
API_KEY, API_KEYS = "api-key", "api-keys"
PLATFORM = "platform"
"""The caller that the platform itself is, when it looks at what the endpoint serves."""
WRITTEN: Mapping[str, str] = MappingProxyType(
    {
        "alarms.toml": 'says who is told of alarms: [owners], address_file = "alarm-address"',
        "alarm-address": "has that address, for example mailtos://user:password@smtp.example.org",
    }
)
"""What production needs and nobody can make up (docs/alarms.md)."""


def compose_secrets(
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where they lie; default: compose/ of the home."),
    ] = None,
    *,
    production: Annotated[
        bool,
        typer.Option(
            help="Those of docker/compose.production.yaml too, of which you write some yourself."
        ),
    ] = False,
) -> None:
    """Make the secrets of the platform that docker/compose.yaml describes.

    What is there already stays, so that databases that were made with it can still be opened.
    """
    settings = load_settings()
    chosen = folder or settings.home / "compose"
    if production:
        require_written(chosen, settings)
    made = [*make(chosen), *(make_keys(chosen) if production else ())]
    what = f"{len(made)} secrets made" if made else "All secrets are there"
    print(f"{what} in {chosen}, which only you can open.")


def make(folder: Path) -> list[str]:
    """Make the files that are missing, and that of the accounts anew where one has no password;
    their names.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    accounts = _with_missing(folder / ACCOUNTS, _accounts())
    files = {
        **contents(_passwords(folder / PASSWORDS)),
        **_signing_keys(folder),
        ACCOUNTS: json.dumps(accounts),
    }
    missing = [name for name in files if not (folder / name).exists()]
    if ACCOUNTS not in missing and accounts != _stored(folder / ACCOUNTS):
        missing.append(ACCOUNTS)
    for name in missing:
        write(folder / name, files[name], mode=READABLE)
    return missing


def require_written(folder: Path, settings: Settings) -> None:
    """Raise `PlatformError` naming what production needs and only people can write: the file, or
    the variable.
    """
    if settings.users == TRIAL_USERS:
        raise PlatformError(
            f"{PREFIX}USERS is not set: production has people of its own, as"
            " name:role,... with the roles viewer, user, op and admin."
        )
    for name, what in WRITTEN.items():
        path = folder / name
        if not path.is_file() or not path.read_text(encoding="utf-8").strip():
            raise PlatformError(
                f"{path} is missing or empty: it {what} (docs/docker.md). Write it, and call this"
                " again."
            )


def make_keys(folder: Path) -> list[str]:
    """The key by which the platform asks its endpoint, with its hash among those of all callers,
    unless it is there; the files that were made. Containers may read what people wrote.
    """
    made = []
    if not (folder / API_KEY).exists() or not (folder / API_KEYS).exists():
        write(folder / API_KEY, add_key(folder / API_KEYS, PLATFORM), mode=READABLE)
        made = [API_KEY, API_KEYS]
    for name in (API_KEYS, *WRITTEN):
        (folder / name).chmod(READABLE)
    return made


def contents(passwords: Mapping[str, str]) -> dict[str, str]:
    """What each file holds."""
    addresses = {
        name: f"postgresql://{name}:{passwords[name]}@{POSTGRES}/{name}" for name in DATABASES
    }
    credentials = {"accessKey": ACCOUNT, "secretKey": passwords["object-storage"]}
    identity = {"name": ACCOUNT, "credentials": [credentials], "actions": ["Admin"]}
    return {
        "postgres-password": passwords["postgres"],
        "databases.sql": "".join(_database(name, passwords[name]) for name in DATABASES),
        "airflow-database": addresses["airflow"],
        "ledger-url": addresses["flightdeck"],
        "mlflow-database": addresses["mlflow"],
        "online-store": f"redis://:{passwords['valkey']}@{VALKEY}/0",
        "valkey-password": passwords["valkey"],
        "valkey.conf": _valkey(passwords["valkey"]),
        "broker-url": f"redis://:{passwords['broker']}@{BROKER}/0",
        "broker-password": passwords["broker"],
        "broker.conf": _valkey(passwords["broker"]),
        "object-storage.json": json.dumps({"identities": [identity]}),
        "object-storage-secret": passwords["object-storage"],
    }


def _passwords(path: Path) -> dict[str, str]:
    """Every password, made when it is first needed; letters and digits alone, for they go into
    addresses and SQL.
    """
    names = ("postgres", *DATABASES, "valkey", "broker", "object-storage")
    whole = _with_missing(path, {name: secrets.token_hex(24) for name in names})
    if whole != _stored(path):
        write(path, json.dumps(whole), mode=0o600)
    return whole


def _stored(path: Path) -> dict[str, str]:
    """What a file of passwords holds; nothing where it is not there yet."""
    if not path.exists():
        return {}
    stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def _with_missing(path: Path, fresh: dict[str, str]) -> dict[str, str]:
    """The passwords that are stored, and fresh ones of those names that have none."""
    return {**fresh, **_stored(path)}


def _accounts() -> dict[str, str]:
    """A password for each account of Airflow and MLflow."""
    settings = load_settings()
    names = sorted({*settings.accounts, *settings.mlflow_accounts})
    return {name: secrets.token_urlsafe(12) for name in names}


def _signing_keys(folder: Path) -> dict[str, str]:
    """The pair that signs models, made at the first call: who trains has both halves, who serves
    the public one.
    """
    private = ensure_keys(load_settings().model_copy(update={"home": folder}))
    return {
        name: private.with_name(name).read_text(encoding="ascii")
        for name in (PRIVATE_KEY, PUBLIC_KEY)
    }


def _database(name: str, password: str) -> str:
    """One role and its database, closed to the others."""
    return (
        f"CREATE ROLE {name} LOGIN PASSWORD '{password}';\n"
        f"CREATE DATABASE {name} OWNER {name};\n"
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;\n"
    )


def _valkey(password: str) -> str:
    """The online store: what it has answered for is in its file when its process is killed."""
    lines = (
        f"requirepass {password}",
        "bind * -::*",
        "dir /data",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
    )
    return "\n".join(lines) + "\n"
