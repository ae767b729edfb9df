"""A production as it is started."""

from __future__ import annotations

from pathlib import Path

from include.settings import PREFIX


def production(home: Path, **changes: str | None) -> dict[str, str]:
    """What a production on this machine is started with; None takes a variable away."""
    (home / "keys").mkdir(exist_ok=True)
    (home / "keys" / "signing.pub.pem").write_text("a key")
    values = {
        "ENV": "production",
        "HOME": str(home),
        "USERS": "ann:admin,omar:op,rita:user",
        "API_KEYS_FILE": "/run/secrets/api_keys",
        "API_KEY_FILE": "/run/secrets/api_key",
        "ALARM_SINKS": "/etc/flightdeck/alarms.toml",
        **changes,
    }
    return {f"{PREFIX}{name}": value for name, value in values.items() if value is not None}
