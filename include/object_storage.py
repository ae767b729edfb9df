"""Objects of an S3 by name: small documents that several hosts read and write, and files.

A conditional put is the one thing that orders writers of different hosts: `create` and `replace`
say whether it was this writer's content that came into place. What the storage refuses becomes a
`StorageError` that says what to do.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from include.errors import StorageError
from include.settings.object_storage import BY_FILE, KEY_ID, SECRET, Access, access, location

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 4
AT_ONCE = 1000
"""The most objects that one request deletes."""
TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})

KEYS = re.compile(
    r"SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|ExpiredToken|InvalidToken|Forbidden"
    r"|\b40[13]\b|necessary privileges|Unable to locate credentials"
)
CODE = re.compile(r"<Code>(\w+)</Code>|\((\w+)\) when calling")
CAUSES = (
    "Connection refused",
    "Could not connect",
    "timed out",
    "timeout",
    "dns error",
    "certificate",
    "error sending request",
)


@dataclass(frozen=True)
class Stored:
    """An object's content, the tag that changes with it, and when it was written, by the storage's
    clock.
    """

    content: bytes
    tag: str
    written: datetime


class ObjectStore:
    """The objects below an address such as s3://bucket/prefix; names are relative to it.

    Every method raises `StorageError` where the storage is away or refuses.
    """

    def __init__(self, uri: str) -> None:
        self.place = location(uri)
        self._client = _client(access(), os.getpid())

    def read(self, name: str) -> Stored | None:
        """What the object holds; None where there is none."""
        with self._asking():
            answer = self._client.get_object(Bucket=self.place.bucket, Key=self.place.key(name))
            return Stored(answer["Body"].read(), answer["ETag"], answer["LastModified"])
        return None

    def write(self, name: str, content: bytes) -> None:
        """Let the object hold this, whatever it held."""
        self._put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Make the object; False where another one stands there, which then stays."""
        return self._put(name, content, IfNoneMatch="*")

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Replace what was read with this tag; False where it has changed since."""
        return self._put(name, content, IfMatch=tag)

    def tags(self, below: str = "") -> dict[str, str]:
        """The names of all objects that begin so, with their tags."""
        start, tags = self.place.key(""), dict[str, str]()
        with self._asking():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.place.bucket, Prefix=self.place.key(below)
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    tags[item["Key"].removeprefix(start)] = item["ETag"]
        return tags

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are none to delete."""
        keys = [{"Key": self.place.key(name)} for name in names]
        with self._asking():
            for first in range(0, len(keys), AT_ONCE):
                self._client.delete_objects(
                    Bucket=self.place.bucket,
                    Delete={"Objects": keys[first : first + AT_ONCE], "Quiet": True},
                )

    def require_conditions(self) -> None:
        """Raise `StorageError` unless the storage can be reached and written to, and refuses a put
        whose condition does not hold: by it alone writers of several hosts are ordered.
        """
        name = f".flightdeck-check-{secrets.token_hex(8)}"
        try:
            created, again = self.create(name, b"1"), self.create(name, b"2")
            replaced = self.replace(name, b"3", '"00000000000000000000000000000000"')
        finally:
            self.delete([name])
        if not created or again or replaced:
            raise StorageError(
                f"{self.place} does not honour conditional puts (If-None-Match, If-Match), without"
                " which two writers overwrite each other. Use a storage that does, see"
                " docs/stores.md."
            )

    def _put(self, name: str, content: bytes, **conditions: str) -> bool:
        from botocore.exceptions import ClientError

        key = self.place.key(name)
        with self._asking():
            try:
                self._client.put_object(
                    Bucket=self.place.bucket, Key=key, Body=content, **conditions
                )
            except ClientError as error:
                if conditions and error.response["Error"]["Code"] in TAKEN:
                    # It may be our own, by a request whose answer was lost and that was repeated.
                    there = self.read(name)
                    return there is not None and there.content == content
                raise
        return True

    @contextmanager
    def _asking(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] not in ABSENT:
                raise StorageError(refusal(str(self.place), str(error))) from None
        except (BotoCoreError, HTTPClientError) as error:
            raise StorageError(refusal(str(self.place), str(error))) from None


@lru_cache(maxsize=4)
def _client(how: Access, _process: int) -> Any:
    # The process is part of the key: a forked child must not share its parent's connections.
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=how.endpoint,
        region_name=how.region,
        aws_access_key_id=how.key_id,
        aws_secret_access_key=how.secret,
        aws_session_token=how.token,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # Not every S3 knows the newer checksums, and not every endpoint names for buckets.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "auto" if how.endpoint is None else "path"},
        ),
    )


def refusal(uri: str, text: str) -> str:
    """What a library's words about a request to `uri` mean, and what to do; no part of a key is in
    the sentence.
    """
    matched = CODE.search(text)
    code = "" if matched is None else next(filter(None, matched.groups()))
    if "NoSuchBucket" in text:
        return (
            f"The bucket of {uri} does not exist. Make it, or correct the address: Flightdeck makes"
            " none."
        )
    if KEYS.search(text):
        return (
            f"{uri} refuses the key{f' ({code})' if code else ''}. {KEY_ID} and {SECRET} (or"
            f" {BY_FILE[1]}) have to be those of an account that may list, read, write and delete"
            " there."
        )
    cause = code or next((cause for cause in CAUSES if cause.lower() in text.lower()), "")
    return (
        f"{uri} cannot be reached{f' ({cause})' if cause else ''}. What was written before is"
        " there; run the step again when the storage answers. AWS_ENDPOINT_URL says where it is"
        " asked."
    )
