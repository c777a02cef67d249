"""An image of the user's own under the real runner: fetched from a registry, unpacked, and all that the script sees."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from python_image import is_possible, python_layer
from registry_fake import FakeRegistry, layer, registry_fake
from unit.runner.rig import RUN_ID, Rig
from unit.runner.test_isolation import CONTAINER, LIMIT_SECONDS

from trainyard.model.image import ImageReference, PinnedImage
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.settings import settings
from trainyard.registries.oci import OciRegistry
from trainyard.runner import image as image_module
from trainyard.runner.errors import SetupError
from trainyard.runner.image import Images
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.validation.images.lookup import look_up

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not is_possible(), reason="needs root, and a Python in /usr"
)
STDLIB = Path(os.__file__).parent.relative_to("/")
NOTE = layer({"opt/data/note": b"from the image", "opt/bin/hello": b"#!/bin/sh\n", "etc/hostname": b"image\n"})


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeRegistry]:
    with registry_fake() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_ALLOW_LOOPBACK_HTTP", "true")
        patch.setattr(image_module, "_PAUSE_SECONDS", 0.0)
        settings.cache_clear()
        yield fake
    settings.cache_clear()


@pytest.fixture(autouse=True)
def calm(fake: FakeRegistry) -> Iterator[None]:
    yield
    fake.fails, fake.private = [], set()
    fake.received.clear()


def pin(fake: FakeRegistry, *layers: bytes, environment: Mapping[str, str] | None = None) -> PinnedImage:
    """Push them and pin the image as validation does."""
    fake.push("team/train", "v1", list(layers), environment=environment)
    reference = ImageReference.parse(f"{fake.host}/team/train:v1")
    return look_up(reference, OciRegistry(fake.host))


def attempt(
    rig: Rig,
    image: PinnedImage,
    script: str,
    flavor: str = "cpu",
    env: Mapping[str, str] | None = None,
    **environment: str,
) -> AttemptResult:
    """Run the script on the image where isolation is required. `environment`: the container's."""
    request = rig.request(
        script, output=True, framework="", image=image.reference, hyperparameters={"epochs": 3}, flavor=flavor,
        env=dict(env or {}),
    )  # fmt: skip
    pinned = request.model_copy(update={"image": image})
    rig.objects.put(layout.request_key(RUN_ID), pinned.model_dump_json().encode())
    allowed = {"TRAINYARD_ALLOW_LOOPBACK_HTTP": "true", "TRAINYARD_ISOLATION": "required"}
    rig.start(**{**allowed, **environment}).wait(LIMIT_SECONDS)
    return rig.result()


LOOK = """
import json, os, sys
def refused(act, *what):
    try:
        act(*what)
    except OSError:
        return True
    return False
output = sys.argv[sys.argv.index("--output_path") + 1]
with open(output + "/kept", "w") as file:
    file.write("kept")
print(json.dumps({
    "note": open("/opt/data/note").read(), "python": sys.executable, "arguments": sys.argv[1:3],
    "greeting": os.environ.get("GREETING"), "path": os.environ["PATH"], "user": os.getuid() >= 10001,
    "run": os.environ["TRAINYARD_RUN_ID"], "hosts": "localhost" in open("/etc/hosts").read(),
    "alone": refused(os.listdir, "/root") or os.listdir("/root"), "read_only": refused(open, "/opt/data/new", "w"),
    "proc": os.path.exists("/proc/self/status"), "null": os.path.exists("/dev/null"), "secret": "secret" in str(os.environ),
    "cache": [name for name in os.listdir(CACHE) if name != "work"], "mode": oct(os.stat("/opt/data/note").st_mode),
}))
"""


def test_the_script_sees_the_image_and_its_own_folders(rig: Rig, fake: FakeRegistry) -> None:
    image = pin(fake, python_layer(), NOTE, environment={"PATH": "/opt/bin:/usr/bin", "GREETING": "hello"})
    result = attempt(rig, image, LOOK.replace("CACHE", repr(str(rig.cache))))
    assert result.ending is Ending.SUCCEEDED, rig.log().decode()
    assert json.loads(rig.printed()) == {
        "note": "from the image", "python": "/usr/bin/python3", "arguments": ["--epochs", "3"], "greeting": "hello",
        "path": "/usr/bin:/opt/bin:/usr/bin", "user": True, "run": RUN_ID, "hosts": True, "alone": True,
        "read_only": True, "proc": True, "null": True, "secret": False, "cache": [], "mode": "0o100644",
    }  # fmt: skip
    assert rig.output("kept") == b"kept"
    assert None not in result.isolation.values()
    assert not result.environment_cached
    fetched = len(fake.received)
    rig.objects.delete_prefix("runs/")
    assert attempt(rig, image, "print('again')").environment_cached
    assert rig.printed() == "again\n"
    assert len(fake.received) == fetched
    assert oct((rig.cache / "images").stat().st_mode & 0o777) == "0o700"


