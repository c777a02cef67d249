"""One run as its rules see it: the description, where each part of it was written, the script, the requirements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from trainyard.model.catalogue import Catalogue, Flavor, Framework, load_catalogue
from trainyard.model.request import PinnedInput
from trainyard.model.spec import RunSpec
from trainyard.validation.snapshot import Snapshot

if TYPE_CHECKING:
    from trainyard.validation.document import Document
    from trainyard.validation.run_file import ReadRunFile

REQUIREMENTS_NAME = "pip-requirements.txt"


@dataclass(frozen=True)
class Place:
    """Where a fault is. Lines and columns count from 1; an empty file is the request itself."""

    file: str = ""
    line: int | None = None
    column: int | None = None


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
    inputs: tuple[PinnedInput, ...] | None = None
    """None where they could not be looked up, as on a laptop."""

    @classmethod
    def of_file(
        cls,
        snapshot: Snapshot,
        name: str,
        run_file: ReadRunFile,
        catalogue: Catalogue | None = None,
        inputs: tuple[PinnedInput, ...] | None = None,
    ) -> RunView:
        """The run of that name in the commit's own run file."""
        catalogue = catalogue or load_catalogue()
        spec = run_file.runs[name]
        return cls(snapshot, name, spec, catalogue, run_file.path, run_file.document, inputs)

    @classmethod
    def of_request(
        cls, snapshot: Snapshot, name: str, spec: RunSpec, inputs: tuple[PinnedInput, ...] | None = None
    ) -> RunView:
        """A run that a form or the API describes, so that no file does."""
        return cls(snapshot, name, spec, load_catalogue(), inputs=inputs)

    def place(self, *path: str | int, of_key: bool = False) -> Place:
        """Where that part of the run's description was written, or the nearest part around it."""
        if self.document is None:
            return Place(self.run_file)
        position = self.document.position(("runs", self.name, *path), of_key=of_key)
        return Place(self.run_file, position.line, position.column) if position else Place(self.run_file)

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

    @cached_property
    def boot_text(self) -> str | None:
        return self.snapshot.text(self.boot_path)
