"""The environment variables of every process, worked out from the settings alone, so that all of
them agree.

Secrets are made once, into `<home>/airflow/secrets.json` (mode 0600), and read back ever after.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from cli.platform.folders import airflow_home, create_private, log_dir
from cli.platform.metadata import connections, is_of_the_platform
from cli.workers.celery_workers import TASKS, worker_options
from include.errors import PlatformError
from include.files import write
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.settings.contradictions import LOOPBACK
from include.settings.environments import EXECUTORS, TRACKING_ACCOUNT
from include.settings.object_storage import access
from include.settings.secrets_backend import configured
from include.threads import THREADS

PARALLELISM = 4
PLATFORM_TAG = "FLIGHTDECK_PLATFORM_ID"

DAG_BUNDLE = {
    # The name that Airflow gives the one folder of DAGs where nothing else is configured.
    "name": "dags-folder",
    "classpath": "plugins.dag_bundle.PipelineBundle",
    "kwargs": {},
}

TIMES: Mapping[str, float] = MappingProxyType(
    {
        # An idle scheduler looks again after this many seconds; the default of 1 is paid once per
        # task of a chain.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
        # A killed task is noticed, and tried again, after this many seconds instead of 300.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 75,
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 60,
        # A busy machine's api-server may take longer than the default of 5 s to answer a task.
        "WORKERS__EXECUTION_API_TIMEOUT": 30,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
    }
)
"""Airflow's options that are seconds."""

NO_TELEMETRY = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "FEAST_USAGE": "False",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True)
class Secrets:
    """What api-server, scheduler and workers must share: token signing, connection encryption, log
    access, passwords.
    """

    jwt_secret: str
    fernet_key: str
    api_secret_key: str


def passwords_file(settings: Settings) -> Path:
    """JSON file `{user: password}` that Airflow's simple auth manager reads."""
    return airflow_home(settings) / "passwords.json"


def ensure_secrets(settings: Settings) -> Secrets:
    """The secrets of this home; made at the first call, together with the users' passwords."""
    folder = airflow_home(settings)
    ensure_passwords(settings)
    fresh = Secrets(
        jwt_secret=secrets.token_urlsafe(64),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        api_secret_key=secrets.token_urlsafe(32),
    )
    return Secrets(**create_private(folder / "secrets.json", asdict(fresh)))


def ensure_passwords(settings: Settings) -> None:
    """A password for every account; those that were made before stay, unless the file of accounts
    has others.
    """
    path = passwords_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = (*settings.accounts, TRACKING_ACCOUNT)
    fresh = {name: secrets.token_urlsafe(12) for name in names}
    stored = create_private(path, fresh)
    whole = {**fresh, **settings.account_passwords}
    if whole != stored:
        write(path, json.dumps(whole) + "\n", mode=0o600)


def user_of_commands(settings: Settings) -> str:
    """As whom commands start runs: the first user who may, those of the role `op` first.

    Raises `PlatformError` where nobody may.
    """
    for role in ("op", "admin"):
        for user, has in settings.accounts.items():
            if has == role:
                return user
    raise PlatformError(
        f"{PREFIX}USERS names nobody of the role op or admin, as whom commands could start a run."
    )


def passwords(settings: Settings) -> dict[str, str]:
    """Password of each user of Airflow."""
    ensure_secrets(settings)
    content: dict[str, str] = json.loads(passwords_file(settings).read_text())
    return content


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as `FLIGHTDECK_*` variables: a child that loads them gets the same settings."""
    values = {
        field: getattr(settings, field) for field in Settings.model_fields if field != "environment"
    }
    if not is_of_the_platform(settings.airflow_database):
        # Airflow's processes have the address, with its password; no other needs it.
        del values["airflow_database"]
    # The server's alone, which has it under MLflow's own name.
    del values["mlflow_database"]
    del values["broker_url"]  # the same
    fields = {field: str(value) for field, value in values.items() if value is not None}
    return {
        f"{PREFIX}ENV": settings.environment,
        **{f"{PREFIX}{name.upper()}": value for name, value in fields.items()},
    }


def common_environment(settings: Settings) -> dict[str, str]:
    """What every process of the platform gets."""
    return {
        **settings_environment(settings),
        **NO_TELEMETRY,
        "PYTHONPATH": str(PROJECT_ROOT),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        # Nothing of ours is a pickle, so nobody else's is loaded either.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(settings.home / "cache" / "matplotlib"),
        **{name: os.environ.get(name, value) for name, value in THREADS.items()},
        # A machine behind a proxy must still reach its own loopback directly.
        "NO_PROXY": f"{settings.host},localhost",
        "no_proxy": f"{settings.host},localhost",
    }


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """The tracking server: no jobs run on behalf of callers, and it answers to the names by which
    the settings say that it is called. The passwords of its accounts are made by the first call.
    """
    if settings.mlflow_access == "accounts":
        ensure_passwords(settings)
    return {
        **common_environment(settings),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **_called_by_name(settings),
        **_mlflow_stores(settings),
    }


def mlflow_file(settings: Settings) -> Path:
    """SQLite file of MLflow's tracking store and registry, where no server keeps them."""
    return settings.home / "mlflow" / "mlflow.db"


