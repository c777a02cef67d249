"""S3 -> OBS: a run's code and inputs, each file whole and as it was pinned, or not at all."""

from __future__ import annotations

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainyard.compute.modelarts.place import BOOT_FILE, PLAN_FILE, Place
from trainyard.model.request import InputFile, RunRequest
from trainyard.model.text import Text
from trainyard.runner import code
from trainyard.runner.ascend import boot
from trainyard.runner.errors import SetupError
from trainyard.runner.script import boot_file, processes
from trainyard.runner.stop import Stop
from trainyard.store.download import Downloads, ObjectChangedError
from trainyard.store.objects import ObjectMissingError, Objects

_PARALLEL = 8
# ModelArts' own limit of a code directory.
MAX_CODE_BYTES = 50 << 20


def carry_out(objects: Objects, obs: Objects, request: RunRequest, cache: Path, stop: Stop) -> int:
    """Bring everything to the run's place in OBS; returns the files of the inputs that were not there yet.

    What an interrupted carrier brought is kept: a file appears in OBS only once it is whole and has been compared.

    Raises:
        SetupError: the run has something that ModelArts cannot take, or an input is not what was pinned.
        StopRequestedError: a stop was asked for.
    """
    place = Place(obs.bucket, request.run_id)
    _carry_code(objects, obs, request, place, cache, stop)
    there = {entry.key: entry.size for entry in obs.find(f"{place.prefix}inputs/")}
    wanted = [(file, place.input(pinned.argument) + file.path) for pinned in request.inputs for file in pinned.files]
    missing = [(file, key) for file, key in wanted if there.get(key) != file.size]
    sources = {
        bucket: Downloads(_source(objects, bucket), _PARALLEL) for bucket in {file.bucket for file, _ in missing}
    }
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="carry") as pool:
        # The list raises the first error.
        list(pool.map(lambda each: _carry(sources[each[0].bucket], obs, each[0], each[1], stop), missing))
    return len(missing)


def plan(request: RunRequest) -> dict[str, Any]:
    """What the boot file is told."""
    return {
        "code_dir": request.spec.code_dir,
        "boot_file": request.spec.boot_file,
        "timeout": request.spec.timeout.total_seconds(),
        "processes": _processes(request),
        "nodes": request.spec.nodes,
        "files": {pinned.argument: pinned.files[0].path for pinned in request.inputs if pinned.is_file},
    }


def _processes(request: RunRequest) -> int:
    """On each machine. Who wants msrun or torchrun wants one for each card."""
    if "MA_RUN_METHOD" in request.spec.env:
        request = request.model_copy(update={"spec": request.spec.model_copy(update={"processes": "auto"})})
    return processes(request)


def _carry_code(objects: Objects, obs: Objects, request: RunRequest, place: Place, cache: Path, stop: Stop) -> None:
    with tempfile.TemporaryDirectory(dir=cache, prefix="code-") as name:
        folder = Path(name, "code")
        folder.mkdir()
        code.stage_code(objects, request.code_key, folder, stop)
        boot_file(request, folder)
        (folder / BOOT_FILE).write_bytes(Path(boot.__file__).read_bytes())
        (folder / PLAN_FILE).write_text(json.dumps(plan(request)))
        files = [path for path in folder.rglob("*") if path.is_file()]
        if sum(path.stat().st_size for path in files) > MAX_CODE_BYTES:
            raise SetupError(
                Text(
                    en=f"The repository holds more than {MAX_CODE_BYTES >> 20} MB, which ModelArts does not take as "
                    "code; move large files into a data set repository.",
                    zh=f"仓库超过 {MAX_CODE_BYTES >> 20} MB，ModelArts 不接受；请将大文件移到数据集仓库。",
                )
            )
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="code") as pool:
            list(pool.map(lambda path: obs.put_file(place.code + path.relative_to(folder).as_posix(), path), files))


def _carry(source: Downloads, obs: Objects, file: InputFile, key: str, stop: Stop) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with obs.writer(key, size=file.size) as target:
            for piece in source.stream(file.key, etag=file.etag):
                stop.check()
                digest.update(piece)
                size += len(piece)
                target.write(piece)
            _require(file, digest.hexdigest(), size)
    except (ObjectMissingError, ObjectChangedError):
        raise SetupError(
            Text(
                en=f"The input file {file.path} is not what was pinned when the run was checked; upload it again.",
                zh=f"输入文件 {file.path} 与校验时的内容不一致，请重新上传。",
            )
        ) from None


def _require(file: InputFile, sha256: str, size: int) -> None:
    if size != file.size or file.sha256 not in (None, sha256):
        raise ObjectChangedError(file.key)


def _source(objects: Objects, bucket: str) -> Objects:
    return objects.of_bucket(bucket) if bucket else objects
