"""The batch API: which of these objects are stored, and where do the others go?

https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from trainyard.lfs.quota import Quota
from trainyard.model.errors import Conflict, InvalidInput, TooLarge
from trainyard.model.text import Text
from trainyard.store.layout import content_key
from trainyard.store.objects import PRESIGNED_SECONDS, Objects
from trainyard.store.storage import storage_report

MAX_OBJECTS = 1000
"""git-lfs asks for 100 at a time by itself."""
MAX_OBJECT_BYTES = 5 << 30
"""S3 takes no more in one PUT."""
# botocore keeps ten connections per client; more threads would only wait for one.
_PARALLEL_LOOKUPS = 10
_OID = re.compile(r"[0-9a-f]{64}")


class WantedObject(BaseModel):
    oid: Annotated[str, StringConstraints(max_length=200)]
    size: Annotated[int, Field(ge=0, le=1 << 53)]


class BatchRequest(BaseModel):
    operation: Literal["upload", "download"]
    transfers: Annotated[list[str], Field(max_length=20)] = ["basic"]
    objects: list[WantedObject]
    hash_algo: str = "sha256"


def batch_response(request: BatchRequest, repository: str, objects: Objects, quota: Quota) -> dict[str, Any]:
    """The batch API's answer, one entry per object in the order asked.

    Raises InvalidInput or Conflict for what this server does not speak, TooLarge for too many objects,
    QuotaExceeded if the new objects do not fit.
    """
    _require_supported(request)
    wanted = list({item.oid: item for item in request.objects}.values())
    sizes = _stored_sizes(wanted, repository, objects)
    if request.operation == "upload":
        sizes |= dict.fromkeys(_about_to_go(sizes, repository, objects))
        missing = [item for item in wanted if _refusal(item) is None and sizes[item.oid] is None]
        quota.require_room(repository, sum(item.size for item in missing))
        describe: Callable[..., dict[str, Any]] = _upload
    else:
        describe = _download
    entries = [_refusal(item) or describe(item, repository, objects, sizes[item.oid]) for item in wanted]
    return {"transfer": "basic", "objects": entries, "hash_algo": "sha256"}


def _require_supported(request: BatchRequest) -> None:
    if "basic" not in request.transfers:
        raise InvalidInput(
            Text(
                en="Only the transfer `basic` is supported; remove lfs.customtransfer settings.",
                zh="仅支持 basic 传输方式，请移除 lfs.customtransfer 配置。",
            )
        )
    if request.hash_algo != "sha256":
        raise Conflict(Text(en="Only the hash algorithm sha256 is supported.", zh="仅支持 sha256 哈希算法。"))
    if len(request.objects) > MAX_OBJECTS:
        raise TooLarge(
            Text(
                en=f"At most {MAX_OBJECTS} objects fit in one batch.",
                zh=f"每批最多 {MAX_OBJECTS} 个对象。",
            )
        )


def _stored_sizes(wanted: list[WantedObject], repository: str, objects: Objects) -> dict[str, int | None]:
    """Object id to bytes stored, None where nothing is; only for well-formed ids."""
    from concurrent.futures import ThreadPoolExecutor

    oids = [item.oid for item in wanted if _OID.fullmatch(item.oid)]
    with ThreadPoolExecutor(_PARALLEL_LOOKUPS) as pool:
        sizes = pool.map(lambda oid: objects.size(content_key(repository, oid)), oids)
        return dict(zip(oids, sizes, strict=True))


def _about_to_go(sizes: dict[str, int | None], repository: str, objects: Objects) -> list[str]:
    """Those that are stored, but that an inspection found unreferenced: a removal of them may be under way already.

    Whoever pushes one stores it again, which makes it a new version that no removal touches.
    """
    stored = [oid for oid, size in sizes.items() if size is not None]
    report = storage_report(objects, repository) if stored else None
    listed = [oid for oid in stored if report is not None and content_key(repository, oid) in report.shown()]
    times = {oid: objects.modified(content_key(repository, oid)) for oid in listed}
    return [
        oid
        for oid, modified in times.items()
        if report is not None and modified is not None and report.lists(content_key(repository, oid), modified)
    ]


def _refusal(item: WantedObject) -> dict[str, Any] | None:
    if not _OID.fullmatch(item.oid):
        return _error(
            item, 422, Text(en="An object id is 64 lower case hex digits.", zh="对象 ID 应为 64 位小写十六进制数。")
        )
    if item.size > MAX_OBJECT_BYTES:
        return _error(
            item,
            422,
            Text(
                en=f"A file may have at most 5 GiB, this one has {item.size / (1 << 30):.1f}. "
                "Split it, for example with `split -b 4G`.",
                zh=f"单个文件最大 5 GiB，该文件为 {item.size / (1 << 30):.1f} GiB，请先拆分，例如 split -b 4G。",
            ),
        )
    return None


def _upload(item: WantedObject, repository: str, objects: Objects, stored: int | None) -> dict[str, Any]:
    if stored == item.size:
        return {"oid": item.oid, "size": item.size}
    if stored is not None:
        return _other_size(item, stored)
    address, headers = objects.upload_address(content_key(repository, item.oid), item.size, item.oid)
    action = {"href": address, "header": headers, "expires_in": PRESIGNED_SECONDS}
    return _entry(item, {"upload": action})


def _download(item: WantedObject, repository: str, objects: Objects, stored: int | None) -> dict[str, Any]:
    if stored is None:
        return _error(
            item,
            404,
            Text(
                en="The repository does not hold this file; push it again with `git lfs push --all origin`.",
                zh="仓库中没有该文件，请在原仓库执行 git lfs push --all origin 重新上传。",
            ),
        )
    if stored != item.size:
        return _other_size(item, stored)
    address = objects.download_address(content_key(repository, item.oid))
    return _entry(item, {"download": {"href": address, "expires_in": PRESIGNED_SECONDS}})


def _entry(item: WantedObject, actions: dict[str, Any]) -> dict[str, Any]:
    # `authenticated`: the address is all that is needed; git-lfs must not send the user's token to S3.
    return {"oid": item.oid, "size": item.size, "authenticated": True, "actions": actions}


def _error(item: WantedObject, code: int, message: Text) -> dict[str, Any]:
    return {"oid": item.oid, "size": item.size, "error": {"code": code, "message": str(message)}}


def _other_size(item: WantedObject, stored: int) -> dict[str, Any]:
    return _error(
        item,
        422,
        Text(
            en=f"The pointer says {item.size} bytes, but this object has {stored}. Add the file again and commit.",
            zh=f"指针文件记录的大小为 {item.size} 字节，实际为 {stored} 字节，请重新 git add 并提交该文件。",
        ),
    )
