"""NVIDIA's driver is found in the runner's container, and shown to a script that stands on another image."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from driver_fake import CARDS, LIBRARIES, VERSION, any_library, lay_driver
from python_image import is_possible, python_layer
from registry_fake import FakeRegistry, layer
from unit.runner.rig import Rig
from unit.runner.test_image import attempt, calm, fake, pin  # noqa: F401 - fixtures

from trainyard.model.result import Ending
from trainyard.runner.driver import nvidia_driver
from trainyard.runner.errors import SetupError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not is_possible(), reason="needs root, and a Python in /usr"
)


@pytest.fixture
def container(tmp_path: Path) -> Path:
    lay_driver(tmp_path)
    return tmp_path


def found(container: Path, visible: str) -> list[str]:
    """The devices by their names."""
    return [Path(one).name for one in nvidia_driver({"NVIDIA_VISIBLE_DEVICES": visible}, container).devices]


SHARED = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]


@pytest.mark.parametrize(
    ("visible", "cards"),
    [
        ("", ["nvidia0", "nvidia1"]),
        ("all", ["nvidia0", "nvidia1"]),
        (CARDS[0], ["nvidia0"]),
        (CARDS[1], ["nvidia1"]),
        # As nvidia-smi counts them, which is by their place on the bus.
        ("0", ["nvidia1"]),
        (f"{CARDS[1]},{CARDS[0]}", ["nvidia0", "nvidia1"]),
    ],
)
def test_a_job_s_own_cards(container: Path, visible: str, cards: list[str]) -> None:
    assert found(container, visible) == [*SHARED, *cards]


@pytest.mark.parametrize("visible", ["none", "void", "GPU-cccccccc", f"{CARDS[0]},GPU-cccccccc", "MIG-1", "2"])
def test_cards_that_are_not_there(container: Path, visible: str) -> None:
    with pytest.raises(SetupError, match="does not show the cards"):
        found(container, visible)


def test_the_driver_s_files_and_nobody_else_s(container: Path) -> None:
    driver = nvidia_driver({"NVIDIA_DRIVER_CAPABILITIES": "compute,utility", "AWS_REGION": "x"}, container)
    assert driver.variables == {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    names = [
        *(f"{name}{end}" for name in ("libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so")
          for end in (".1", f".{VERSION}")),
        "libcuda.so",
    ]  # fmt: skip
    places = {f"/usr/local/nvidia/lib64/{name}" for name in names}
    assert set(driver.files) == {*places, "/usr/local/nvidia/bin/nvidia-smi"}
    assert driver.files["/usr/local/nvidia/lib64/libcuda.so.1"] == str(container / LIBRARIES / f"libcuda.so.{VERSION}")


def test_a_container_without_the_driver(container: Path) -> None:
    (container / LIBRARIES / "libcuda.so.1").unlink()
    with pytest.raises(SetupError, match="no NVIDIA driver"):
        found(container, "all")


@pytest.fixture
def gpu_machine(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """A rig whose runner starts in a container as that of a GPU job: the driver lies in its own /usr, /dev and /proc."""
    folder = tmp_path_factory.mktemp("machine")
    for name in ("upper", "work", "usr"):
        (folder / name).mkdir()
    lay_driver(folder / "driver")
    laid = shlex.quote(str(folder / "driver"))
    steps = [
        "mount --make-rprivate /",
        f"mount -t overlay overlay -o lowerdir={laid}/usr:/usr,upperdir={folder}/upper,workdir={folder}/work /usr",
        f"cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty {laid}/dev/",
        f"mount --bind {laid}/dev /dev",
        f"mount --bind {laid}/proc/driver /proc/driver",
        'exec "$@"',
    ]
    rig.prefix = ["unshare", "--mount", "sh", "-ec", "; ".join(steps), "sh"]
    if subprocess.run([*rig.prefix, "true"], capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("no overlays here")
    return rig


LOOK = """
import ctypes, json, os, shutil, stat, subprocess
def refused(act, *what):
    try:
        act(*what)
    except OSError as error:
        return True
    return False
