"""Which versions of packages that come as wheels alone there are, for which Python, on Linux x86_64."""

from __future__ import annotations

import re

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

READ_OFF = "2026-01"
"""When the table was made. Newer versions are not in it, and nothing is said about them."""

# name -> version -> the Pythons that have a wheel
KNOWN_WHEELS: dict[str, dict[str, tuple[str, ...]]] = {
    "mindspore": {
        "1.0.0": ("3.7",),
        "2.0.0": ("3.7", "3.8", "3.9"),
        "2.7.0": ("3.9", "3.10", "3.11"),
        "2.7.1": ("3.9", "3.10", "3.11"),
        "2.7.2": ("3.9", "3.10", "3.11", "3.12"),
        "2.8.0": ("3.9", "3.10", "3.11", "3.12"),
        "2.9.0": ("3.9", "3.10", "3.11", "3.12"),
        "2.10.0": ("3.10", "3.11", "3.12"),
    },
}

# name -> Python -> its first version with a wheel; later ones have one as well, up to where the next Python begins.
FIRST_WHEELS: dict[str, dict[str, str]] = {
    "torch": {"3.9": "1.7.1", "3.10": "1.11.0", "3.11": "1.13.0", "3.12": "2.2.0"},
    "torchvision": {"3.9": "0.8.2", "3.10": "0.12.0", "3.11": "0.14.0", "3.12": "0.17.0"},
    "tensorflow": {"3.9": "2.5.0", "3.10": "2.8.0", "3.11": "2.12.0", "3.12": "2.16.1"},
    "tensorflow-cpu": {"3.9": "2.5.0", "3.10": "2.8.0", "3.11": "2.12.0", "3.12": "2.16.1"},
}


def fits_python(wheel: str, python: str) -> bool:
    """Whether a wheel of that file name can be installed for a Python such as `3.11` on Linux x86_64."""
    try:
        _, _, _, tags = parse_wheel_filename(wheel)
    except (InvalidWheelFilename, InvalidVersion):
        return True  # its name says nothing that we understand
    minor = int(python.partition(".")[2] or 11)
    return any(_interpreter_fits(tag, minor) and _platform_fits(tag.platform) for tag in tags)


def _interpreter_fits(tag: Tag, minor: int) -> bool:
    found = re.fullmatch(r"(py|cp)3([0-9]*)", tag.interpreter)
    if found is None:
        return False
    newest = int(found[2] or 0)
    exact = found[1] == "cp" and tag.abi not in ("abi3", "none")
    return newest == minor if exact else newest <= minor


def _platform_fits(platform: str) -> bool:
    return platform == "any" or (platform.startswith(("linux", "manylinux")) and platform.endswith("x86_64"))


def fitting_versions(name: str, specifier: SpecifierSet | None, python: str) -> list[str] | None:
    """Known versions that the specifier allows and that have a wheel, oldest first.

    None where nothing can be said: the package is not known here, or the specifier may mean a newer version than is.
    """
    if name in FIRST_WHEELS:
        return _since_first(name, specifier, python)
    if name not in KNOWN_WHEELS:
        return None
    known = KNOWN_WHEELS[name]
    newest = max(known, key=Version)
    fitting = [
        version
        for version, pythons in known.items()
        if python in pythons and (specifier is None or specifier.contains(version, prereleases=True))
    ]
    if not fitting and specifier is not None and _reaches_beyond(specifier, newest):
        return None
    return fitting


def _since_first(name: str, specifier: SpecifierSet | None, python: str) -> list[str] | None:
    first = FIRST_WHEELS[name].get(python)
    if first is None:
        return None
    return [] if specifier is not None and not _reaches_beyond(specifier, first, inclusive=True) else [first]


def _reaches_beyond(specifier: SpecifierSet, newest: str, *, inclusive: bool = False) -> bool:
    """Whether it names, or lets through, a version above that one (or that one itself)."""
    named = []
    for part in specifier:
        try:
            named.append(Version(part.version.removesuffix(".*")))
        except InvalidVersion:
            return True
    edge = Version(newest)
    if any(version > edge or (inclusive and version == edge) for version in named):
        return True
    return specifier.contains("9999.0", prereleases=True) or (inclusive and specifier.contains(edge, prereleases=True))
