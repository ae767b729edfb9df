"""The settings of the environment that this process runs in.

`FLIGHTDECK_ENV` names the environment (default `dev`). Every other value has a default, in the
table of `include.settings.environments` where these differ, and may be overridden by one variable
each, named `FLIGHTDECK_<FIELD>`; one that may hold a password also by the file that
`FLIGHTDECK_<FIELD>_FILE` names, or by the secret of Airflow's secrets backend that
`FLIGHTDECK_<FIELD>_SECRET` names. Cheap to import: DAG files read it at parse time.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from include.errors import SettingsError
from include.settings.airflow_database import airflow_database_url, server_url
from include.settings.contradictions import contradictions, unknown_variables
from include.settings.environments import (
    ENVIRONMENTS,
    EVERY_SERVICE,
    RECORDS_ACCOUNT,
    ROLES,
    TRACKING_ACCOUNT,
    TRIAL_USERS,
    Approval,
    EnvironmentName,
    Executor,
    MlflowAccess,
    Service,
)
from include.settings.object_storage import is_remote, location
from include.settings.online_store import masked, online_store_config
from include.settings.references import resolve
from include.settings.secrets_backend import secret_of_airflow
from include.settings.services import services_of

PROJECT_ROOT = Path(__file__).resolve().parents[2]
PREFIX = "FLIGHTDECK_"
REPORTS_PATH = "/flightdeck/reports"
"""Where the page that serves reports is mounted in Airflow's own server."""
MONITORING_PATH = "/flightdeck/monitoring"
"""Where that server leads from a DAG to its use case's page over time."""
STORES = (
    "airflow_database",
    "feature_registry",
    "ledger_url",
    "mlflow_artifacts",
    "mlflow_database",
    "models_uri",
    "online_store",
    "reports_uri",
)
"""The settings that name a store elsewhere; unset, it lies below `home`, as the tables do."""
UNWRITABLE = re.compile(r"[\[\]\\^|]|%[0-9A-Fa-f]{2}|[\x00-\x1f\"]")


