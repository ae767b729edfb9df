"""Where notices go: the file that `FLIGHTDECK_ALARM_SINKS` names, and the sending through apprise.

The file names each sink and where its address lies: in a variable of the environment or in a file
of its own. An address may hold a password or a token, so that it is read when something is sent,
and stands in no error, no log and no row.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from include.alarms.records import Key, Notice, clock
from include.errors import AlarmError, SettingsError
from include.settings import PREFIX, Settings
from include.spec import SEVERITIES, AlarmKind, Severity

VARIABLE = f"{PREFIX}ALARM_SINKS"
OWNER = "{owner}"
"""Stands in an address for the e-mail address of the use case's owner."""
# What `flightdeck up` does not hand on to the processes that it starts.
NOT_HANDED_ON = (PREFIX, "AIRFLOW_", "MLFLOW_")
SEND_SECONDS = 20
SHORTEST_SECRET = 4
ERROR_CHARACTERS = 300
UNKNOWN = (
    "apprise knows no such address; for example mailtos://user:password@host?to={owner},"
    " slack://token/#channel, jsons://host/path (docs/alarms.md)"
)


class Sink(BaseModel):
    """One receiver: where its address lies, and which notices it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address_environment: str | None = None
    address_file: Path | None = None
    severity: Severity = "info"
    use_cases: tuple[str, ...] = ()
    kinds: tuple[AlarmKind, ...] = ()

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if (self.address_environment is None) == (self.address_file is None):
            raise ValueError("name one of address_environment and address_file")
        if (self.address_environment or "").startswith(NOT_HANDED_ON):
            raise ValueError(
                f"address_environment must not begin with {', '.join(NOT_HANDED_ON)}: the platform"
                " hands such variables on to none of its processes"
            )
        return self

    def takes(self, notice: Notice) -> bool:
        """Whether the notice is for this sink."""
        return (
            (notice.sinks is None or self.name in notice.sinks)
            and (not self.use_cases or notice.key.use_case in self.use_cases)
            and (not self.kinds or notice.key.kind in self.kinds)
            and SEVERITIES.index(notice.severity) >= SEVERITIES.index(self.severity)
        )

    def address(self, environ: Mapping[str, str] | None = None) -> str:
        """The address, a secret. Raises `AlarmError` that names where it was looked for."""
        if self.address_environment is not None:
            values = os.environ if environ is None else environ
            address = values.get(self.address_environment, "").strip()
            place = f"the variable {self.address_environment}"
        else:
            place = f"the file {self.address_file}"
            try:
                address = Path(str(self.address_file)).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise AlarmError(f"{place} cannot be read: {type(error).__name__}") from error
        if not address:
            raise AlarmError(f"{place} is empty")
        return address


def read_sinks(settings: Settings) -> tuple[Sink, ...]:
    """The sinks of this environment; none without a file. Raises `SettingsError`."""
    path = settings.alarm_sinks
    if path is None:
        return ()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE} is {path}, which cannot be read: {error}.") from error
    return tuple(_sink(path, name, fields) for name, fields in content.items())


def _sink(path: Path, name: str, fields: Any) -> Sink:
    if not isinstance(fields, dict):
        raise SettingsError(f"{path}: {name!r} is no table; begin each sink with [name].")
    if "address" in fields:
        raise SettingsError(
            f"{path}: [{name}] holds an address, which may hold a secret; put it into a variable or"
            " a file, and name that: address_environment or address_file."
        )
    try:
        sink = Sink(name=name, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: [{name}] {field}: {first['msg']}; valid are"
            f" {sorted(set(Sink.model_fields) - {'name'})}."
        ) from None
    if sink.address_file is None:
        return sink
    return sink.model_copy(update={"address_file": path.parent / sink.address_file})


def send(sink: Sink, notice: Notice) -> str | None:
    """Send one notice; `None` when the receiver took it, otherwise why not, without secrets."""
    try:
        address = sink.address()
    except AlarmError as error:
        return str(error)
    filled = address.replace(OWNER, quote(notice.owner, safe="@"))
    return _send(filled, notice)


def send_test(settings: Settings, name: str, owner: str) -> str | None:
    """Send a notice about nothing to the sink of that name; `None` when it was taken, otherwise why
    not. Raises `SettingsError` for a name that is not in the file.
    """
    sinks = {sink.name: sink for sink in read_sinks(settings)}
    if name not in sinks:
        raise SettingsError(
            f"there is no sink {name!r}; {VARIABLE} names {settings.alarm_sinks or 'no file'}, with"
            f" {sorted(sinks)}."
        )
    notice = Notice(
        number=0,
        alarm=0,
        key=Key(use_case="flightdeck", kind="failed_run"),
        severity="info",
        owner=owner,
        sinks=None,
        at=clock(),
        title="[test] Flightdeck reaches you",
        body="This notice is about nothing: somebody tests where alarms are sent.",
        is_open=True,
    )
    return send(sinks[name], notice)


def _send(address: str, notice: Notice) -> str | None:
    import apprise

    # Its warnings are read from its result, without what may be secret; what it and the library
    # below it say beside them, addresses and what is sent, is for no log.
    logging.getLogger("apprise").propagate = False
    for name, level in (("apprise", logging.WARNING), ("urllib3.connectionpool", logging.INFO)):
        logging.getLogger(name).setLevel(level)
    asset = apprise.AppriseAsset(
        app_id="Flightdeck",
        app_desc="Flightdeck alarms",
        storage_mode="memory",
        secure_logging=True,
        async_mode=False,
    )
    receiver = apprise.Apprise(asset=asset)
    if not receiver.add(address):
        return UNKNOWN
    result = receiver.notify(
        body=notice.body,
        title=notice.title,
        notify_type=_type(notice),
        body_format=apprise.NotifyFormat.TEXT,
        timeout=SEND_SECONDS,
    )
    if result:
        return None
    texts = [entry.message for entry in result.logs()] or ["the receiver did not take it"]
    return redacted(" ".join(texts), address)[:ERROR_CHARACTERS]


def redacted(text: str, address: str) -> str:
    """The text without any part of the address but its scheme and the name of its host.

    A chat's address may have a token where another has a host; a host's name has a dot.
    """
    scheme, _, rest = address.partition("://")
    host = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0]
    public = {scheme, host} if "." in host else {scheme}
    parts = {address, *re.split(r"[/:@?&=]+", rest)}
    secrets = {item for part in parts for item in (part, unquote(part))}
    for secret in sorted(secrets - public, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _type(notice: Notice) -> Any:
    import apprise

    if not notice.is_open:
        return apprise.NotifyType.SUCCESS
    types = {
        "info": apprise.NotifyType.INFO,
        "warning": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }
    return types[notice.severity]