def test_without_namespaces_nothing_is_started(rig: Rig, fake: FakeRegistry) -> None:
    image = pin(fake, python_layer(), NOTE)
    rig.prefix = CONTAINER
    for isolation in ("required", "best_effort"):
        result = attempt(rig, image, "print('ran')", TRAINYARD_ISOLATION=isolation)
        assert result.ending is Ending.SETUP_FAILED
        assert result.reason is not None
        assert "image of its own" in result.reason.en
        assert rig.printed() == ""
        rig.objects.delete_prefix("runs/")


HOSTILE = """
import json, os, sys
def told(path):
    try:
        return len(open(path).read(64)) if os.path.isfile(path) else len(os.listdir(path))
    except OSError:
        return 0
hidden = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/sys/firmware")
def refused(path, flags=os.O_WRONLY):
    try:
        os.close(os.open(path, flags))
    except OSError:
        return True
    return False
print(json.dumps({
    "hidden": [told(path) for path in hidden],
    "devices": sorted(set(os.listdir("/dev")) - {"fd", "stdin", "stdout", "stderr", "shm"}),
    "kernel": [path for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
               "/sys/kernel/uevent_helper", "/proc/self/oom_score_adj/..", "/sys/fs/cgroup/cgroup.procs")
               if not refused(path)],
    "mounts": [line.split()[1] for line in open("/proc/self/mounts")
               if "nosuid" not in line.split()[3] or line.split()[1].startswith(("/etc", "/sys", "/usr"))
               and not line.split()[3].startswith("ro")],
    "proc": os.readlink("/proc") if os.path.islink("/proc") else os.path.exists("/proc/self/status"),
    "machine": os.path.exists("/etc/machine-id") or os.path.exists("/etc/shadow"),
}))
"""


@pytest.fixture
def outside() -> Iterator[Path]:
    """Where a link of an image may lead, on the machine as in the image; not below /tmp, where a link may be itself."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_links_at_the_places_of_the_machine_lead_nowhere(rig: Rig, fake: FakeRegistry, outside: Path) -> None:
    """An image that puts links and files where the runner mounts; the kernel and the devices stay out of reach."""
    (outside / "hosts").write_text("untouched")
    (outside / "resolv.conf").write_text("untouched")
    link = tarfile.SYMTYPE
    image = pin(fake, python_layer(), layer({
        "proc": entry(link, str(outside)), "sys": entry(link, "/"), "dev": entry(link, str(outside)),
        "tmp": entry(link, str(outside)), "etc": entry(link, str(outside)), f"{str(outside)[1:]}/x": b"",
    }))  # fmt: skip
    result = attempt(rig, image, HOSTILE)
    assert result.ending is Ending.SUCCEEDED, rig.log().decode()
    assert json.loads(rig.printed()) == {
        "hidden": [0, 0, 0, 0, 0], "kernel": [], "mounts": [], "proc": True, "machine": False,
        "devices": ["full", "null", "random", "tty", "urandom", "zero"],
    }  # fmt: skip
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "hosts": "untouched", "resolv.conf": "untouched",
    }  # fmt: skip


IMPORTS = """
import sys; sys.path[:0] = sys.argv[1], sys.argv[4]
from trainyard.runner.jail import unpack
unpack._shut_in(sys.argv[2], int(sys.argv[3]))
try:
    import wave
except ImportError:
    print("nothing of the image's")
