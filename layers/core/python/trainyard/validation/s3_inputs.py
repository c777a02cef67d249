"""Inputs that lie in S3 already: which objects they are, each with the entity tag that says which content is meant."""

from __future__ import annotations

import hashlib
from itertools import islice

from trainyard.model.request import InputFile, PinnedInput
from trainyard.model.settings import settings
from trainyard.model.spec import S3_ADDRESS, Input, relative_path
from trainyard.model.text import Text
from trainyard.store.objects import Objects, StoredObject
from trainyard.validation.input_fault import MAX_FILES, SMALLER, InputFault

# What S3 says where the operator's permission, or the bucket, is not there. Anything else may pass.
_REFUSALS = {"AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidBucketName", "403", "404"}


def pin_s3(objects: Objects, argument: str, source: Input) -> PinnedInput:
    """The objects under the address as they are now. InputFault if it may not be used or nothing is there."""
    address = S3_ADDRESS.fullmatch(source.s3 or "")
    assert address is not None
    bucket = address["bucket"]
    where = "/".join(part for part in ((address["prefix"] or "").strip("/"), source.path) if part)
    shown = f"s3://{bucket}/{where}"
    _require_allowed(bucket, where, shown)
    found, is_file = _found(objects.of_bucket(bucket), where, shown)
    revision = _digest(found)
    if source.revision is not None and source.revision != revision:
        raise InputFault(
            "input-missing",
            "revision",
            Text(
                en=f"The objects at {shown} are not those of revision {source.revision[:64]} any more.",
                zh=f"{shown} 下的对象已不是版本 {source.revision[:64]} 的内容。",
            ),
            Text(
                en="Leave `revision` out to use them as they are now, or bring the former objects back.",
                zh="去掉 `revision` 可使用当前内容，或恢复原来的对象。",
            ),
        )
    start = where.rpartition("/")[0] if is_file else where
    files = [_file(entry, bucket, start, shown) for entry in found]
    return PinnedInput(argument=argument, source=shown, revision=revision, is_file=is_file, files=files)


def _require_allowed(bucket: str, where: str, shown: str) -> None:
    # arn:aws:s3:::BUCKET/PREFIX/*
    allowed = [arn.rpartition(":")[2].removesuffix("*") for arn in settings().input_objects]
    if any(f"{bucket}/{where}/".startswith(prefix) for prefix in allowed):
        return
    listed = ", ".join(f"s3://{prefix}" for prefix in allowed)
    raise InputFault(
        "input-missing",
        "s3",
        Text(en=f"Runs may not use {shown}.", zh=f"训练不能使用 {shown}。"),
        Text(
            en=f"Use one of {listed}, or ask the operator to allow it.",
            zh=f"请使用 {listed} 之一，或请管理员允许该地址。",
        )
        if allowed
        else Text(
            en="The operator has allowed no S3 objects here; put the files into a dataset or model repository.",
            zh="管理员未允许使用任何 S3 对象；请将文件放入数据集或模型仓库。",
        ),
    )


def _found(objects: Objects, where: str, shown: str) -> tuple[list[StoredObject], bool]:
    """The one object of that name, or else those in the folder of that name."""
    from botocore.exceptions import ClientError

    try:
        single = [entry for entry in objects.find(where, limit=1) if entry.key == where]
        folder = (entry for entry in objects.find(f"{where}/" if where else "") if not entry.key.endswith("/"))
        found = single or list(islice(folder, MAX_FILES + 1))
    except ClientError as error:
        if error.response["Error"]["Code"] not in _REFUSALS:
            raise
        raise InputFault(
            "input-missing",
            "s3",
            Text(en=f"S3 does not let us read {shown}.", zh=f"S3 不允许读取 {shown}。"),
            Text(
                en="Check that the bucket exists, or ask the operator, who gives the permission to read it.",
                zh="请检查该桶是否存在，或联系管理员授予读取权限。",
            ),
        ) from None
    if not found:
        raise InputFault(
            "input-missing",
            "path" if where else "s3",
            Text(en=f"There are no objects at {shown}.", zh=f"{shown} 下没有对象。"),
            Text(en="Check the spelling; S3 tells capital letters apart.", zh="请检查拼写；S3 区分大小写。"),
        )
    if len(found) > MAX_FILES:
        raise InputFault(
            "input-content",
            "s3",
            Text(
                en=f"There are more than {MAX_FILES} objects at {shown}.", zh=f"{shown} 下的对象超过 {MAX_FILES} 个。"
            ),
            SMALLER,
        )
    return found, bool(single)


def _file(entry: StoredObject, bucket: str, start: str, shown: str) -> InputFile:
    path = entry.key[len(start) + 1 :] if start else entry.key
    try:
        usable = relative_path(path) == path
    except ValueError:
        usable = False
    if not usable:
        raise InputFault(
            "input-content",
            "s3",
            Text(en=f"{shown}: {entry.key!r} is no name of a file.", zh=f"{shown}：{entry.key!r} 不能作为文件名。"),
            Text(
                en="Rename the object: no empty parts, no `..`, no backslash.",
                zh="请重命名该对象：不要有空的路径段、`..` 或反斜杠。",
            ),
        )
    return InputFile(path=path, size=entry.size, key=entry.key, bucket=bucket, etag=entry.etag)


def _digest(found: list[StoredObject]) -> str:
    lines = "".join(f"{entry.key}\0{entry.size}\0{entry.etag}\n" for entry in found)
    return hashlib.sha256(lines.encode()).hexdigest()
