"""Settings whose steps run in pods, and the file of these."""

from __future__ import annotations

import sys
from pathlib import Path

from include.settings import PREFIX

DIGEST = f"registry.example.com/flightdeck/step@sha256:{'0' * 64}"
LEDGER = "postgresql://ledger:planted-password@db/ledger"  # a password that nobody may see


def pods_file(folder: Path, more: str = "", base: str = "") -> Path:
    """A file of pods, whose top says `base` too and that goes on with `more`."""
    path = folder / "pods.toml"
    path.write_text(
        f"""
image = "{DIGEST}"
namespace = "flightdeck"
connection = "test_cluster"
secret = "flightdeck-secrets"
python = "{sys.executable}"
mounts = [{{ path = "{folder}", claim = "flightdeck-home" }}]
{base}
{more}
"""
    )
    return path


def pod_variables(folder: Path, path: Path, **more: object) -> dict[str, str]:
    """The variables of a worker below `folder` whose steps run in the pods of the file."""
    values = {
        "ENV": "test",
        "HOME": folder,
        "SAMPLE_SHARE": 0.1,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "TARGET": "pods",
        "PODS_FILE": path,
        "LEDGER_URL": LEDGER,
        "ONLINE_STORE": "redis://store",
        "SERVING_URL": "http://serving:3000",
        **more,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}