"""


def test_nothing_of_an_image_is_run_while_it_is_unpacked(tmp_path: Path) -> None:
    """Where our library lies, an image may have files, too."""
    tree = tmp_path / "tree"
    planted = tree / STDLIB / "wave.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("print('ran')")
    for folder in (tmp_path, *planted.parents):
        folder.chmod(0o755)
        if folder == tree:
            break
    command = [sys.executable, "-I", "-S", "-c", IMPORTS, image_module._LIBRARY, str(tree), "10000"]
    command.append(image_module._folder_of(image_module._ZSTD))
    said = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    assert said.stdout == "nothing of the image's\n"


@pytest.mark.parametrize("kind", ["bz2", "xz"])
def test_other_compressions_need_nothing_of_the_image(images: Images, fake: FakeRegistry, kind: str) -> None:
    plain = gzip.decompress(layer({"opt/x": b"unpacked"}))
    planted = {f"{STDLIB}/{name}.py": b"raise SystemExit" for name in ("bz2", "lzma")}
    packed = bz2.compress(plain) if kind == "bz2" else lzma.compress(plain)
    assert (opened(images, pin(fake, PYTHON, layer(planted), packed)) / "opt/x").read_text() == "unpacked"


@pytest.fixture
def images(tmp_path: Path, fake: FakeRegistry) -> Iterator[Images]:
    with Images(tmp_path, OciRegistry) as images:
        yield images


def opened(images: Images, image: PinnedImage) -> Path:
    tree = images.open(image, Stop(), lambda _: None).system
    assert tree is not None
    return tree


def entry(kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo()
    made.type, made.linkname, made.mode = kind, target, mode
    return made


PYTHON = layer({"usr/bin/python3": b"an interpreter"})


def test_layers_lie_over_each_other(images: Images, fake: FakeRegistry) -> None:
    lower = layer({"a/kept": b"1", "a/changed": b"1", "a/gone": b"1", "b/old": b"1", "c/deep/old": b"1", "d": b"file",
                   "lib": entry(tarfile.SYMTYPE, "usr/lib"), "usr/lib/x": b"1"})  # fmt: skip
    upper = layer({"a/changed": b"2", "a/.wh.gone": b"", "b/.wh..wh..opq": b"", "b/new": b"2", ".wh.c": b"",
                   "lib/y": b"2", "./hard": entry(tarfile.LNKTYPE, "a/kept")}
                  | {"d": entry(tarfile.DIRTYPE, mode=0o700), "d/inside": b"2"})  # fmt: skip
    tree = opened(images, pin(fake, PYTHON, lower, upper))
    found = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    assert {name: text for name, text in found.items() if not name.startswith(("etc", "usr/bin", "lib"))} == {
        "a/kept": b"1", "a/changed": b"2", "b/new": b"2", "d/inside": b"2", "usr/lib/x": b"1", "usr/lib/y": b"2",
        "hard": b"1",
    }  # fmt: skip
    assert (tree / "lib").is_symlink()


def test_an_opaque_folder_keeps_what_its_own_layer_brought_before(images: Images, fake: FakeRegistry) -> None:
    lower = layer({"b/old": b"1", "b/deep/old": b"1"})
    upper = layer({"b/deep/new": b"2", "b/.wh..wh..opq": b""})
    tree = opened(images, pin(fake, PYTHON, lower, upper))
    assert [str(path.relative_to(tree)) for path in tree.rglob("b/**/*") if path.is_file()] == ["b/deep/new"]


def test_no_right_and_no_device_comes_out_of_a_layer(images: Images, fake: FakeRegistry) -> None:
    members = {
        "usr/bin/su": entry(tarfile.REGTYPE, mode=0o6755), "root": entry(tarfile.DIRTYPE, mode=0o700),
        "root/secret": entry(tarfile.REGTYPE, mode=0o600), "dev/sda": entry(tarfile.BLKTYPE),
        "dev/pipe": entry(tarfile.FIFOTYPE), "etc/hosts": entry(tarfile.SYMTYPE, "/etc/passwd"),
    }  # fmt: skip
    tree = opened(images, pin(fake, PYTHON, layer(members)))
    assert not list((tree / "dev").iterdir())
    assert oct((tree / "usr/bin/su").stat().st_mode) == "0o100755"
    assert oct((tree / "root").stat().st_mode) == "0o40755"
    assert oct((tree / "root/secret").stat().st_mode) == "0o100644"
    assert not (tree / "etc/hosts").is_symlink()
    assert {path.lstat().st_uid for path in tree.rglob("*")} == {10000}


@pytest.mark.parametrize(
    "members",
    [
        {"../outside": b"x"},
        {"a/../../outside": b"x"},
        {"out": entry(tarfile.SYMTYPE, "OUTSIDE"), "out/file": b"x"},
        {"out": entry(tarfile.LNKTYPE, "OUTSIDE/file")},
        {"out": entry(tarfile.SYMTYPE, "../../../../../.."), "outOUTSIDE/file": b"x"},
        {"a/.wh...": b""},
        {"a/.wh.": b""},
        {"a": b"file", "a/b": b"x"},
        {"loop": entry(tarfile.SYMTYPE, "loop"), "loop/file": b"x"},
    ],
)
def test_no_layer_leads_outside(images: Images, fake: FakeRegistry, tmp_path: Path, members: dict[str, Any]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "file").write_text("untouched")
    placed = {}
    for name, content in members.items():
        if isinstance(content, tarfile.TarInfo):
            content.linkname = content.linkname.replace("OUTSIDE", str(outside))
        placed[name.replace("OUTSIDE", str(outside))] = content
    try:
        opened(images, pin(fake, PYTHON, layer(placed)))
    except SetupError as refused:
        said = refused.message.en
    else:
        said = "cannot be unpacked"  # it led to a place inside
    assert "cannot be unpacked" in said
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"file": "untouched"}


def test_bytes_that_unfold_without_end(images: Images, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "MAX_UNPACKED_BYTES", 4 << 20)
    with pytest.raises(SetupError, match="more than the disk"):
        opened(images, pin(fake, PYTHON, layer({"zeros": bytes(8 << 20)})))
    many = layer({f"{number}": b"" for number in range(9000)})
    with pytest.raises(SetupError, match="more than the disk"):
        opened(images, pin(fake, PYTHON, many))


def as_zstd(layer: bytes) -> bytes:
    """The same layer as a note of its maker's and two frames, which is how it can be fetched in parts."""
    raw = gzip.decompress(layer)
    return b"\x51\x2a\x4d\x18\x04\0\0\0note" + zstd.compress(raw[:700]) + zstd.compress(raw[700:])


