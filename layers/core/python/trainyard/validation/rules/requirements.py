"""`pip-requirements.txt`: found beside the boot file, readable, and free of the traps that are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.catalogue import Accelerator
from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.imports import unprovided
from trainyard.validation.requirements_file import RequirementLine
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.view import REQUIREMENTS_NAME, Place, RunView
from trainyard.validation.wheels import fits_python, fitting_versions

_NEAR_NAMES = {
    "requirements.txt", "requirement.txt", "pip_requirements.txt", "pip-requirement.txt", "pip-requirements.text",
    "piprequirements.txt", "pip-requirments.txt", "pip-requirements", "pip-requirements.txt.txt",
}  # fmt: skip
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_TUTORIAL_OPENCV = (
    "opencv-contrib-python-headless==4.5.5.64\nopencv-python==4.5.5.64\nopencv-python-headless==4.5.5.64\n"
)
_ASCEND = EXAMPLE_SPEC.replace("framework: mindspore-cpu", "framework: mindspore-1.7-cann-5.1")
_CUDA = EXAMPLE_SPEC.replace("framework: mindspore-cpu", "framework: mindspore-1.3-cuda-10.1")


def _with(text: str, line: int | None = None, spec: str = EXAMPLE_SPEC) -> Example:
    return Example({"trainyard.yaml": spec, REQUIREMENTS_NAME: text}, line=line)


class RequirementsName(RunRule):
    id: ClassVar[str] = "requirements-name"
    title = Text(en="Requirements under another name", zh="依赖文件名称或位置不对")
    explanation = Text(
        en="Packages are installed from `pip-requirements.txt` beside the boot file, under exactly that name. It is an "
        "error where the script imports what only that file could bring, otherwise a warning.",
        zh="依赖从启动文件同级的 `pip-requirements.txt` 安装，文件名必须完全一致。若脚本导入了只能由该文件提供的包，"
        "则为错误，"
        "否则为警告。",
    )
    failing = (
        Example({"requirements.txt": "numpy\n", "train.py": "import numpy\n"}),
        Example({"Pip-Requirements.txt": "numpy\n", "train.py": "import numpy\n"}),
        Example(
            {
                "trainyard.yaml": EXAMPLE_SPEC + "    code_dir: train\n",
                "train/train.py": "import mindspore\n",
                REQUIREMENTS_NAME: "mindspore\n",
            }
        ),
    )
    passing = (
        Example({"requirements.txt": "ruff\n", REQUIREMENTS_NAME: "numpy\n", "train.py": "import numpy\n"}),
        Example({"docs/requirements.txt": "sphinx\n"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.spec.image or view.requirements_path in view.snapshot.entries or view.boot is None:
            return
        found = self._meant(view)
        if found is None:
            return
        severity = Severity.ERROR if unprovided(view) else Severity.WARNING
        yield self.finding(
            Place(found),
            Text(
                en=f"Packages are installed from {view.requirements_path} only; this file is not read.",
                zh=f"依赖只从 {view.requirements_path} 安装，此文件不会被读取。",
            ),
            Text(
                en=f"Rename it: git mv {found} {view.requirements_path}",
                zh=f"请重命名：git mv {found} {view.requirements_path}",
            ),
            severity,
        )

    @staticmethod
    def _meant(view: RunView) -> str | None:
        """The file that was probably meant: a near name beside the boot file, or the right one further out."""
        folder = view.boot_folder
        for path in view.snapshot.entries:
            parent, _, name = path.rpartition("/")
            if parent == folder and (name.lower() in _NEAR_NAMES or name.lower() == REQUIREMENTS_NAME):
                return path
        while folder:
            folder = folder.rpartition("/")[0]
            path = f"{folder}/{REQUIREMENTS_NAME}" if folder else REQUIREMENTS_NAME
            if path in view.snapshot.entries:
                return path
        return None


class RequirementsSyntax(RunRule):
    id: ClassVar[str] = "requirements-syntax"
    title = Text(en="A requirement that cannot be read", zh="无法读取的依赖行")
    explanation = Text(
        en="Every line of pip-requirements.txt must be a package with an optional version (PEP 508), an address of a "
        "wheel, or an option of pip. Files and folders of the repository cannot be named, because environments are "
        "kept for later runs.",
        zh="pip-requirements.txt 的每一行必须是包名及可选版本（PEP 508）、wheel 地址或 pip 选项。"
        "不能引用仓库中的文件或文件夹，因为环境会保留给后续训练使用。",
    )
    failing = (
        _with("numpy\nmindspore=2.7.0\n", 2),
        _with("numpy >= \n", 1),
        _with("-r requirements.txt\n", 1),
        _with("-e .\n", 1),
        _with("mindspore==2.7.0，numpy<2\n", 1),
    )
    passing = (
        _with(
            "# comment\nnumpy<2  # why\n--extra-index-url https://example.com/simple\nscipy>=1.10,<2 ; "
            'python_version >= "3.9"\nhttps://example.com/a/thing-1.0-py3-none-any.whl\n'
        ),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        file = view.requirements
        if view.requirements_path in view.snapshot.entries and view.snapshot.text(view.requirements_path) is None:
            yield self.finding(
                Place(view.requirements_path),
                Text(en="The file is not UTF-8 text.", zh="文件不是 UTF-8 文本。"),
                Text(
                    en="Save it as UTF-8 (Windows' Notepad and PowerShell may write UTF-16).",
                    zh="请以 UTF-8 编码保存（Windows 记事本和 PowerShell 可能写成 UTF-16）。",
                ),
            )
        for line in file.lines:
            place = Place(file.path, line.line, 1)
            if line.is_local:
                yield self.finding(
                    place,
                    Text(en="A requirement may not name a file or folder.", zh="依赖不能引用文件或文件夹。"),
                    Text(
                        en="Write the packages themselves, one to a line. The repository's own modules are found "
                        "without being installed.",
                        zh="请逐行写出包名。仓库自身的模块无需安装即可导入。",
                    ),
                )
            elif line.fault:
                yield self.finding(
                    place,
                    Text(
                        en=f"`{line.text[:80]}` is no requirement: {line.fault[:160]}.",
                        zh=f"`{line.text[:80]}` 不是合法的依赖：{line.fault[:160]}。",
                    ),
                    _how_to_write(line.text),
                )


class AscendOverride(RunRule):
    id: ClassVar[str] = "ascend-override"
    title = Text(en="MindSpore cannot be changed on Ascend", zh="Ascend 上不能更换 MindSpore 版本")
    explanation = Text(
        en="MindSpore for Ascend works only with the CANN version of its image, so pip-requirements.txt may not "
        "name it.",
        zh="Ascend 版 MindSpore 与镜像的 CANN 版本强依赖，因此不能在 pip-requirements.txt 中指定。",
    )
    failing = (_with("mindspore==2.0.0\n", 1, _ASCEND), _with("tqdm\nmindspore-ascend==1.9.0\n", 2, _ASCEND))
    passing = (_with("mindspore==2.7.0\n"),)

    def check(self, view: RunView) -> Iterator[Finding]:
        framework = view.framework
        if framework is None or framework.accelerator is not Accelerator.ASCEND:
            return
        for line in view.requirements.lines:
            if line.name in ("mindspore", "mindspore-ascend", "mindspore-gpu"):
                yield self.finding(
                    Place(view.requirements.path, line.line, 1),
                    Text(
                        en=f"`{line.name}` cannot be replaced on Ascend: it is tied to CANN {framework.cann}.",
                        zh=f"Ascend 上不能更换 `{line.name}`：它与 CANN {framework.cann} 强依赖。",
                    ),
                    Text(
                        en="Remove the line; choose a framework with the version that you need.",
                        zh="请删除此行；如需其他版本，请选择相应的框架。",
                    ),
                )


class MindSporeGpu(RunRule):
    id: ClassVar[str] = "mindspore-gpu"
    title = Text(en="mindspore-gpu from the package index", zh="从软件源安装 mindspore-gpu")
    explanation = Text(
        en="`pip install mindspore-gpu` brings a build for CUDA 11 from version 1.3.0 on, and needs libcublas.so.11 "
        "and "
        "a GPU. On an image with another CUDA take the address of the wheel that was built for it; on a CPU image "
        "write `mindspore`.",
        zh="从 1.3.0 起，`pip install mindspore-gpu` 安装的是 CUDA 11 版本，需要 libcublas.so.11 和 GPU。"
        "若镜像的 CUDA 版本不同，请填写对应的 wheel 地址；CPU 镜像请写 `mindspore`。",
    )
    failing = (_with("mindspore-gpu==1.3.0\n", 1, _CUDA), _with("mindspore-gpu\n", 1))
    passing = (
        _with("mindspore\n"),
        _with("https://example.com/gpu/cuda-11.6/mindspore_gpu-2.2.14-cp311-cp311-linux_x86_64.whl\n"),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        framework = view.framework
        line = view.requirements.of("mindspore-gpu")
        if line is None or framework is None or line.requirement is None or line.requirement.url:
            return
        place = Place(view.requirements.path, line.line, 1)
        if framework.accelerator is Accelerator.NONE:
            yield self.finding(
                place,
                Text(
                    en=f"`mindspore-gpu` needs CUDA and a GPU, and `{framework.name}` has neither.",
                    zh=f"`mindspore-gpu` 需要 CUDA 和 GPU，而 `{framework.name}` 都没有。",
                ),
                Text(en="Write `mindspore` with a version.", zh="请改为 `mindspore` 并写明版本。"),
            )
        elif framework.accelerator is Accelerator.NVIDIA and not (framework.cuda or "").startswith("11"):
            yield self.finding(
                place,
                Text(
                    en=f"The index holds mindspore-gpu for CUDA 11, the image has CUDA {framework.cuda}: the import "
                    f"would "
                    "fail without libcublas.so.11.",
                    zh=f"软件源中的 mindspore-gpu 面向 CUDA 11，而镜像是 CUDA {framework.cuda}：缺少 "
                    f"libcublas.so.11，导入会失败。",
                ),
                Text(
                    en=f"Write the address of the wheel for CUDA {framework.cuda} and "
                    f"cp{framework.python.replace('.', '')} "
                    "from https://www.mindspore.cn/versions, or leave the line out.",
                    zh=f"请填写 https://www.mindspore.cn/versions 上适用于 CUDA {framework.cuda}、"
                    f"cp{framework.python.replace('.', '')} 的 wheel 地址，或删除此行。",
                ),
            )


class WheelPython(RunRule):
    id: ClassVar[str] = "wheel-python"
    title = Text(en="No wheel for the image's Python", zh="没有适用于镜像 Python 的 wheel")
    explanation = Text(
        en="MindSpore, PyTorch and the like are published as wheels for certain versions of Python only, and the "
        "address of a wheel says which. For packages that are not known here, or with another index, nothing is said.",
        zh="MindSpore、PyTorch 等只为特定的 Python 版本发布 wheel；wheel 的地址也会写明版本。"
        "对于此处未收录的软件包，或使用其他软件源时，不作判断。",
    )
    failing = (
        _with("mindspore==2.0.0\n", 1),
        _with("tqdm\nmindspore==1.7.0\n", 2),
        _with("torch==1.8.0\n", 1),
        _with("https://example.com/mindspore-2.0.0-cp39-cp39-linux_x86_64.whl\n", 1),
        _with("mindspore @ https://example.com/mindspore-2.7.0-cp311-cp311-linux_aarch64.whl\n", 1),
    )
    passing = (
        _with("mindspore==2.7.0\n"),
        _with("mindspore\n"),
        _with("mindspore>=2.7,<2.8\n"),
        _with("mindspore==99\n"),
        _with("torch==2.6.0\ntorch>=1.8\n"),
        _with("--find-links https://example.com/wheels\nmindspore==2.3.0\n"),
        _with(
            "https://example.com/mindspore-2.7.0-cp311-cp311-linux_x86_64.whl\nhttps://example.com/a-1.0-py3-none-any.whl\n"
        ),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        framework = view.framework
        if framework is None or framework.accelerator is Accelerator.ASCEND:
            return
        for line in view.requirements.lines:
            if line.wheel:
                if not fits_python(line.wheel, view.python):
                    yield self._other_wheel(view, line)
                continue
            if line.requirement is None or line.requirement.url or view.requirements.names_other_index:
                continue
            fitting = fitting_versions(line.name, line.requirement.specifier, view.python)
            if fitting is not None and not fitting:
                yield self._no_wheel(view, line)

    def _no_wheel(self, view: RunView, line: RequirementLine) -> Finding:
        possible = fitting_versions(line.name, None, view.python) or []
        listed = ", ".join(possible) or "-"
        return self.finding(
            Place(view.requirements.path, line.line, 1),
            Text(
                en=f"`{line.text[:80]}` has no wheel for Python {view.python}. There are wheels of: {listed}.",
                zh=f"`{line.text[:80]}` 没有适用于 Python {view.python} 的 wheel。可用的版本：{listed}。",
            ),
            Text(en=f"Write `{line.name}=={possible[-1]}`.", zh=f"请改为 `{line.name}=={possible[-1]}`。")
            if possible
            else Text(en="Choose another framework.", zh="请选择其他框架。"),
        )

    def _other_wheel(self, view: RunView, line: RequirementLine) -> Finding:
        tag = f"cp{view.python.replace('.', '')}"
        return self.finding(
            Place(view.requirements.path, line.line, 1),
            Text(
                en=f"The wheel {line.wheel[:120]} is not for Python {view.python} on Linux x86_64.",
                zh=f"wheel {line.wheel[:120]} 不适用于 Linux x86_64 上的 Python {view.python}。",
            ),
            Text(en=f"Take the one with {tag} in its name.", zh=f"请使用文件名中含 {tag} 的 wheel。"),
        )


class MindVisionOpenCv(RunRule):
    id: ClassVar[str] = "mindvision-opencv"
    title = Text(en="mindvision without opencv", zh="mindvision 缺少 opencv")
    explanation = Text(
        en="mindvision imports cv2 but does not install it.",
        zh="mindvision 会导入 cv2，但不会自动安装它。",
    )
    failing = (_with("mindspore==2.7.0\nnumpy<2\nmindvision==0.1.0\n", 3),)
    passing = (_with("mindspore==2.7.0\nnumpy<2\nmindvision==0.1.0\n" + _TUTORIAL_OPENCV),)

    def check(self, view: RunView) -> Iterator[Finding]:
        line = view.requirements.of("mindvision")
        if line is None or view.requirements.names.intersection(OPENCV):
            return
        yield self.finding(
            Place(view.requirements.path, line.line, 1),
            Text(en="mindvision needs opencv, which is not listed.", zh="mindvision 依赖 opencv，但未列出。"),
            Text(
                en="Add a line `opencv-python-headless==4.5.5.64`.",
                zh="请添加一行 `opencv-python-headless==4.5.5.64`。",
            ),
        )


class NumpyTwo(RunRule):
    id: ClassVar[str] = "numpy-2"
    title = Text(en="Built for numpy 1", zh="依赖 numpy 1")
    explanation = Text(
        en="opencv 4.5.5.64 was built against numpy 1 (`numpy.core.multiarray failed to import` with numpy 2), and "
        "mindvision 0.1.0 was written for it. Without a limit the newest numpy is installed.",
        zh="opencv 4.5.5.64 基于 numpy 1 构建（在 numpy 2 下报 `numpy.core.multiarray failed to import`），"
        "mindvision 0.1.0 也是如此。不加限制会安装最新的 numpy。",
    )
    failing = (_with("mindspore==2.7.0\nmindvision==0.1.0\n" + _TUTORIAL_OPENCV, 2),)
    passing = (
        _with("mindspore==2.7.0\nnumpy<2\nmindvision==0.1.0\n" + _TUTORIAL_OPENCV),
        _with("mindspore==2.7.0\nnumpy==1.26.4\nopencv-python==4.5.5.64\n"),
        _with("opencv-python>=4.10\n"),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        if view.python in ("3.6", "3.7", "3.8"):  # numpy 2 does not exist for these
            return
        file = view.requirements
        culprit = next((line for line in file.lines if _built_for_numpy_1(line)), None)
        if culprit is None:
            return
        numpy = file.of("numpy")
        if numpy is not None and not any(numpy.pins(version) for version in ("2.0.0", "2.2.0", "2.3.0")):
            return
        place = Place(file.path, (numpy or culprit).line, 1)
        yield self.finding(
            place,
            Text(
                en=f"`{culprit.text[:60]}` does not work with numpy 2, which would be installed.",
                zh=f"`{culprit.text[:60]}` 与将被安装的 numpy 2 不兼容。",
            ),
            Text(en="Add a line `numpy<2`.", zh="请添加一行 `numpy<2`。")
            if numpy is None
            else Text(en="Write `numpy<2`.", zh="请改为 `numpy<2`。"),
            Severity.WARNING if numpy is None and any(map(_may_hold_numpy, file.lines)) else Severity.ERROR,
        )


class MindVisionMindSpore(RunRule):
    id: ClassVar[str] = "mindvision-mindspore"
    title = Text(en="mindvision with too new a MindSpore", zh="mindvision 与过新的 MindSpore 不兼容")
    explanation = Text(
        en="mindvision 0.1.0 imports `mindspore.dataset.vision.c_transforms`, which is gone since MindSpore 2.8.0. "
        "`mindspore` without a version is the newest.",
        zh="mindvision 0.1.0 会导入 `mindspore.dataset.vision.c_transforms`，该模块自 MindSpore 2.8.0 起已删除。"
        "不写版本的 `mindspore` 会安装最新版。",
    )
    failing = (
        _with("mindspore\nmindvision==0.1.0\nnumpy<2\n" + _TUTORIAL_OPENCV, 1),
        _with("mindspore==2.10.0\nmindvision==0.1.0\nnumpy<2\n" + _TUTORIAL_OPENCV, 1),
    )
    passing = (_with("mindspore==2.7.0\nmindvision==0.1.0\nnumpy<2\n" + _TUTORIAL_OPENCV),)

    def check(self, view: RunView) -> Iterator[Finding]:
        file = view.requirements
        vision, mindspore = file.of("mindvision"), file.of("mindspore")
        if vision is None or mindspore is None or mindspore.requirement is None or mindspore.requirement.url:
            return
        versions = fitting_versions("mindspore", mindspore.requirement.specifier, view.python)
        if not versions or _release(versions[-1]) < (2, 8):
            return
        yield self.finding(
            Place(file.path, mindspore.line, 1),
            Text(
                en=f"mindvision needs a MindSpore before 2.8, and this installs {versions[-1]}.",
                zh=f"mindvision 需要 2.8 之前的 MindSpore，而此行会安装 {versions[-1]}。",
            ),
            Text(en="Write `mindspore==2.7.0`.", zh="请改为 `mindspore==2.7.0`。"),
        )


def _release(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def _built_for_numpy_1(line: RequirementLine) -> bool:
    if line.name == "mindvision":
        return line.pins("0.1.0")
    if line.name not in OPENCV or line.requirement is None:
        return False
    specifier = line.requirement.specifier
    # Only where it is held at an old version; without a pin the newest is taken, which knows numpy 2.
    return bool(specifier) and line.pins("4.5.5.64") and not line.pins("4.10.0.84")


# Packages whose older versions ask for numpy below 2 themselves.
_HOLD_NUMPY = {
    "tensorflow", "tensorflow-cpu", "numba", "paddlepaddle", "scipy", "pandas", "mxnet", "gensim", "scikit-learn",
    "jax", "onnx", "pyarrow", "matplotlib", "torchvision", "langchain", "spacy", "thinc", "h5py", "catboost", "shap",
}  # fmt: skip


def _may_hold_numpy(line: RequirementLine) -> bool:
    specifier = line.requirement.specifier if line.requirement is not None else ()
    return line.name in _HOLD_NUMPY and any(part.operator in ("==", "<", "<=", "~=", "===") for part in specifier)


def _how_to_write(text: str) -> Text:
    if "=" in text and not any(sign in text for sign in ("==", ">=", "<=", "~=", "!=")):
        fixed = text.replace("=", "==", 1)
        return Text(en=f"Write `{fixed[:80]}`.", zh=f"请改为 `{fixed[:80]}`。")
    if any(character in text for character in "，；："):
        return Text(
            en="Use half-width characters, and one package to a line.", zh="请使用半角字符，并且每行只写一个包。"
        )
    return Text(en="Write `name==version`, one package to a line.", zh="请写成 `包名==版本`，每行一个包。")
