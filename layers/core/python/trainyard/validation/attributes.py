"""What `.gitattributes` hands to Git LFS. https://git-scm.com/docs/gitattributes"""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.validation.patterns import matches
from trainyard.validation.snapshot import Snapshot

ATTRIBUTES_NAME = ".gitattributes"
_MAX_LINES = 2000


@dataclass(frozen=True)
class LfsPattern:
    """One line that sets or unsets `filter=lfs`."""

    file: str
    line: int
    pattern: str
    tracks: bool

    def matches(self, path: str) -> bool:
        folder = self.file.rpartition("/")[0]
        if folder and not path.startswith(f"{folder}/"):
            return False
        inside = path[len(folder) + 1 :] if folder else path
        pattern = self.pattern
        if "/" not in pattern.rstrip("/"):  # a bare name fits at any depth
            return matches(pattern, inside.rpartition("/")[2])
        return matches(pattern, inside)


@dataclass(frozen=True)
class LfsPatterns:
    lines: tuple[LfsPattern, ...]

    def match(self, path: str) -> LfsPattern | None:
        """The line that makes `path` an LFS file; the last one that fits decides, as in git."""
        decisive = next((line for line in reversed(self.lines) if line.matches(path)), None)
        return decisive if decisive is not None and decisive.tracks else None


def lfs_patterns(snapshot: Snapshot) -> LfsPatterns:
    """Every line of every .gitattributes, those of deeper folders last."""
    files = [path for path in snapshot.entries if path.rpartition("/")[2] == ATTRIBUTES_NAME]
    lines: list[LfsPattern] = []
    for path in sorted(files, key=lambda path: path.count("/")):
        for number, line in enumerate((snapshot.text(path) or "").splitlines()[:_MAX_LINES], 1):
            found = _parse(path, number, line)
            if found is not None:
                lines.append(found)
        if len(lines) > _MAX_LINES:
            break
    return LfsPatterns(tuple(lines))


def _parse(path: str, number: int, line: str) -> LfsPattern | None:
    words = line.strip().split()
    if not words or words[0].startswith("#"):
        return None
    for word in words[1:]:
        if word in ("filter=lfs", "-filter", "!filter") or word.startswith("filter="):
            pattern = words[0].replace("[[:space:]]", " ").strip('"')
            return LfsPattern(path, number, pattern, tracks=word == "filter=lfs")
    return None
