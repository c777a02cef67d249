"""What a machine does when it boots: linted, and run with real iptables in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from unit.infra.templates import ROOT, template

from trainyard.runner import users

SECONDS = 60
# Who asks, whom, and whether an answer may come. The runner is root; nobody of ours is user 11000.
ASKED = [
    (0, "169.254.169.254", 80, True),
    (users.INSTALLER, "169.254.169.254", 80, False),
    (users.FIRST, "169.254.169.254", 80, False),
    (users.LAST, "169.254.169.254", 80, False),
    (users.LAST + 1, "169.254.169.254", 80, True),
    (users.FIRST, "169.254.170.2", 80, False),
    (users.FIRST, "127.0.0.1", 51678, False),
    (0, "127.0.0.1", 51678, True),
    (users.FIRST, "127.0.0.1", 8080, True),
]
# Servers at all those addresses, then one client after another, each as its user.
TRY = """
import json, os, socket, sys
asked = json.loads(sys.argv[1])
servers = [socket.create_server((host, port)) for host, port in {(host, port) for _, host, port, _ in asked}]
for user, host, port, _ in asked:
    child = os.fork()
    if child == 0:
        os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
        asks = socket.socket()
        asks.settimeout(1)
        try:
            asks.connect((host, port))
        except OSError:
            os._exit(1)
        os._exit(0)
    print(os.waitpid(child, 0)[1] == 0)
"""


@pytest.fixture(scope="module")
def boot() -> str:
    """The script that cloud-init runs at each boot."""
    data = template(ROOT / "infra" / "compute.yaml")["Resources"]["Machine"]["Properties"]["LaunchTemplateData"][
        "UserData"
    ]
    (part,) = message_from_string(data["Fn::Base64"]).get_payload()
    assert part.get_content_type() == "text/cloud-boothook"
    script: str = part.get_payload()
    assert script.startswith("#!/bin/sh\n")
    return script


def test_the_script_is_sound(boot: str, tmp_path: Path) -> None:
    script = tmp_path / "boot.sh"
    script.write_text(boot)
    subprocess.run(["sh", "-n", script], check=True, timeout=SECONDS)
    shellcheck = Path(sysconfig.get_path("scripts"), "shellcheck")
    checked = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.fixture
def machine(tmp_path: Path, boot: str) -> Any:
    """Runs shell text on a machine whose iptables and systemctl are the programs of that name in `bin`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    masked = tmp_path / "masked"
    _program(programs / "systemctl", f'echo "$@" >> {masked}')
    config = tmp_path / "ecs.config"
    (tmp_path / "boot.sh").write_text(boot.replace("/etc/ecs/ecs.config", str(config)))

    def run(text: str, iptables: str, *own: str) -> tuple[str, list[str], list[str]]:
        _program(programs / "iptables", iptables)
        said = subprocess.run(
            [*own, "sh", "-ec", text, "sh", str(tmp_path / "boot.sh")],
            env={**os.environ, "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        return said.stdout, *(path.read_text().splitlines() if path.exists() else [] for path in (masked, config))

    return run


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_machine_that_cannot_be_closed_gets_no_job(machine: Any) -> None:
    # The second rule is refused, as where the kernel has no such match.
    _, masked, config = machine('sh "$1"; sh "$1"', 'case "$*" in *170*) exit 1;; *) exit 0;; esac')
    assert masked == ["mask ecs"] * 2
    assert config == ["ECS_AWSVPC_BLOCK_IMDS=true"]


def test_each_rule_is_made_once_also_where_a_boot_was_cut_short(machine: Any, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.touch()
    iptables = f"""
shift 3; act=$1; shift
case $act in -C) grep -qxF "$*" {rules};; -A) echo "$*" >> {rules};; esac
"""
    _, masked, _ = machine(f'sh "$1"; sed -i 2d {rules}; sh "$1"', iptables)
    assert sorted(line.split()[2] for line in rules.read_text().splitlines()) == [
        "127.0.0.0/8",
        "169.254.169.254",
        "169.254.170.0/24",
    ]
    assert masked == []


def test_scripts_do_not_reach_the_machine_s_credentials_with_real_iptables(machine: Any) -> None:
    real = shutil.which("iptables", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if sys.platform != "linux" or os.geteuid() != 0 or real is None or shutil.which("ip") is None:
        pytest.skip("needs root, iptables and iproute2")
    addresses = "ip link set lo up; ip addr add 169.254.169.254/32 dev lo; ip addr add 169.254.170.2/32 dev lo"
    ask = f"{sys.executable} -c '{TRY}' '{json.dumps(ASKED)}'"
    try:
        before, *_ = machine(f"{addresses}; {ask}", f'exec {real} "$@"', "unshare", "-n")
    except subprocess.CalledProcessError as refused:
        pytest.skip(f"needs a network namespace: {refused.stderr}")
    assert before.split() == ["True"] * len(ASKED)
    after, masked, _ = machine(f'{addresses}; sh "$1"; sh "$1"; {ask}', f'exec {real} "$@"', "unshare", "-n")
    assert masked == []
    assert after.split() == [str(answered) for *_, answered in ASKED]
