"""A secret by the third reference: the name by which Airflow's secrets backend has it.

`FLIGHTDECK_<FIELD>_SECRET=<name>` is to a setting what `AIRFLOW__<SECTION>__<OPTION>_SECRET` is to
an option of Airflow: the backend of `[secrets] backend` is asked for the configuration `<name>`.
Airflow is imported where a variable says so and nowhere else (docs/adr/0031).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from include.errors import SettingsError

PREFIX = "AIRFLOW__SECRETS__"
HOW = "AIRFLOW__SECRETS__BACKEND and AIRFLOW__SECRETS__BACKEND_KWARGS (docs/environments.md)"


def configured(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that say which secrets backend Airflow asks, and how."""
    return {name: value for name, value in variables.items() if name.startswith(PREFIX)}


def secret_of_airflow(variable: str, name: str, airflow_home: str) -> str:
    """What the backend of this process has under the name; asked once in a process.

    `airflow_home` is where Airflow looks for its configuration, unless `AIRFLOW_HOME` says
    otherwise. Raises `SettingsError` naming the variable, where there is no Airflow, no backend or
    no such secret, or where the backend fails; its text holds nothing that the backend said.
    """
    os.environ.setdefault("AIRFLOW_HOME", airflow_home)
    value = _ask(variable, name, tuple(sorted(configured(os.environ).items())))
    if not value or not value.strip():
        raise SettingsError(
            f"{variable} is {name!r}, and Airflow's secrets backend has no configuration of that"
            " name, or an empty one. Write it there, or hand the setting over as a file."
        )
    return value.strip()


@lru_cache(maxsize=64)
def _ask(variable: str, name: str, _configured: tuple[tuple[str, str], ...]) -> str | None:
    try:
        from airflow.configuration import conf
        from airflow.exceptions import AirflowConfigException
    except ModuleNotFoundError:
        raise SettingsError(
            f"{variable} is {name!r}, and there is no Airflow here, whose secrets backend would be"
            f" asked for it. Hand the setting over as {variable.removesuffix('_SECRET')}_FILE:"
            " images without Airflow read files and variables alone."
        ) from None
    try:
        if not conf.get("secrets", "backend", fallback=""):
            raise SettingsError(
                f"{variable} is {name!r}, and Airflow has no secrets backend that could be asked:"
                f" set {HOW}."
            )
        # As Airflow reads its own options of that form; it turns every failure into one exception.
        value: str | None = conf._get_config_value_from_secret_backend(name)
    except AirflowConfigException as error:
        cause = error.__context__ or error
        raise SettingsError(
            f"{variable} is {name!r}, and Airflow's secrets backend"
            f" {conf.get('secrets', 'backend')} fails ({type(cause).__name__}): see that it is"
            f" reached, and that {HOW} are right."
        ) from None
    return value
