"""`flightdeck faults kubernetes`: what a real API server says to the overlays, the chart's objects
and the pods of steps, line by line, also in `var/faults/kubernetes.json`.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from include.settings import PROJECT_ROOT
from include.training.provenance import code_commit
from proofs.cluster import objects
from proofs.cluster.api_server import ApiServer, connect
from proofs.cluster.lines import object_lines, pod_line, rights, taken, wrong
from proofs.cluster.objects import ENVIRONMENTS
from proofs.cluster.steps import pods_of_steps
from proofs.faults.line import Line, run_drills

TABLE = PROJECT_ROOT / "var" / "faults" / "kubernetes.json"
PREFIX = "flightdeck-proof"


def faults_kubernetes(
    *,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of the cluster; kubectl's own without it.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the kubeconfig; the current one without.")
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The official chart's archive; from its repository without it."
        ),
    ] = None,
    helm: Annotated[str, typer.Option(metavar="PROGRAM", help="Helm 3.19 or newer.")] = "helm",
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the table is written as JSON; var/faults/kubernetes.json without it.",
        ),
    ] = None,
) -> int:
    """Ask the API server of a cluster whether it takes everything, and what accounts may.

    Makes one namespace, which refuses pods beyond the profile `restricted`, puts service accounts
    and their roles into it, asks about all else without making it, and takes the namespace away.
    Nothing runs, no image is needed. It needs the right to make namespaces and roles and to act as
    a service account, and Helm.
    """
    server = connect(kubeconfig, context, f"{PREFIX}-{secrets.token_hex(3)}")
    return run_drills(
        "kubernetes",
        lambda folder: _drills(server, folder, helm, chart),
        table or TABLE,
        keep=False,
    )


def _kubectl() -> str:
    """kubectl of the checkout's packages, else that of the path."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl") or "kubectl"


def _drills(server: ApiServer, folder: Path, helm: str, chart: Path | None) -> list[Line]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    say(f"commit {code_commit()}, Kubernetes {server.version()}, namespace {server.namespace}")
    overlays, charts = {}, {}
    for environment in ENVIRONMENTS:
        overlays[environment] = objects.of_overlay(
            _kubectl(), folder, environment, server.namespace
        )
        charts[environment] = objects.of_chart(helm, chart, environment, server.namespace)
    server.create_namespace()
    try:
        lines: list[Line] = []
        for environment in ENVIRONMENTS:
            say(environment)
            lines += object_lines(server, environment, overlays[environment], charts[environment])
        made = [*overlays["staging"], *charts["staging"]]
        # Pods are refused without their accounts.
        server.make(objects.inert(made))
        for environment in ENVIRONMENTS:
            both = [*overlays[environment], *charts[environment]]
            lines.append(pod_line(server, environment, both))
        say("the pods of every step")
        for use_case, pods in pods_of_steps(folder, server.namespace).items():
            lines.append(taken(f"{use_case}: the pods of all steps", server.would_take(pods)))
        say("what each account may")
        lines += rights(server, made)
        say("what is wrong is refused")
        lines += wrong(server, overlays["staging"])
        return lines
    finally:
        server.remove_namespace()
