"""The 1,797 handwritten digits of scikit-learn as the tutorial's data set: idx files of 28 x 28 images.

    python -m infra.local.examples.digits FOLDER
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRAINING_IMAGES = 1437
_SIDE = 28
_SCANNED_SIDE = 8
_INK = 16.0
# MNIST centres its digits in a box of 20 pixels.
_BOX = 20
_IMAGES_MAGIC = 2051
_LABELS_MAGIC = 2049


def write_digits(folder: Path) -> list[Path]:
    """Write train/ (1,437 digits) and test/ (360) under `folder`; the same bytes every time."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images = np.stack([_enlarge(digits.images[index]) for index in order])
    labels = digits.target[order].astype(np.uint8)
    split = TRAINING_IMAGES
    return [
        _write(folder / "train" / "train-images-idx3-ubyte", _images_header(split), images[:split]),
        _write(folder / "train" / "train-labels-idx1-ubyte", _labels_header(split), labels[:split]),
        _write(folder / "test" / "t10k-images-idx3-ubyte", _images_header(len(order) - split), images[split:]),
        _write(folder / "test" / "t10k-labels-idx1-ubyte", _labels_header(len(order) - split), labels[split:]),
    ]


def _enlarge(scan: NDArray[np.float64]) -> NDArray[np.uint8]:
    """8 x 8 shades of 0 to 16 become 28 x 28 of 0 to 255: drawn larger by linear interpolation, with a margin."""
    import numpy as np

    at = np.linspace(0, _SCANNED_SIDE - 1, _BOX)
    wide = np.stack([np.interp(at, np.arange(_SCANNED_SIDE), row) for row in scan])
    box = np.stack([np.interp(at, np.arange(_SCANNED_SIDE), column) for column in wide.T], axis=1)
    margin = (_SIDE - _BOX) // 2
    image = np.zeros((_SIDE, _SIDE))
    image[margin : margin + _BOX, margin : margin + _BOX] = box * (255 / _INK)
    return np.clip(image, 0, 255).astype(np.uint8)


def _images_header(count: int) -> bytes:
    return struct.pack(">iiii", _IMAGES_MAGIC, count, _SIDE, _SIDE)


def _labels_header(count: int) -> bytes:
    return struct.pack(">ii", _LABELS_MAGIC, count)


def _write(path: Path, header: bytes, numbers: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + numbers.tobytes())
    return path


if __name__ == "__main__":
    for written in write_digits(Path(sys.argv[1])):
        print(written)
