"""Files of an idx data set (MNIST and its kin) under the names that loaders look for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.rules.contract import Example, RunRule
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import Place, RunView

EXPECTED = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip
_SUFFIXES = ("", ".gz")


class IdxName(RunRule):
    id: ClassVar[str] = "idx-name"
    title = Text(en="Misspelt name in an idx data set", zh="idx 数据集的文件名拼写有误")
    explanation = Text(
        en="Loaders look for exactly train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte. Where one is missing, as with the `train-lables-idx1-ubyte` of a well-known tutorial, "
        "mindvision tries to download it and fails.",
        zh="加载器要求文件名为 train-images-idx3-ubyte、train-labels-idx1-ubyte、t10k-images-idx3-ubyte、"
        "t10k-labels-idx1-ubyte。若缺少其中之一（如某教程中的 `train-lables-idx1-ubyte`），mindvision "
        "会尝试下载并失败。",
    )
    severity = Severity.WARNING
    failing = (Example({"data/train/train-lables-idx1-ubyte": "x", "data/train/train-images-idx3-ubyte": "x"}),)
    passing = (
        Example({"data/train/train-labels-idx1-ubyte": "x", "data/train/train-images-idx3-ubyte.gz": "x"}),
        Example({"data/emnist-letters-train-labels-idx1-ubyte": "x"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        for path in view.snapshot.entries:
            yield from self._check(Place(path), path)
        for pinned in view.inputs or ():
            for file in pinned.files:
                yield from self._check(view.place("inputs", pinned.argument), file.path)

    def _check(self, place: Place, path: str) -> Iterator[Finding]:
        name = path.rpartition("/")[2]
        if "ubyte" not in name or len(name) > 40:
            return
        suffix = next((suffix for suffix in reversed(_SUFFIXES) if name.endswith(suffix)), "")
        stem = name.removesuffix(suffix)
        if stem in EXPECTED:
            return
        meant = nearest(stem, EXPECTED, cutoff=0.85)
        if meant is not None:
            yield self.finding(
                place,
                Text(
                    en=f"Loaders look for `{meant}{suffix}`; this data set has `{path}`.",
                    zh=f"加载器查找的是 `{meant}{suffix}`，而数据集中是 `{path}`。",
                ),
                Text(en=f"Rename the file to `{meant}{suffix}`.", zh=f"请将文件重命名为 `{meant}{suffix}`。"),
            )
