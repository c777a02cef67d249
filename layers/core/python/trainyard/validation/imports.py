"""Which imports of a script nothing provides: not Python, not the image, not the repository, not the requirements."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from trainyard.validation.script import Script
from trainyard.validation.view import RunView

# Gone from newer Pythons than the one that runs this, but there in old images.
_FORMER_STANDARD = {"distutils", "imp", "asynchat", "asyncore", "smtpd", "binhex", "formatter", "parser", "symbol"}
_STANDARD = sys.stdlib_module_names | _FORMER_STANDARD

# Module -> distributions that bring it, where the names differ.
_DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "cv2": (
        "opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless",
    ),
    "PIL": ("pillow", "pillow-simd"), "sklearn": ("scikit-learn",), "skimage": ("scikit-image",),
    "yaml": ("pyyaml", "ruamel-yaml"), "bs4": ("beautifulsoup4",), "dateutil": ("python-dateutil",),
    "google": ("protobuf",), "attr": ("attrs",), "Crypto": ("pycryptodome",), "dotenv": ("python-dotenv",),
    "mindspore": ("mindspore", "mindspore-gpu", "mindspore-ascend", "mindspore-dev"),
    "mindcv": ("mindcv",), "mindvision": ("mindvision",), "mindnlp": ("mindnlp",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly"),
    "tensorboardX": ("tensorboardx",), "lightning": ("lightning", "pytorch-lightning"),
    "pytorch_lightning": ("pytorch-lightning", "lightning"), "pl_bolts": ("lightning-bolts",),
    "sentence_transformers": ("sentence-transformers",), "umap": ("umap-learn",), "jwt": ("pyjwt",),
    "faiss": ("faiss-cpu", "faiss-gpu"), "git": ("gitpython",), "pkg_resources": ("setuptools",),
    "setuptools": ("setuptools",), "mpl_toolkits": ("matplotlib",), "pylab": ("matplotlib",),
    "paddle": ("paddlepaddle", "paddlepaddle-gpu"), "MeCab": ("mecab-python3",), "Levenshtein": ("levenshtein",),
    "xgboost": ("xgboost", "xgboost-cpu"), "gym": ("gym", "gymnasium"), "serial": ("pyserial",),
    "absl": ("absl-py",), "hydra": ("hydra-core",), "omegaconf": ("omegaconf", "hydra-core"), "fire": ("fire",),
    "docx": ("python-docx",), "nibabel": ("nibabel",), "SimpleITK": ("simpleitk",), "pycocotools": ("pycocotools",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "igraph": ("python-igraph", "igraph"),
    "ruamel": ("ruamel-yaml",), "zmq": ("pyzmq",), "psycopg2": ("psycopg2", "psycopg2-binary"), "wx": ("wxpython",),
    "Bio": ("biopython",), "OpenGL": ("pyopengl",), "usb": ("pyusb",), "fitz": ("pymupdf",), "apex": ("apex",),
    "torch_geometric": ("torch-geometric",), "flax": ("flax",), "jaxlib": ("jaxlib", "jax"), "pandas": ("pandas",),
    "mmcv": ("mmcv", "mmcv-full", "mmcv-lite"), "decord": ("decord", "eva-decord"), "timm": ("timm",),
}  # fmt: skip

_SCIENCE = ("numpy", "scipy", "packaging")
_TORCH = ("sympy", "networkx", "jinja2", "filelock", "fsspec", "typing_extensions", "mpmath", "setuptools")
_HUB = ("numpy", "yaml", "requests", "tqdm", "regex", "packaging", "filelock", "huggingface_hub", "fsspec", "httpx")
# Distribution -> modules that it brings through its own requirements, as far as scripts use them.
_BROUGHT: dict[str, tuple[str, ...]] = {
    "mindspore": (*_SCIENCE, "PIL", "psutil", "google", "astunparse", "asttokens", "safetensors", "dill"),
    "mindspore-gpu": (*_SCIENCE, "PIL", "psutil", "google", "astunparse", "asttokens"),
    "mindspore-ascend": (*_SCIENCE, "PIL", "psutil", "google", "astunparse", "asttokens"),
    "mindcv": ("numpy", "yaml", "tqdm", "PIL"),
    "mindvision": ("numpy", "PIL", "matplotlib", "scipy", "yaml", "tqdm", "ml_collections"),
    "mindnlp": (*_HUB, "datasets", "evaluate", "tokenizers", "safetensors", "jieba", "nltk", "pandas", "mindspore"),
    "torch": _TORCH,
    "torchvision": ("torch", "numpy", "PIL", *_TORCH),
    "torchaudio": ("torch", *_TORCH),
    "transformers": (*_HUB, "tokenizers", "safetensors"),
    "datasets": (*_HUB, "pandas", "pyarrow", "dill", "xxhash", "multiprocess", "aiohttp"),
    "accelerate": ("numpy", "torch", "psutil", "yaml", "huggingface_hub", "safetensors", "packaging", *_TORCH),
    "peft": ("transformers", "torch", "accelerate", "numpy", "psutil", "yaml", "tqdm", "safetensors", *_TORCH),
    "trl": ("transformers", "datasets", "accelerate", "torch", "numpy", *_HUB, *_TORCH),
    "sentence-transformers": ("transformers", "torch", "tqdm", "sklearn", "scipy", "numpy", "PIL", *_HUB, *_TORCH),
    "lightning": ("torch", "torchmetrics", "pytorch_lightning", "numpy", "yaml", "tqdm", "packaging", *_TORCH),
    "pytorch-lightning": ("torch", "torchmetrics", "numpy", "yaml", "tqdm", "packaging", "fsspec", *_TORCH),
    "torchmetrics": ("torch", "numpy", "packaging", *_TORCH),
    "timm": ("torch", "torchvision", "yaml", "huggingface_hub", "safetensors", "numpy", "PIL", *_TORCH),
    "ultralytics": (
        "torch", "torchvision", "numpy", "cv2", "PIL", "yaml", "requests", "scipy", "tqdm", "pandas", "matplotlib",
        "psutil", "seaborn", "polars", *_TORCH,
    ),
    "tensorflow": ("keras", "numpy", "h5py", "tensorboard", "google", "absl", "requests", "six", "ml_dtypes", "rich"),
    "keras": ("numpy", "absl", "h5py", "rich", "ml_dtypes", "optree", "namex", "packaging"),
    "jax": ("jaxlib", "numpy", "scipy", "ml_dtypes", "opt_einsum"),
    "flax": ("jax", "jaxlib", "numpy", "optax", "msgpack", "orbax", "yaml", "rich", "chex"),
    "optax": ("jax", "jaxlib", "numpy", "chex", "absl"),
    "scikit-learn": ("numpy", "scipy", "joblib", "threadpoolctl"),
    "scikit-image": ("numpy", "scipy", "PIL", "imageio", "tifffile", "networkx", "packaging"),
    "pandas": ("numpy", "dateutil", "pytz"), "matplotlib": ("numpy", "PIL", "dateutil", "packaging", "pyparsing"),
    "seaborn": ("numpy", "pandas", "matplotlib", "PIL", "dateutil"), "scipy": ("numpy",), "h5py": ("numpy",),
    "xgboost": ("numpy", "scipy"), "lightgbm": ("numpy", "scipy"),
    "catboost": ("numpy", "pandas", "scipy", "matplotlib", "plotly", "graphviz", "six"),
    "statsmodels": ("numpy", "scipy", "pandas", "patsy", "packaging"), "albumentations": ("numpy", "cv2", "scipy"),
    "opencv-python": ("numpy",), "opencv-python-headless": ("numpy",), "opencv-contrib-python": ("numpy",),
    "opencv-contrib-python-headless": ("numpy",), "imageio": ("numpy", "PIL"), "paddlepaddle": ("numpy", "PIL"),
    "gymnasium": ("numpy", "cloudpickle", "typing_extensions"), "gym": ("numpy", "cloudpickle"),
    "stable-baselines3": ("numpy", "torch", "gymnasium", "cloudpickle", "pandas", "matplotlib", *_TORCH),
    "hydra-core": ("omegaconf", "antlr4"), "spacy": ("numpy", "tqdm", "pydantic", "jinja2", "requests", "thinc"),
    "gensim": ("numpy", "scipy", "smart_open"), "nltk": ("click", "joblib", "regex", "tqdm"),
    "torch-geometric": ("numpy", "tqdm", "psutil", "jinja2", "requests", "fsspec", "aiohttp", "pyparsing"),
    "typer": ("click", "rich", "typing_extensions"), "aim": ("aimrocks", "numpy", "PIL", "psutil", "requests", "tqdm"),
    "tensorboard": ("numpy", "google", "absl", "markdown", "werkzeug"), "tensorboardx": ("numpy", "google"),
    "evaluate": (*_HUB, "datasets", "pandas", "dill"), "diffusers": (*_HUB, "PIL", "safetensors"),
    "huggingface-hub": ("requests", "tqdm", "yaml", "filelock", "fsspec", "packaging", "httpx", "typing_extensions"),
    "optuna": ("numpy", "tqdm", "yaml", "sqlalchemy", "alembic", "colorlog"), "pycocotools": ("numpy", "matplotlib"),
}  # fmt: skip


@dataclass(frozen=True)
class UnprovidedImport:
    """An import whose module nothing brings."""

    file: str
    line: int
    column: int
    module: str
    """The first part of the module's name."""
    distribution: str
    """What to write into the requirements."""


