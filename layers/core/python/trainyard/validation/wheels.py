"""Which versions of MindSpore the package index holds, and for which Python: wheels for Linux x86_64."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import Version

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


def fitting_versions(name: str, specifier: SpecifierSet | None, python: str) -> list[str] | None:
    """Known versions that the specifier allows and that have a wheel, oldest first.

    None where the specifier may mean a version that is newer than the table, so that nothing can be said.
    """
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


def _reaches_beyond(specifier: SpecifierSet, newest: str) -> bool:
    """Whether it names, or lets through, a version above the newest known one."""
    named = []
    for part in specifier:
        try:
            named.append(Version(part.version.removesuffix(".*")))
        except ValueError:
            return True
    return any(version > Version(newest) for version in named) or (specifier.contains("9999.0", prereleases=True))
