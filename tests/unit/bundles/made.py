"""Small bundles, signed in a home of their own."""

from include.bundles.archive import packed, signed_bundle
from include.bundles.manifest import Manifest
from include.settings import load_settings

FILES = {
    "dags/tiny.py": b'"""An airflow dag."""\n',
    "include/__init__.py": b"",
    "requirements.txt": b"packaging>=1\n",
    "bin/run": b"#!/bin/sh\n",
}


def home_of(folder, environment="dev", **variables):
    """The settings of a home in the folder."""
    return load_settings(
        {"FLIGHTDECK_ENV": environment, "FLIGHTDECK_HOME": str(folder), **variables}
    )


def manifest_of(files, **more):
    """The list of contents of these files."""
    entries = {
        name: packed(content, executable=name == "bin/run") for name, content in files.items()
    }
    facts = {
        "flightdeck": "0.1.0",
        "commit": "c" * 40,
        "committed_at": "2026-11-30T09:00:00+00:00",
        "requires_python": ">=3.11",
        "lock": entries["requirements.txt"].sha256,
        "specifications": {"tiny": "d" * 64},
        "dags": {"tiny__features": {"ingest_source": {"operator": "StepOperator"}}},
    }
    return Manifest.model_validate({**facts, **more, "files": entries})


def tiny_bundle(settings, *, files=FILES, **more):
    """A bundle of the files, signed with the home's key."""
    return signed_bundle(settings, manifest_of(files, **more), files)


def altered(bundle, settings, name, old, new):
    """The bundle with another text in one of its files."""
    text = bundle.files[name].decode()
    assert old in text
    files = {**bundle.files, name: text.replace(old, new).encode()}
    entries = {**bundle.manifest.files, name: packed(files[name])}
    return signed_bundle(settings, bundle.manifest.model_copy(update={"files": entries}), files)
