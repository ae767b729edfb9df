"""`python -m include.registry.server OPTIONS` runs MLflow's server behind its own sign-in.

The options are those of `mlflow server`. Who may sign in, and with which password, the settings
say; before the server starts its users are made the same, so that the list of users stands in one
place. Neither a password nor the database's address stands in a command line.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.security import check_password_hash

from include.errors import FlightdeckError, SettingsError
from include.files import write
from include.registry.migration import VARIABLE, alone
from include.settings import PREFIX, Settings, load_settings
from include.settings.environments import TRACKING_ACCOUNT
from include.settings.object_storage import BY_FILE
from include.settings.references import FILE

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

CONFIGURATION = "basic_auth.ini"
VERIFIED_SECONDS = 60
"""How long a password counts as verified: its slow hash would be computed for every request."""
USERS = text("SELECT username, password_hash, is_admin FROM users")
SHORTEST = 12
"""Of a password, in characters, as MLflow demands."""


def write_configuration(folder: Path, url: str) -> Path:
    """Write what MLflow's sign-in is configured with, for its owner alone: users that no permission
    names may read everything, and its tables lie in the server's own database.
    """
    options = {
        "default_permission": "READ",
        # The address may hold a password, and a % in it would stand for another option.
        "database_uri": url.replace("%", "%%"),
        "admin_username": TRACKING_ACCOUNT,
        "auth_cache_ttl_seconds": str(VERIFIED_SECONDS),
        "grant_default_workspace_access": "false",
    }
    lines = ["[mlflow]", *(f"{name} = {value}" for name, value in options.items())]
    path = folder / CONFIGURATION
    write(path, "\n".join(lines) + "\n", mode=0o600)
    return path


def wanted_accounts(settings: Settings) -> dict[str, tuple[str, bool]]:
    """Each account with its password and whether it may write.

    Raises `SettingsError` for one without a password, or with one that MLflow would not take.
    """
    passwords = settings.account_passwords
    missing = [name for name in settings.mlflow_accounts if not passwords.get(name)]
    if missing:
        raise SettingsError(
            f"{settings.airflow_accounts_path} holds no password of {', '.join(missing)}, who sign"
            f" in to MLflow ({PREFIX}USERS, and the platform's own account). Add it to the file, or"
            f" take the user out of {PREFIX}USERS."
        )
    for name in settings.mlflow_accounts:
        if len(passwords[name]) < SHORTEST:
            raise SettingsError(
                f"The password of {name} in {settings.airflow_accounts_path} has fewer than"
                f" {SHORTEST} characters, and MLflow takes none shorter. Make a longer one."
            )
    return {name: (passwords[name], writes) for name, writes in settings.mlflow_accounts.items()}


def stand_already(url: str, accounts: Mapping[str, tuple[str, bool]]) -> bool:
    """Whether MLflow's users are those; to ask its own code would import all of its server."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(USERS).all()
    except SQLAlchemyError:
        # Its tables are not there yet.
        return False
    finally:
        engine.dispose()
    return {name for name, _, _ in rows} == accounts.keys() and all(
        check_password_hash(hashed, accounts[name][0]) and bool(writes) == accounts[name][1]
        for name, hashed, writes in rows
    )


def bring_accounts(url: str, accounts: Mapping[str, tuple[str, bool]]) -> None:
    """Make MLflow's users those, with these passwords and rights; nobody else stays.

    Of two servers that start over one database at once the second waits. Raises SQLAlchemy's
    errors.
    """
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    with alone(url):
        store = SqlAlchemyStore()
        store.init_db(url)
        try:
            present = {user.username for user in store.list_users()}
            for name in present - accounts.keys():
                store.delete_user(name)
            for name, (password, writes) in accounts.items():
                _bring(store, name, password, writes=writes, exists=name in present)
        finally:
            store.engine.dispose()


def _bring(store: SqlAlchemyStore, name: str, password: str, *, writes: bool, exists: bool) -> None:
    if not exists:
        store.create_user(name, password, is_admin=writes)
        return
    changed = None if store.authenticate_user(name, password) else password
    store.update_user(name, password=changed, is_admin=writes)


def leave_out_files(variables: MutableMapping[str, str]) -> None:
    """Take out the names of files whose content is there as well: whoever starts the server has
    read the keys of object storage for MLflow, which knows no files of them.
    """
    for variable in BY_FILE:
        if variable.removesuffix(FILE) in variables:
            variables.pop(variable, None)


def main() -> int:
    """Run the server until it is stopped. Exit code: 1 with the reason on standard error where it
    cannot start.
    """
    url = os.environ[VARIABLE]
    leave_out_files(os.environ)
    try:
        settings = load_settings()
        accounts = wanted_accounts(settings)
        # MLflow reads both when it is imported, and hands them to the process that answers.
        os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(write_configuration(Path.cwd(), url))
        os.environ.setdefault("MLFLOW_FLASK_SERVER_SECRET_KEY", secrets.token_urlsafe(32))
        if not stand_already(url, accounts):
            bring_accounts(url, accounts)
    except (FlightdeckError, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().replace("\n", " ")
        sys.stderr.write(f"MLflow cannot start: {reason}\n")
        return 1
    from mlflow.cli import cli

    cli(["server", "--app-name", "basic-auth", *sys.argv[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
