"""Zips: the same bytes for the same content, with bytecode that Python takes."""

import importlib.util
import io
import os
import struct
import subprocess
import sys
import zipfile

from infra.local.deploy.package import zip_folder


def folder(tmp_path, name="code"):
    code = tmp_path / name
    (code / "pkg" / "__pycache__").mkdir(parents=True)
    (code / "pkg" / "__init__.py").write_text("WORD = 'here'\n")
    (code / "pkg" / "__pycache__" / "stale.cpython-311.pyc").write_bytes(b"old")
    (code / "data.json").write_text("{}")
    return code


def test_times_and_places_do_not_change_a_zip(tmp_path):
    first, second = folder(tmp_path, "a"), folder(tmp_path, "b")
    os.utime(second / "data.json", (1, 1))
    assert zip_folder(first, cache=tmp_path) == zip_folder(second, cache=tmp_path)
    (second / "data.json").write_text("[]")
    assert zip_folder(first, cache=tmp_path) != zip_folder(second, cache=tmp_path)


def test_bytecode_is_fresh_unchecked_and_used(tmp_path):
    archive = zipfile.ZipFile(io.BytesIO(zip_folder(folder(tmp_path), inside="python/", cache=tmp_path)))
    compiled = importlib.util.cache_from_source("python/pkg/__init__.py")
    assert sorted(archive.namelist()) == ["python/data.json", "python/pkg/__init__.py", compiled]
    # PEP 552: flags 1 = by hash, not checked against the source.
    assert struct.unpack("<I", archive.read(compiled)[4:8]) == (1,)
    archive.extractall(tmp_path / "out")
    (tmp_path / "out" / "python" / "pkg" / "__init__.py").write_text("WORD = 'changed'\n")
    program = "import pkg; print(pkg.WORD)"
    environment = {"PYTHONPATH": str(tmp_path / "out" / "python")}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "here\n"