def test_layers_in_zstd(images: Images, fake: FakeRegistry) -> None:
    upper = layer({"opt/data/note": b"changed", "opt/bin/.wh.hello": b""})
    tree = opened(images, pin(fake, zstd.compress(gzip.decompress(PYTHON)), as_zstd(NOTE), upper))
    assert (tree / "opt/data/note").read_text() == "changed"
    assert (tree / "etc/hostname").read_text() == "image\n"
    assert not (tree / "opt/bin/hello").exists()


FRAMES = zstd.compress(gzip.decompress(NOTE))
# After a frame of no content that wants 2 GiB to look back into.
WIDE = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00" + FRAMES


@pytest.mark.parametrize(
    "content", [FRAMES[:60], FRAMES[:30] + b"x" * 20 + FRAMES[50:], FRAMES[:4], WIDE, zstd.compress(PYTHON)]
)
def test_what_is_no_archive_in_zstd(images: Images, fake: FakeRegistry, content: bytes) -> None:
    with pytest.raises(SetupError, match="cannot be unpacked"):
        opened(images, pin(fake, PYTHON, content))


def test_zstd_that_unfolds_without_end(images: Images, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "MAX_UNPACKED_BYTES", 4 << 20)
    bomb = zstd.compress(gzip.decompress(layer({"zeros": bytes(8 << 20)})))
    assert len(bomb) < 2000
    with pytest.raises(SetupError, match="more than the disk"):
        opened(images, pin(fake, PYTHON, bomb))


def test_a_name_without_end(images: Images, fake: FakeRegistry) -> None:
    """Tar's longest names are read whole: here three gigabytes of one letter."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    letters = 48 * zstd.compress(b"a" * (64 << 20))
    with pytest.raises(SetupError, match="cannot be unpacked"):
        opened(images, pin(fake, PYTHON, zstd.compress(header.tobuf(tarfile.GNU_FORMAT)) + letters))


@pytest.mark.parametrize("content", [b"", b"no archive", PYTHON[:100], PYTHON[:40] + b"x" * 20 + PYTHON[60:]])
def test_what_is_no_archive(images: Images, fake: FakeRegistry, content: bytes) -> None:
    with pytest.raises(SetupError, match="cannot be unpacked"):
        opened(images, pin(fake, PYTHON, content))


def test_another_content_is_never_taken(images: Images, fake: FakeRegistry) -> None:
    image = pin(fake, PYTHON, NOTE)
    true = fake.contents[image.layers[1].digest]
    for other in (layer({"opt/data/note": b"of somebody else"}), true[:-1], true + b"x", b""):
        fake.contents[image.layers[1].digest] = other
        with pytest.raises(SetupError, match="did not deliver"):
            opened(images, image)
    fake.contents[image.layers[1].digest] = true
    assert (opened(images, image) / "opt/data/note").read_text() == "from the image"


def test_a_registry_that_stumbles_is_asked_again(images: Images, fake: FakeRegistry) -> None:
    image = pin(fake, PYTHON, NOTE)
    fake.fails = [503, 429]
    assert (opened(images, image) / "opt/data/note").exists()


def test_an_image_that_is_gone(images: Images, fake: FakeRegistry) -> None:
    image = pin(fake, PYTHON, layer({"x": b"gone soon"}))
    fake.private.add("team/train")
    with pytest.raises(SetupError, match="cannot be pulled any more"):
        opened(images, image)


def test_an_image_without_python(images: Images, fake: FakeRegistry) -> None:
    image = pin(fake, layer({"usr/bin/perl": b"another"}))
    for _ in range(2):  # also when it lies here already
        with pytest.raises(SetupError, match="no python3 in its PATH"):
            images.open(image, Stop(), lambda _: None)


def test_a_stop_is_heard_while_it_is_fetched(images: Images, fake: FakeRegistry) -> None:
    from trainyard.runner.errors import StopRequestedError

    stop = Stop()
    stop.request()
    with pytest.raises(StopRequestedError):
        images.open(pin(fake, PYTHON, NOTE), stop, lambda _: None)