ctypes.CDLL("libcuda.so.1")
loaded = {line.split()[-1] for line in open("/proc/self/maps") if "libcuda" in line}
with open("/dev/nvidia0", "wb", buffering=0) as card:
    card.write(b"x")
print(json.dumps({
    "loaded": sorted(loaded), "devices": sorted(name for name in os.listdir("/dev") if "nvidia" in name),
    "smi": subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout.split(",")[0],
    "libraries": os.environ["LD_LIBRARY_PATH"], "visible": os.environ["NVIDIA_VISIBLE_DEVICES"],
    "own": os.environ["CUDA_VISIBLE_DEVICES"], "image": os.environ["NVIDIA_REQUIRE_CUDA"],
    "read_only": refused(open, "/usr/local/nvidia/lib64/libcuda.so.1", "ab") and refused(open, "/usr/local/nvidia/new", "w"),
    "node": refused(os.mknod, "/tmp/card", 0o666 | stat.S_IFCHR, os.makedev(1, 3)), "kept": sorted(os.listdir("/usr/local")),
    "cards": os.listdir("/proc/driver/nvidia/gpus"), "stale": os.path.exists("/usr/local/nvidia/old"),
}))
"""


def test_an_image_of_one_s_own_is_shown_the_driver(gpu_machine: Rig, fake: FakeRegistry) -> None:  # noqa: F811
    library = any_library()
    image = pin(
        fake,
        python_layer(),
        layer({
            "usr/local/cuda/lib64/libcudart.so.12": b"", "usr/local/nvidia/old": b"",
            # What an image brings of a driver is of the wrong version.
            f"usr/{library.parent.name}/libcuda.so.1": b"not this one", "usr/bin/sh": Path("/bin/sh").resolve().read_bytes(),
        }),
        environment={
            "PATH": "/usr/local/nvidia/bin:/usr/bin", "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
            "NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_REQUIRE_CUDA": "cuda>=12.4",
        },
    )  # fmt: skip
    given = {"NVIDIA_VISIBLE_DEVICES": CARDS[0], "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    result = attempt(gpu_machine, image, LOOK, flavor="t4", env={"CUDA_VISIBLE_DEVICES": "0"}, **given)
    assert result.ending is Ending.SUCCEEDED, gpu_machine.log().decode()
    seen = json.loads(gpu_machine.printed())
    assert seen == {
        "loaded": ["/usr/local/nvidia/lib64/libcuda.so.1"], "devices": sorted([*SHARED, "nvidia0"]),
        "smi": "NVIDIA Fake", "libraries": "/usr/local/cuda/lib64:/usr/local/nvidia/lib64", "visible": CARDS[0],
        "own": "0", "image": "cuda>=12.4", "read_only": True, "node": True, "kept": ["cuda", "nvidia"],
        "cards": seen["cards"], "stale": False,
    }  # fmt: skip
    assert sorted(seen["cards"]) == ["0000:00:1d.0", "0000:00:1e.0"]
    assert None not in result.isolation.values()
    assert result.machine is not None
    assert result.machine.accelerators == [f"NVIDIA Fake, 16384 MiB, {VERSION}"]


def test_an_image_on_a_cpu_is_shown_no_card(gpu_machine: Rig, fake: FakeRegistry) -> None:  # noqa: F811
    image = pin(fake, python_layer(), layer({"opt/note": b"x"}))
    look = "import os; print([name for name in os.listdir('/dev') if 'nvidia' in name], os.path.exists('/usr/local'))"
    assert attempt(gpu_machine, image, look).ending is Ending.SUCCEEDED, gpu_machine.log().decode()
    assert gpu_machine.printed() == "[] False\n"


def test_without_a_driver_nothing_is_started(rig: Rig, fake: FakeRegistry) -> None:  # noqa: F811
    result = attempt(rig, pin(fake, python_layer()), "print('ran')", flavor="t4")
    assert result.ending is Ending.SETUP_FAILED
    assert result.reason is not None
    assert "no NVIDIA driver" in result.reason.en
    assert rig.printed() == ""