def unprovided(view: RunView) -> list[UnprovidedImport]:
    """The first import of each module that the script will not find."""
    provided = _provided_distributions(view)
    if provided is None:
        return []
    brought = {module for name in provided for module in _BROUGHT.get(name, ())}
    own = _own_modules(view)
    found: dict[str, UnprovidedImport] = {}
    for script in view.scripts:
        for module, node in _imports(script):
            known = module in _STANDARD or module in own or module in brought or module in found
            if known or module.startswith("_") or _provides(provided, module):
                continue
            name = distributions_of(module)[0]
            found[module] = UnprovidedImport(script.path, node.lineno, node.col_offset + 1, module, name)
    return list(found.values())


def distributions_of(module: str) -> tuple[str, ...]:
    """The distributions that bring a module; its own name, normalised, where nothing else is known."""
    return _DISTRIBUTIONS.get(module, (canonicalize_name(module),))


def _provided_distributions(view: RunView) -> set[str] | None:
    """What the image and the requirements name; None where a line may bring anything (an address without a name)."""
    if view.framework is None:
        return None
    if any(not line.name and not line.is_option and not line.fault for line in view.requirements.lines):
        return None
    return {*(canonicalize_name(name) for name in view.framework.provides), *view.requirements.names}


def _provides(provided: set[str], module: str) -> bool:
    if provided.intersection(distributions_of(module)):
        return True
    plain = canonicalize_name(module).replace("-", "")
    # `thing` of `python-thing`, `thing-py`, `pything`: near enough not to bother anybody.
    return any(
        plain in (name.replace("-", ""), name.replace("-", "").removeprefix("python").removeprefix("py"))
        or name.replace("-", "").startswith(plain)
        for name in provided
    )