def _mlflow_stores(settings: Settings) -> dict[str, str]:
    """Where the server keeps what it is given, by its own variables: what a command line holds can
    be read by all.
    """
    stores = {
        # It runs in the folder of its file, whose name then means nothing in a URL.
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_database
        or f"sqlite:///{mlflow_file(settings).name}",
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts
        or (settings.home / "mlflow" / "artifacts").as_uri(),
    }
    if settings.mlflow_artifacts is None:
        return stores
    how = access()
    endpoint = {} if how.endpoint is None else {"MLFLOW_S3_ENDPOINT_URL": how.endpoint}
    style = {} if how.endpoint is None else {"MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path"}
    return {**stores, **how.variables(), **endpoint, **style}


def _called_by_name(settings: Settings) -> dict[str, str]:
    """MLflow refuses requests to names that it does not know, so that no page of another site
    reaches it through a name of its own. Left to itself it knows this machine and private networks.
    """
    named = {
        urlsplit(address).netloc.rpartition("@")[2]
        for address in (settings.mlflow_tracking_uri, settings.mlflow_page)
        if urlsplit(address).hostname not in (*LOOPBACK, None, settings.host)
    }
    if not named:
        return {}
    here = {f"{host}{port}" for host in sorted(LOOPBACK) for port in ("", ":*")}
    return {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(sorted({*named, *here}))}


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Every Airflow process, the `airflow` command and the tests. The same settings always give the
    same answer.

    Where Airflow's metadata lie says `cli.platform.metadata`.
    """
    keys = ensure_secrets(settings)
    home = airflow_home(settings)
    logs = log_dir(settings) / "airflow"
    options: dict[str, object] = {
        "CORE__DAGS_FOLDER": PROJECT_ROOT / "dags",
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([DAG_BUNDLE]),
        # Its locks; unpacked versions are not Airflow's to remove.
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": home / "dag_bundles",
        "DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_INTERVAL": 0,
        "CORE__PLUGINS_FOLDER": PROJECT_ROOT / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": EXECUTORS[settings.executor],
        # On one machine its processors are the limit, elsewhere the workers'.
        "CORE__PARALLELISM": PARALLELISM if settings.executor == "local" else TASKS,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__FERNET_KEY": keys.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url.rstrip('/')}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{user}:{role}" for user, role in settings.accounts.items()
        ),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords_file(settings),
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 5,
        # The name of the machine without asking DNS, which may be slow or absent.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        **connections(settings),
        **worker_options(settings),
        "API__HOST": settings.host,
        "API__PORT": settings.airflow_port,
        "API__WORKERS": 1,
        "API__BASE_URL": settings.airflow_page,
        "API__SECRET_KEY": keys.api_secret_key,
        # Logs are files on this machine: nobody serves them over HTTP, so do not wait long for an
        # answer.
        "API__LOG_FETCH_TIMEOUT_SEC": 1,
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
        "API_AUTH__JWT_ISSUER": "flightdeck",
        "LOGGING__BASE_LOG_FOLDER": logs,
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": logs / "dag_processor",
        "LOGGING__COLORED_CONSOLE_LOG": False,
        "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        **TIMES,
    }
    return {
        **common_environment(settings),
        # Where Airflow itself looks for connections and variables; nobody else asks there.
        **configured(os.environ),
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def process_environment(
    overlay: Mapping[str, str], inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The inherited environment under `overlay`, without what would make a child disagree with its
    siblings.
    """
    base = os.environ if inherited is None else inherited
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith(("AIRFLOW_", "MLFLOW_", PREFIX))
        and name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME"}
    }
    merged = {**kept, **overlay}
    merged["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
    )
    for name in ("NO_PROXY", "no_proxy"):
        if kept.get(name) and name in overlay:
            merged[name] = f"{kept[name]},{overlay[name]}"
    return merged