class Settings(BaseModel):
    """Where this process finds its data and its services (docs/settings.md)."""

    # A setting may hold a password: neither errors nor `repr` show it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    environment: EnvironmentName = Field(
        description="The environment; its defaults hold where a setting has no variable of its own."
    )
    home: Path = Field(
        description="Everything that Flightdeck writes at run time lies below this folder."
    )
    services: str = Field(
        default=EVERY_SERVICE,
        description="What runs on this host, of airflow, mlflow, serving and evidently, with commas"
        " between; the others are elsewhere and have an address (docs/environments.md). evidently"
        " runs where `evidently_port` is set.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address on which the platform's servers listen. This machine alone by"
        " default.",
    )
    airflow_port: int = Field(
        default=8080, ge=1, le=65535, description="TCP port of Airflow's UI and API on `host`."
    )
    mlflow_port: int = Field(
        default=5000, ge=1, le=65535, description="TCP port of MLflow's UI and API on `host`."
    )
    serving_port: int = Field(
        default=3000, ge=1, le=65535, description="TCP port of the prediction endpoint on `host`."
    )
    grpc_port: int = Field(
        default=3001,
        ge=0,
        le=65535,
        description="The endpoint's TCP port for the Open Inference Protocol over gRPC; 0 for none."
        " By default the next one to `serving_port`.",
    )
    evidently_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="TCP port of Evidently's own UI with the reports of monitoring; 0, the default:"
        " it is not started. It knows no accounts, so `host` must be this machine alone"
        " (docs/monitoring.md).",
    )
    airflow_database: str | None = Field(
        default=None,
        repr=False,
        description="Where `flightdeck up` keeps Airflow's metadata: `embedded`, a PostgreSQL that"
        " it starts itself, `sqlite`, or postgresql://user:password@host/database"
        " (docs/airflow-database.md). By default embedded, unless the home has a SQLite file of an"
        " earlier version.",
    )
    tables_uri: str = Field(
        description="Where every Delta table lies: the path of a folder, or s3://bucket/prefix,"
        " which is reached by the standard `AWS_*` variables (docs/stores.md). A folder of `home`"
        " by default."
    )
    airflow_url: str = Field(
        description="Airflow's api-server as workers and commands reach it. By default the one on"
        " `host` and `airflow_port`."
    )
    airflow_public_url: str | None = Field(
        default=None,
        description="Airflow as browsers reach it, for links in records and pages, where that is"
        " not `airflow_url`.",
    )
    models_uri: str | None = Field(
        default=None,
        description="Where hosts share model packages and traffic plans: s3://bucket/prefix"
        " (docs/stores.md). None by default: they lie below `home`, which endpoint and releases"
        " then share.",
    )
    reports_uri: str | None = Field(
        default=None,
        description="Where hosts share reports and Data Docs: s3://bucket/prefix (docs/stores.md)."
        " None by default: they lie below `home`, and Airflow shows those of its own host.",
    )
    mlflow_tracking_uri: str = Field(
        description="MLflow's tracking server and registry. By default the one on `host` and"
        " `mlflow_port`."
    )
    mlflow_public_url: str | None = Field(
        default=None,
        description="MLflow as browsers reach it, for links, where that is not"
        " `mlflow_tracking_uri`.",
    )
    mlflow_database: str | None = Field(
        default=None,
        repr=False,
        description="Where MLflow's server keeps runs and versions:"
        " postgresql://user:password@host/database (docs/stores.md). By default a SQLite file"
        " below `home`.",
    )
    mlflow_artifacts: str | None = Field(
        default=None,
        description="Where MLflow's server keeps the files of runs: s3://bucket/prefix"
        " (docs/stores.md). By default a folder below `home`.",
    )
    mlflow_access: MlflowAccess = Field(
        default="accounts",
        description="Who reaches MLflow: `accounts`, the users of `users`, who sign in, admins"
        " write and the others read; `open`, whoever reaches its port (docs/environments.md).",
    )
    serving_url: str = Field(
        description="Base address at which releases and the demo ask the endpoint. By default that"
        " of `host` and `serving_port`."
    )
    serving_public_url: str | None = Field(
        default=None,
        description="The endpoint as browsers reach it, for links, where that is not"
        " `serving_url`.",
    )
    online_store: str | None = Field(
        default=None,
        repr=False,
        description="Where Feast keeps the newest features: `sqlite`, or the address of a Redis or"
        " PostgreSQL (docs/serving-operations.md). By default what feature_store.yaml says.",
    )
    feature_registry: str | None = Field(
        default=None,
        repr=False,
        description="The database of Feast's registry, which hosts share:"
        " postgresql://user:password@host/database (docs/stores.md). By default a SQLite file"
        " below `home`.",
    )
    ledger_url: str | None = Field(
        default=None,
        repr=False,
        pattern=r"^[a-z0-9_+]+://",
        description="The database of the release ledger and of the alarms:"
        " postgresql://user:password@host/database, or any other that SQLAlchemy reaches"
        " (docs/releases-ledger.md). By default a SQLite file for each below `home`.",
    )
    alarm_sinks: Path | None = Field(
        default=None,
        description="TOML file that says where alarms are sent: e-mail, chat, webhook"
        " (docs/alarms.md). None by default: they are recorded and sent nowhere.",
    )
    prices_file: Path | None = Field(
        default=None,
        description="TOML file with the prices of processors and memory, by which monitoring tells"
        " what answers cost (docs/monitoring.md). None by default: nothing has a price.",
    )
    bundle_registry: str | None = Field(
        default=None,
        description="Folder or s3://bucket/prefix where the bundles of pipelines are kept"
        " (docs/pipeline-releases.md). None by default: they are files that are passed on.",
    )
    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="The broker whose events `flightdeck stream` scores.",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File with the hashes of the keys that the endpoint asks for (docs/serving.md)."
        " None by default: it asks for none.",
    )
    api_key_file: Path | None = Field(
        default=None,
        description="File with the key that this process sends to the endpoint. None by default.",
    )
    airflow_accounts_file: Path | None = Field(
        default=None,
        description="JSON file `{account: password}` with Airflow's account `releases`, which may"
        f" only look: by it a release reads who approved it; with `{TRACKING_ACCOUNT}`, by which"
        " steps and commands sign in to MLflow; and for MLflow's server with all users. That of"
        " `flightdeck up` by default.",
    )
    delivery_dir: Path | None = Field(
        default=None,
        description="Folder whose deliveries in Parquet take precedence over a use case's own"
        " source (`include.quality.landing.read_delivery`). None by default.",
    )
    delivery_rows: int = Field(
        default=50_000_000,
        ge=1,
        description="Most rows of a delivered file; one with more is refused before it is read."
        " 50 million by default.",
    )
    delivery_bytes: int = Field(
        default=16_000_000_000,
        ge=1,
        description="Most bytes of a delivered file's columns when they are unpacked. 16 GB by"
        " default.",
    )
    sample_share: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Share of the source rows that is ingested. 1 by default: all.",
    )
    serving_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that answer on the endpoint's port; with two or more, one may die"
        " unnoticed (docs/serving-operations.md).",
    )
    serving_loaded_models: int = Field(
        default=32,
        ge=1,
        le=10_000,
        description="Most model versions that a serving process keeps loaded. With more use cases"
        " the others are loaded when they are asked, and those asked longest ago are let go"
        " (docs/serving-operations.md).",
    )
    log_segment_bytes: int = Field(
        default=8 << 20,
        ge=1 << 16,
        description="Size of a file of the inference log's journal, in bytes; there are two of them"
        " for each serving process and use case. 8 MiB by default.",
    )
    training_threads: int = Field(default=2, ge=1, description="Threads of one training.")
    training_device: Literal["cpu", "cuda"] = Field(
        default="cpu",
        description="Where XGBoost is fitted, unless the specification says it"
        " (docs/estimators.md).",
    )
    dask_scheduler: str | None = Field(
        default=None,
        pattern=r"^(tcp|tls)://[^/]+:\d+$",
        description="The Dask scheduler on which use cases with `training.fit_in` of `dask` are"
        " fitted, as tcp://host:port or tls://host:port (docs/scale.md). None by default: each"
        " fit starts `training_threads` processes of its own machine.",
    )
    target: Literal["process", "pods"] = Field(
        default="process",
        description="Where steps run: `process` in Airflow's worker, `pods` each in a pod of its"
        " own (docs/pods.md).",
    )
    pods_file: Path | None = Field(
        default=None,
        description="TOML file with image, resources and nodes of the pods (docs/pods.md). None by"
        " default; a target of `pods` needs one.",
    )
    service_account: str | None = Field(
        default=None,
        description="The pods' service account, unless the file of pods says it. None by default:"
        " the namespace's own.",
    )
    executor: Executor = Field(
        default="local",
        description="Who runs Airflow's tasks: `local` processes of the scheduler, `celery` workers"
        " on any number of hosts (docs/executors.md), or `kubernetes`, each in a pod, which"
        " `flightdeck up` does not start.",
    )
    broker_url: str | None = Field(
        default=None,
        repr=False,
        description="The queue of Celery's workers, where the executor is `celery`: a"
        " Redis-compatible store as redis://[[user]:password@]host[:port][/number], or rediss://"
        " with TLS.",
    )
    approval: Approval = Field(
        default="declared",
        description="`required` keeps out a use case whose releases no person approves; `declared`"
        " leaves that to its specification.",
    )
    users: str = Field(
        default=TRIAL_USERS,
        description="The users of Airflow and MLflow as `name:role,...`, of the roles viewer, user,"
        f" op and admin; `{RECORDS_ACCOUNT}`, which looks who approved, is added.",
    )
    spec_overlay: Path | None = Field(
        default=None,
        description="JSON file that replaces values of specifications, for trials"
        " (`include.spec.overlay`); refused in production. None by default.",
    )

    @field_validator("home")
    @classmethod
    def _a_home_for_tables(cls, value: Path) -> Path:
        """Delta's library writes such paths as addresses, and cannot write below these."""
        match = UNWRITABLE.search(str(value))
        if match is not None:
            raise ValueError(
                f"Delta tables cannot lie below a folder with {match[0]!r} in its path; name"
                f" another home with {PREFIX}HOME, without any of [ ] \\ ^ | and without a % before"
                " two hexadecimal digits"
            )
        return value

    @field_validator("services")
    @classmethod
    def _known_services(cls, value: str) -> str:
        return ",".join(services_of(value))

    @field_validator("tables_uri")
    @classmethod
    def _known_object_storage(cls, value: str) -> str:
        if is_remote(value):
            location(value)
        return value

    @field_validator("models_uri", "mlflow_artifacts", "reports_uri")
    @classmethod
    def _in_object_storage(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(location(value))
        except ValueError as error:
            raise ValueError(f"{error}. Unset, it is a folder of FLIGHTDECK_HOME") from error

    @field_validator("mlflow_database", "feature_registry")
    @classmethod
    def _on_a_server(cls, value: str | None) -> str | None:
        return None if value is None else server_url(value)

    @field_validator("spec_overlay")
    @classmethod
    def _no_overlay_in_production(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("environment") == "production":
            raise ValueError(
                "production runs the specifications of its code and nothing else; unset the"
                " variable"
            )
        return value

    @field_validator("online_store")
    @classmethod
    def _known_online_store(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            online_store_config(value, info.data.get("home", PROJECT_ROOT))
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"rediss?://[^/]", value):
            raise ValueError(
                "valid are redis://[[user]:password@]host[:port][/number] and rediss://, the same"
                " with TLS"
            )
        return value

    @field_validator("airflow_database")
    @classmethod
    def _known_airflow_database(cls, value: str | None) -> str | None:
        if value is not None:
            airflow_database_url(value)
        return value

    @field_validator("users")
    @classmethod
    def _users_with_roles(cls, value: str) -> str:
        for entry in filter(None, value.split(",")):
            name, _, role = entry.partition(":")
            if not re.fullmatch(r"[A-Za-z0-9._@-]+", name) or role not in ROLES:
                raise ValueError(
                    f"{entry!r} is no user; write name:role, the role one of {', '.join(ROLES)}"
                )
            if name == TRACKING_ACCOUNT:
                raise ValueError(
                    f"{name!r} is the account by which the platform itself signs in to MLflow;"
                    " call the user otherwise"
                )
        return value

    def with_own_stores(self, home: Path) -> Settings:
        """The same settings with every store in a home of its own, for what must not touch those of
        the environment. MLflow and the endpoint are still those of their addresses.
        """
        stores = {**dict.fromkeys(STORES), "home": home, "tables_uri": str(home / "tables")}
        # A part of a platform shares its stores with the others.
        return self.model_copy(update={**stores, "services": EVERY_SERVICE})

    @property
    def runs(self) -> frozenset[Service]:
        """The services that run on this host."""
        named = services_of(self.services)
        return frozenset(name for name in named if name != "evidently" or self.evidently_port)

    @property
    def accounts(self) -> dict[str, str]:
        """Airflow's users and their roles."""
        pairs = (entry.partition(":") for entry in filter(None, self.users.split(",")))
        return {**{name: role for name, _, role in pairs}, RECORDS_ACCOUNT: ROLES[0]}

    @property
    def mlflow_accounts(self) -> dict[str, bool]:
        """MLflow's users, each with whether it may write: the platform's own account, and admins of
        Airflow.
        """
        users = {name: role for name, role in self.accounts.items() if name != RECORDS_ACCOUNT}
        return {**{name: role == "admin" for name, role in users.items()}, TRACKING_ACCOUNT: True}

    @property
    def account_passwords(self) -> dict[str, str]:
        """Passwords by account, as far as this process may see them: those that `flightdeck up`
        made, and before them those of `airflow_accounts_file`.

        Raises `SettingsError` where a file of them cannot be read.
        """
        passwords: dict[str, str] = {}
        for path in (self.home / "airflow" / "passwords.json", self.airflow_accounts_file):
            if path is None or (path != self.airflow_accounts_file and not path.exists()):
                continue
            try:
                passwords.update(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise SettingsError(
                    f"{path}, which holds passwords as {{account: password}}, cannot be read"
                    f" ({type(error).__name__})."
                ) from None
        return passwords

    @property
    def endpoint_headers(self) -> dict[str, str]:
        """What this process says of itself when it asks the endpoint: its API key, if it has one.

        Raises `SettingsError`.
        """
        if self.api_key_file is None:
            return {}
        try:
            return {"X-API-Key": self.api_key_file.read_text(encoding="ascii").strip()}
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{PREFIX}API_KEY_FILE is {self.api_key_file}, which cannot be read: {error}."
            ) from error

    @property
    def airflow_page(self) -> str:
        """Where people find Airflow, without a slash at its end."""
        return (self.airflow_public_url or self.airflow_url).rstrip("/")

    @property
    def mlflow_page(self) -> str:
        """Where people find MLflow, without a slash at its end."""
        return (self.mlflow_public_url or self.mlflow_tracking_uri).rstrip("/")

    @property
    def serving_page(self) -> str:
        """Where people find the endpoint, without a slash at its end."""
        return (self.serving_public_url or self.serving_url).rstrip("/")

    @property
    def feature_repo(self) -> Path:
        """Folder with Feast's definitions and `feature_store.yaml`."""
        return PROJECT_ROOT / "feature_repo"

    @property
    def feature_store_dir(self) -> Path:
        """Folder of Feast's registry and online store."""
        return self.home / "feast"

    @property
    def serving_dir(self) -> Path:
        """Folder of the packaged models, the desired state and the inference log's spool."""
        return self.home / "serving"

    @property
    def reports_dir(self) -> Path:
        """Folder of validation results and monitoring reports."""
        return self.home / "reports"

    def report_address(self, path: object) -> str | None:
        """The address of a file among the reports in Airflow's own server; None of any other."""
        if not isinstance(path, str) or not Path(path).is_relative_to(self.reports_dir):
            return None
        inside = quote(Path(path).relative_to(self.reports_dir).as_posix())
        return f"{self.airflow_page}{REPORTS_PATH}/{inside}"

    @property
    def evidently_dir(self) -> Path:
        """Folder of the workspace that Evidently's own UI shows."""
        return self.home / "evidently"

    @property
    def keys_dir(self) -> Path:
        """Folder of the keys that sign model packages and check them."""
        return self.home / "keys"

    @property
    def pipelines_dir(self) -> Path:
        """Folder of the pipelines that were deployed, and of the record of their deployments."""
        return self.home / "pipelines"

    @property
    def airflow_accounts_path(self) -> Path:
        """File with the passwords of Airflow's users, as far as Flightdeck signs in as them."""
        return self.airflow_accounts_file or self.home / "airflow" / "passwords.json"

    @property
    def ledger_path(self) -> Path:
        """File of the release ledger, unless `ledger_url` names another database; its signed head
        lies beside.
        """
        return self.home / "ledger" / "releases.db"

    @property
    def alarms_path(self) -> Path:
        """File of the alarms, unless `ledger_url` names another database."""
        return self.home / "alarms" / "alarms.db"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from the environment's defaults and `FLIGHTDECK_*` variables.

    Raises `SettingsError` naming the variable, what it holds and what is valid.
    """
    variables = os.environ if environ is None else environ
    for problem in unknown_variables(variables, Settings.model_fields):
        raise SettingsError(problem)
    settings = _validated(variables)
    for problem in contradictions(settings, variables):
        raise SettingsError(problem)
    return settings


def defaults(environment: EnvironmentName) -> Settings:
    """The settings of an environment where nothing is set; production would not start with them."""
    return _validated({f"{PREFIX}ENV": environment})


def _validated(variables: Mapping[str, str]) -> Settings:
    name = variables.get(f"{PREFIX}ENV", "dev")
    if name not in get_args(EnvironmentName):
        valid = ", ".join(get_args(EnvironmentName))
        near = difflib.get_close_matches(name, get_args(EnvironmentName), n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"{PREFIX}ENV is {name!r}; valid: {valid}.{meant}")
    values: dict[str, Any] = {
        "environment": name,
        **ENVIRONMENTS[name].defaults(),  # type: ignore[index]
    }
    home = _home(variables.get(f"{PREFIX}HOME"))
    backend = partial(secret_of_airflow, airflow_home=str(home / "airflow"))
    for field, about in Settings.model_fields.items():
        variable = f"{PREFIX}{field.upper()}"
        value = resolve(variables, variable, secret=not about.repr, backend=backend)
        if field != "environment" and value is not None:
            values[field] = value
    _fill_derived(values)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "?"
        # What may hold a password is not shown even where it is no address to mask one in.
        is_shown = field not in Settings.model_fields or Settings.model_fields[field].repr
        shown = masked(str(values.get(field))) if is_shown else "***"
        raise SettingsError(f"{PREFIX}{field.upper()} is {shown!r}: {first['msg']}.") from error


def _fill_derived(values: dict[str, Any]) -> None:
    home = _home(values.get("home"))
    host = values.get("host", "127.0.0.1")
    values["home"] = home
    values.setdefault("tables_uri", str(home / "tables"))
    values.setdefault("airflow_url", f"http://{host}:{values.get('airflow_port', 8080)}")
    values.setdefault("mlflow_tracking_uri", f"http://{host}:{values.get('mlflow_port', 5000)}")
    values.setdefault("grpc_port", _next_port(values.get("serving_port", 3000)))
    values.setdefault("serving_url", f"http://{host}:{values.get('serving_port', 3000)}")


def _home(chosen: str | None) -> Path:
    return Path(chosen or PROJECT_ROOT / "var").expanduser().resolve()


def _next_port(port: Any) -> int:
    return int(port) + 1 if str(port).isdigit() and int(port) < 65535 else 0