def _own_modules(view: RunView) -> set[str]:
    """Everything in the repository that could be imported under some path."""
    modules = {path.rpartition("/")[2].partition(".")[0] for path in view.snapshot.entries if path.endswith(_CODE)}
    return modules | {folder.rpartition("/")[2] for folder in view.snapshot.folders}


_CODE = (".py", ".so", ".pyd", ".pyi")


def _imports(script: Script) -> Iterator[tuple[str, ast.stmt]]:
    """First parts of the absolute imports that must succeed; those in `try` and for type checkers need not."""
    optional = _optional_lines(script)
    for node in script.nodes:
        if not isinstance(node, ast.Import | ast.ImportFrom) or node.lineno in optional:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node
        elif node.level == 0 and node.module:
            yield node.module.partition(".")[0], node


def _optional_lines(script: Script) -> set[int]:
    """Lines of imports that may fail or never be reached. One pass, however deep the code is nested."""
    lines: set[int] = set()
    waiting: list[tuple[ast.AST, bool]] = [(script.tree, False)] if script.tree is not None else []
    while waiting:
        node, optional = waiting.pop()
        if optional and isinstance(node, ast.Import | ast.ImportFrom):
            lines.add(node.lineno)
        # A function may never be called in this run.
        inside = optional or isinstance(node, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside = inside or (isinstance(node, ast.If) and _is_condition(node.test))
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))
    return lines


def _is_condition(test: ast.expr) -> bool:
    """Any `if` but the one that says the file is run as a script."""
    return not any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))
