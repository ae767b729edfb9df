"""`FLIGHTDECK_PRICES_FILE`: what the machines cost on which endpoints run.

A TOML file: prices that hold for every use case at its top, and what differs for one.

    currency = "EUR"
    processor_hour = 0.042     # one processor for an hour
    gigabyte_hour = 0.0056     # 10^9 bytes of memory for an hour
    fixed_hour = 0.03          # whatever is paid by the hour: an address, a load balancer

    [use_cases.flight_delays]
    fixed_hour = 0.0
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.errors import SettingsError

if TYPE_CHECKING:
    from include.settings import Settings

USE_CASES = "use_cases"
VARIABLE = "FLIGHTDECK_PRICES_FILE"


class Prices(BaseModel):
    """Prices an hour, in `currency`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(min_length=1)
    processor_hour: float = Field(ge=0.0, allow_inf_nan=False)
    gigabyte_hour: float = Field(ge=0.0, allow_inf_nan=False)
    fixed_hour: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)


def prices_of(settings: Settings, use_case: str) -> Prices | None:
    """The prices of a use case's endpoint; None without a file. Raises `SettingsError`."""
    path = settings.prices_file
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE} is {path}, which cannot be read: {error}.") from error
    own: Any = content.pop(USE_CASES, {})
    if not isinstance(own, dict) or not all(isinstance(each, dict) for each in own.values()):
        raise SettingsError(f"{path}: write what differs below [{USE_CASES}.<name>].")
    try:
        return Prices.model_validate({**content, **own.get(use_case, {})})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: {field}: {first['msg']}; valid are {list(Prices.model_fields)}, in numbers of"
            " the currency an hour."
        ) from None
