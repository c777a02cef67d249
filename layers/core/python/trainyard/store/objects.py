"""Objects in the bucket."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from mypy_boto3_s3 import S3Client

PRESIGNED_SECONDS = 900
_STREAM_BYTES = 1 << 20
# S3 refuses smaller parts but for the last.
_PART_BYTES = 8 << 20
# S3 takes 10,000; a file may grow a little while it is read.
_MOST_PARTS = 9000


@dataclass(frozen=True)
class StoredObject:
    key: str
    size: int
    """Bytes."""
    modified: datetime
    etag: str = ""
    """S3's entity tag, quotes included: another content has another one."""


@dataclass(frozen=True)
class Upload:
    """An upload in parts that is neither completed nor given up."""

    key: str
    id: str
    begun: datetime


@dataclass(frozen=True)
class Arrived:
    """What an upload in parts has brought so far."""

    size: int
    """Bytes."""
    last: datetime | None
    """When the last part came; None: none did."""


class ObjectMissingError(KeyError):
    """There is no object under that key. A bug, unless the caller expects that it may be absent."""


class Objects:
    """One bucket."""

    def __init__(self, bucket: str, client: S3Client | None = None) -> None:
        self.bucket = bucket
        self._given = client

    @property
    def _s3(self) -> S3Client:
        if self._given is None:
            from trainyard.clients import s3

            self._given = s3()
        return self._given

    def of_bucket(self, bucket: str) -> Objects:
        """The objects of another bucket, asked for by the same client."""
        return Objects(bucket, self._s3)

    def put(
        self, key: str, data: bytes, content_type: str = "application/octet-stream", *, if_absent: bool = False
    ) -> bool:
        """Write the whole object; True if written, False if `if_absent` and there was one already."""
        from botocore.exceptions import ClientError

        extra: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        try:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, **extra)
        except ClientError as error:
            if if_absent and error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise
        return True

    def get(self, key: str) -> bytes:
        """The whole object. ObjectMissingError if there is none."""
        return self._body(key).read()  # type: ignore[no-any-return]

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` up to, not including, `end`; fewer at the object's end, none if `start` lies behind it."""
        from botocore.exceptions import ClientError

        if end <= start:
            return b""
        try:
            return self._body(key, Range=f"bytes={start}-{end - 1}").read()  # type: ignore[no-any-return]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidRange", "416"):
                return b""
            raise

    def stream(self, key: str) -> Iterator[bytes]:
        """The object in pieces of 1 MiB. ObjectMissingError if there is none."""
        yield from self._body(key).iter_chunks(_STREAM_BYTES)

    def size(self, key: str) -> int | None:
        """Bytes, or None if there is no such object."""
        from botocore.exceptions import ClientError

        try:
            return self._s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise

    def modified(self, key: str) -> datetime | None:
        """When the object was written, or None if there is none."""
        return next((entry.modified for entry in self.find(key, limit=1) if entry.key == key), None)

    def find(self, prefix: str, start_after: str | None = None, limit: int | None = None) -> Iterator[StoredObject]:
        """Objects under `prefix` in the order of their keys, only those behind `start_after`, at most `limit`."""
        left = limit
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        if start_after:
            arguments["StartAfter"] = start_after
        while left is None or left > 0:
            arguments["MaxKeys"] = min(left or 1000, 1000)
            page = self._s3.list_objects_v2(**arguments)
            for entry in page.get("Contents", []):
                yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"], entry["ETag"])
                left = left - 1 if left is not None else None
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def folders(self, prefix: str) -> list[str]:
        """The names of the first thousand folders right under `prefix`, which ends with a slash. One list call."""
        page = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        return [each["Prefix"].removeprefix(prefix).rstrip("/") for each in page.get("CommonPrefixes", [])]

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the bucket, without fetching it. ObjectMissingError if there is none."""
        from botocore.exceptions import ClientError

        try:
            self._s3.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": key})
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise ObjectMissingError(key) from None
            raise

    def put_file(self, key: str, path: Path, content_type: str = "application/octet-stream") -> None:
        """Upload a file, in parts where it is large."""
        self._s3.upload_file(str(path), self.bucket, key, ExtraArgs={"ContentType": content_type})

    def get_file(self, key: str, path: Path) -> None:
        """Download to a file, in ranged parts where it is large."""
        self._s3.download_file(self.bucket, key, str(path))

    def writer(self, key: str, content_type: str = "application/octet-stream", size: int = 0) -> ObjectWriter:
        """A context manager to write an object of any length in constant memory; nothing appears if it raises."""
        return ObjectWriter(self._s3, self.bucket, key, content_type, max(_PART_BYTES, size // _MOST_PARTS + 1))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove these objects; silent about those that are not there."""
        for start in range(0, len(keys), 1000):
            self._delete(keys[start : start + 1000])

    def delete_one(self, key: str) -> None:
        """Remove one object, by the call that every store of S3's kind knows; silent where it is not there."""
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def abort_uploads(self, prefix: str) -> None:
        """Give up the uploads in parts under `prefix` that nobody finished: they are paid for, and shown nowhere."""
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        for upload in (upload for page in pages for upload in page.get("Uploads", [])):
            self._s3.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def delete_prefix(self, prefix: str) -> int:
        """Remove everything under `prefix` and say how many objects that were."""
        if not prefix.endswith("/"):
            raise ValueError("a prefix to delete must end with a slash")
        removed = 0
        batch: list[str] = []
        for entry in self.find(prefix):
            batch.append(entry.key)
            if len(batch) == 1000:
                removed += self._delete(batch)
                batch = []
        return removed + (self._delete(batch) if batch else 0)

    def delete_version(self, known: StoredObject) -> bool:
        """Delete for good the very object that was looked at; False where another lies under its key by now.

        Whoever stores the object again meanwhile keeps theirs: only that version goes.
        """
        from botocore.exceptions import ClientError

        target: Any = {"Bucket": self.bucket, "Key": known.key}
        try:
            head = self._s3.head_object(**target)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return True
            raise
        if head["LastModified"] > known.modified:
            return False
        if "VersionId" in head:
            target["VersionId"] = head["VersionId"]
        self._s3.delete_object(**target)
        return True

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Unfinished uploads in parts of objects under `prefix`, in the order of their keys."""
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            for entry in page.get("Uploads", []):
                yield Upload(entry["Key"], entry["UploadId"], entry["Initiated"])

    def arrived(self, key: str, upload: str) -> Arrived | None:
        """None where the upload has been completed or given up."""
        from botocore.exceptions import ClientError

        size, last = 0, None
        try:
            pages = self._s3.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload)
            for part in (part for page in pages for part in page.get("Parts", [])):
                size += part["Size"]
                last = max(last or part["LastModified"], part["LastModified"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchUpload":
                return None
            raise
        return Arrived(size, last)

    def give_up(self, key: str, upload: str) -> None:
        """Abort an upload in parts, so that nothing of it is kept; silent where it has ended."""
        from botocore.exceptions import ClientError

        try:
            self._s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise

    def download_address(self, key: str, file_name: str | None = None, seconds: int = PRESIGNED_SECONDS) -> str:
        """A presigned address to download one object; with `file_name` a browser saves it under that name."""
        from urllib.parse import quote

        parameters: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        if file_name:
            parameters["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        return self._s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)

    def address(self) -> str:
        """Where the bucket lies: an object's key, percent-encoded, follows."""
        any_key = "any"
        return self.download_address(any_key).partition("?")[0].removesuffix(any_key)

    def sign_get(self, request: AWSRequest) -> None:
        """Sign a request for an object, with its headers: a sixth of the work of `download_address`."""
        # There is no public way to sign what the client has not made itself; its credentials renew themselves here.
        self._s3._request_signer.sign("GetObject", request)  # type: ignore[attr-defined]  # noqa: SLF001

    def upload_address(
        self, key: str, size: int, sha256: str, seconds: int = PRESIGNED_SECONDS
    ) -> tuple[str, dict[str, str]]:
        """A presigned address to upload exactly these bytes, and the headers that must go with it.

        S3 itself refuses a body of another length or SHA-256.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        content_type = "application/octet-stream"
        address = self._s3.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ContentLength": size,
                "ContentType": content_type,
                "ChecksumSHA256": checksum,
            },
            ExpiresIn=seconds,
        )
        return address, {"Content-Type": content_type, "x-amz-checksum-sha256": checksum}

    def _delete(self, keys: Sequence[str]) -> int:
        answer = self._s3.delete_objects(
            Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        if answer.get("Errors"):
            raise RuntimeError(f"{len(answer['Errors'])} objects could not be deleted: {answer['Errors'][0]}")
        return len(keys)

    def _body(self, key: str, **arguments: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._s3.get_object(Bucket=self.bucket, Key=key, **arguments)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise ObjectMissingError(key) from None
            raise


class ObjectWriter(AbstractContextManager["ObjectWriter"]):
    """Multipart upload behind `write`. Small objects go up in one call."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, content_type: str, part_bytes: int = _PART_BYTES
    ) -> None:
        self._part_bytes = part_bytes
        self._s3, self._bucket, self._key, self._content_type = client, bucket, key, content_type
        self._buffer = bytearray()
        self._upload: str | None = None
        self._parts: list[Any] = []

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= self._part_bytes:
            self._send_part(bytes(self._buffer[: self._part_bytes]))
            del self._buffer[: self._part_bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        target: Any = {"Bucket": self._bucket, "Key": self._key}
        if kind is not None:
            if self._upload:
                self._s3.abort_multipart_upload(**target, UploadId=self._upload)
            return
        if self._upload is None:
            self._s3.put_object(**target, Body=bytes(self._buffer), ContentType=self._content_type)
            return
        if self._buffer:
            self._send_part(bytes(self._buffer))
        self._s3.complete_multipart_upload(**target, UploadId=self._upload, MultipartUpload={"Parts": self._parts})

    def _send_part(self, data: bytes) -> None:
        target: Any = {"Bucket": self._bucket, "Key": self._key}
        if self._upload is None:
            self._upload = self._s3.create_multipart_upload(**target, ContentType=self._content_type)["UploadId"]
        number = len(self._parts) + 1
        part = self._s3.upload_part(**target, UploadId=self._upload, PartNumber=number, Body=data)
        self._parts.append({"ETag": part["ETag"], "PartNumber": number})
