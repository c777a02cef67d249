"""One run as its rules see it: the description, where each part of it was written, the script, the requirements."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from trainyard.model.catalogue import Catalogue, Flavor, Framework, load_catalogue
from trainyard.model.request import PinnedInput
from trainyard.model.spec import RunSpec
from trainyard.validation.requirements_file import RequirementsFile, read_requirements
from trainyard.validation.script import Script, reachable_scripts, read_script
from trainyard.validation.snapshot import Snapshot

if TYPE_CHECKING:
    from trainyard.validation.document import Document
    from trainyard.validation.run_file.reading import ReadRunFile

REQUIREMENTS_NAME = "pip-requirements.txt"


@dataclass(frozen=True)
class Place:
    """Where a fault is. Lines and columns count from 1; an empty file is the request itself."""

    file: str = ""
    line: int | None = None
    column: int | None = None
    field: str = ""
    """Dotted path in the run's description, where that is at fault."""


@dataclass(frozen=True)
class RunView:
    """A run and the commit that it would train."""

    snapshot: Snapshot
    name: str
    spec: RunSpec
    catalogue: Catalogue
    run_file: str = ""
    """Path of the file that describes the run; empty where a form or the API does."""
    document: Document | None = None
    inputs: Sequence[PinnedInput] | None = None
    """None where they could not be looked up, as on a laptop."""

    @classmethod
    def of_file(
        cls,
        snapshot: Snapshot,
        name: str,
        run_file: ReadRunFile,
        catalogue: Catalogue | None = None,
    ) -> RunView:
        """The run of that name in the commit's own run file."""
        catalogue = catalogue or load_catalogue()
        spec = run_file.runs[name] if name in run_file.runs else run_file.partial[name]
        return cls(snapshot, name, spec, catalogue, run_file.path, run_file.document)

    @classmethod
    def of_request(
        cls, snapshot: Snapshot, name: str, spec: RunSpec, inputs: Sequence[PinnedInput] | None = None
    ) -> RunView:
        """A run that a form or the API describes, so that no file does."""
        return cls(snapshot, name, spec, load_catalogue(), inputs=inputs)

    def with_inputs(self, inputs: Sequence[PinnedInput]) -> RunView:
        return replace(self, inputs=inputs)

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """Where that part of the run's description was written, or the nearest part around it."""
        field = ".".join(map(str, path))
        position = self.document.position(("runs", self.name, *path), of_key=of_key) if self.document else None
        if position is None:
            return Place(self.run_file, field=field)
        return Place(self.run_file, position.line, position.column, field)

    @property
    def framework(self) -> Framework | None:
        return self.catalogue.framework(self.spec.framework)

    @property
    def flavor(self) -> Flavor | None:
        return self.catalogue.flavor(self.spec.flavor)

    @property
    def boot_path(self) -> str:
        return self.spec.boot_path

    @property
    def requirements_path(self) -> str:
        """The file beside the boot file, whether it is there or not."""
        folder = self.boot_path.rpartition("/")[0]
        return f"{folder}/{REQUIREMENTS_NAME}" if folder else REQUIREMENTS_NAME

    @property
    def boot_folder(self) -> str:
        return self.boot_path.rpartition("/")[0]

    @property
    def python(self) -> str:
        """The version that the image runs, such as `3.11`."""
        if self.spec.image:
            # Nobody but the image knows. What this Python reads is taken for right.
            return f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.framework.python if self.framework is not None else "3.11"

    @cached_property
    def boot(self) -> Script | None:
        """The boot file; None if it is not there or no text."""
        return read_script(self.snapshot, self.boot_path, self.python)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """The boot file and the repository's own modules that it imports."""
        return () if self.boot is None else reachable_scripts(self.snapshot, self.boot, self.python)

    @cached_property
    def requirements(self) -> RequirementsFile:
        """Beside the boot file; without lines where there is none, or nobody installs them."""
        text = None if self.spec.image else self.snapshot.text(self.requirements_path)
        return read_requirements(self.requirements_path, text or "")
