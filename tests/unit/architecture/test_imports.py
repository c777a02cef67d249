"""Who may import whom. The rule is the design's; this reads every import statement and holds the code to it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "layers/core/python/trainyard"

# What every room may use: the shared words, and the modules at the package's root that belong to no room.
GROUND = {"model", "clients"}
CONTRACTS = {"hosts", "compute", "registries"}
STAGES = {
    "intake",
    "validation",
    "submission",
    "runner",
    "tracking",
    "logs",
    "evaluation",
    "reporting",
    "lfs",
    "identity",
}
ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "clients": set(),
    "store": GROUND,
    "hosts": GROUND,
    "compute": GROUND,
    "registries": GROUND | {"hosts"},
    "delivery": GROUND,
    **{stage: GROUND | {"store"} | CONTRACTS for stage in STAGES},
    "web": GROUND | {"store"} | CONTRACTS | STAGES,
    "cli": GROUND | {"store"} | CONTRACTS | STAGES | {"web"},
    "__init__": set(),
    "__main__": {"cli"},
}
TOP_LEVEL = {
    "functions", "infra", "layers", "tests", "template.yaml", "README.md", "pyproject.toml", "uv.lock", "Makefile",
    "samconfig.toml", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "DECISIONS.md",
}  # fmt: skip


def imported_modules(path: Path) -> list[tuple[int, str]]:
    """Line and full name of everything that a file imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide which room is meant"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def trespasses(path: Path) -> list[str]:
    room = room_of(path)
    allowed = ALLOWED[room] | {room}
    wrong = []
    for line, name in imported_modules(path):
        parts = name.split(".")
        outside = parts[0] in ("infra", "functions", "tests")
        other_room = (
            parts[0] == "trainyard" and len(parts) > 1 and parts[1] != "__version__" and parts[1] not in allowed
        )
        if outside or other_room:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} may not import {name}")
    return wrong


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_only_what_they_may(path: Path) -> None:
    assert trespasses(path) == []


def test_functions_import_neither_each_other_nor_the_embedded_stack() -> None:
    names = {folder.name for folder in (ROOT / "functions").iterdir() if folder.is_dir()}
    for path in sorted((ROOT / "functions").rglob("*.py")):
        for line, name in imported_modules(path):
            assert name.split(".")[0] not in names | {"infra", "functions", "tests"}, f"{path}:{line}: {name}"


def test_heavy_packages_are_imported_on_first_use() -> None:
    """A cold start pays for what is imported at the top; boto3 alone costs 0.3 s."""
    heavy = {"boto3", "botocore", "git", "numpy", "aimrocks", "moto"}
    for path in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "functions").rglob("*.py")]):
        tree = ast.parse(path.read_text())
        for node in tree.body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in heavy, (
                    f"{path.relative_to(ROOT)}:{node.lineno} imports {name} at the top"
                )


def test_the_top_level_holds_only_what_belongs_there() -> None:
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in tracked.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_a_trespass_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "trainyard" / "logs"
    room.mkdir(parents=True)
    (room / "bad.py").write_text("def f():\n    from trainyard.validation import push\n")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "trainyard")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert trespasses(room / "bad.py") == ["trainyard/logs/bad.py:2: logs may not import trainyard.validation.push"]
