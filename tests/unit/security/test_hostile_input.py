"""Archives that lead outside, bytes that unfold without end, names that would be headers."""

from __future__ import annotations

import ast
import gzip
import io
import itertools
import tarfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from unit.web.conftest import event

from trainyard.intake.submissions import SubmitRun
from trainyard.logs.chunks import unpack as unpack_log
from trainyard.runner import code
from trainyard.runner.errors import SetupError
from trainyard.store import State, layout
from trainyard.store.gzip_members import PIECE_BYTES
from trainyard.store.secrets import webhook_secret_name
from trainyard.web import hooks
from trainyard.web.hooks import handle_hook
from trainyard.web.pages.sign_in import inside

SPEC = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu"}


def archive(folder: Path, *members: tuple[str, bytes, str, int]) -> Path:
    """`members`: type of the entry, its content, its name (or `NAME -> TARGET`), the size that it claims."""
    made = folder / "code.tar.gz"
    with tarfile.open(made, "w:gz") as file:
        for kind, content, name, size in members:
            entry = tarfile.TarInfo(name.partition(" -> ")[0])
            entry.type, entry.linkname, entry.size = kind.encode(), name.partition(" -> ")[2], size or len(content)
            file.addfile(entry, io.BytesIO(content) if content else None)
    return made


@pytest.mark.parametrize(
    "member",
    [
        ("0", b"x", "../outside", 0), ("0", b"x", "a/../../outside", 0), ("0", b"x", "./../outside", 0),
        ("1", b"", "a -> ../outside", 0), ("2", b"", "a -> /etc/passwd", 0), ("2", b"", "a -> ../outside", 0),
        ("3", b"", "device", 0), ("4", b"", "device", 0), ("6", b"", "pipe", 0), ("5", b"", "../folder", 0),
    ],
)  # fmt: skip
def test_an_archive_that_leads_outside(tmp_path: Path, member: tuple[str, bytes, str, int]) -> None:
    inside = tmp_path / "in" / "code"
    with pytest.raises(SetupError):
        code.unpack(archive(tmp_path, member), inside)
    assert not any((tmp_path / "in").rglob("outside"))
    assert not (tmp_path / "outside").exists()


def test_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    code.unpack(archive(tmp_path, ("0", b"x", f"{tmp_path}/outside", 0)), inside)
    assert not (tmp_path / "outside").exists()


def test_an_archive_that_unfolds_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_BYTES", 1 << 20)
    bomb = archive(tmp_path, ("0", b"x", "small", 0), ("0", bytes(2 << 20), "bomb", 0))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(SetupError, match="more than"):
        code.unpack(bomb, tmp_path / "in")
    assert not (tmp_path / "in" / "bomb").exists()


def test_an_archive_of_countless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_MEMBERS", 10)
    with pytest.raises(SetupError, match="more than"):
        code.unpack(archive(tmp_path, *(("0", b"", f"f{n}", 0) for n in range(11))), tmp_path / "in")


@given(st.binary(max_size=300))
def test_any_bytes_are_no_archive(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "code.tar.gz").write_bytes(gzip.compress(data))
    try:
        code.unpack(folder / "code.tar.gz", folder / "in")
    except SetupError:
        return
    assert not any((folder / "in").rglob("*")) or data


def test_a_log_that_unfolds_without_end_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    assert len(bomb) < 100_000
    pieces = list(itertools.islice(unpack_log(bomb), 5))
    assert [len(piece) <= PIECE_BYTES for piece in pieces] == [True] * 5


def test_a_webhook_that_says_it_is_compressed_is_never_unfolded(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    from builders import a_repository

    monkeypatch.setattr(hooks, "state", lambda: state)
    state.table.create_repository(a_repository())
    state.secrets.put(webhook_secret_name("demo/lenet5"), "secret")
    bomb = gzip.compress(bytes(64 << 20), 9)
    call = event("POST", "/hooks/github/demo/lenet5", bomb, **{"content-encoding": "gzip", "x-github-event": "push"})
    assert handle_hook(call)["statusCode"] == 401


@pytest.mark.parametrize(
    "name", ['a"; filename="b.exe', "a\r\nSet-Cookie: x=1", "../../etc/passwd", "a;b", "数据.ckpt"]
)
def test_a_download_is_saved_under_its_name_and_nothing_else(state: State, name: str) -> None:
    address = state.objects.download_address(layout.output_prefix("run-1") + "a", name)
    (disposition,) = parse_qs(urlsplit(address).query)["response-content-disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''")
    assert not set(disposition.partition("''")[2]) & set('\r\n";,/ ')


@pytest.mark.parametrize("ref", ["main\r\nX: y", "main\n", "a b", "-upload-pack=x", "a..b", "\x00", "refs/heads/\x7f"])
def test_a_ref_is_no_line_of_its_own(ref: str) -> None:
    with pytest.raises(ValidationError):
        SubmitRun.model_validate({"name": "a", "spec": SPEC, "ref": ref})


@pytest.mark.parametrize("name", ["a\r\nb", "a/b", "../a", "", "a" * 51, "<script>", "a b"])
def test_a_runs_name_is_a_name(name: str) -> None:
    with pytest.raises(ValidationError):
        SubmitRun.model_validate({"name": name, "spec": SPEC})


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "\r\nX: y", "/a\r\nX: y"])
def test_signing_in_leads_to_no_header_and_no_other_site(to: str) -> None:
    led = inside(to)
    assert led.startswith("/")
    assert not led.startswith(("//", "/\\"))
    assert "\n" not in led


def test_no_function_opens_what_it_need_not() -> None:
    """Formats that run code, or whose readers are large and native, are for scripts alone."""
    never = {"PIL", "cv2", "dill", "h5py", "joblib", "marshal", "numpy", "onnx", "pickle", "plistlib", "safetensors",
             "shelve", "torch", "xml", "zipfile"}  # fmt: skip
    found = {
        (path.name, node.module if isinstance(node, ast.ImportFrom) else name.name)
        for folder in ("layers/core/python", "functions")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
        if ((node.module or "") if isinstance(node, ast.ImportFrom) else name.name).partition(".")[0] in never
    }
    assert found == set()
