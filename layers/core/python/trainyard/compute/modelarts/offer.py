"""What an account at ModelArts offers, as entries of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from trainyard.compute.modelarts.client import ModelArtsClient
from trainyard.compute.modelarts.training import ENGINE
from trainyard.model.catalogue import Accelerator, Catalogue, Flavor, Framework
from trainyard.model.text import Text

BACKEND = "modelarts"
_QUEUE = "ascend"
_MIB = {"MB": 1, "MIB": 1, "GB": 1024, "GIB": 1024, "TB": 1024**2, "TIB": 1024**2}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
# Distributions that are tied to the image's CANN, by the library that an engine's version names.
_TIED = {
    "mindspore": ("mindspore", "mindspore-ascend"),
    "pytorch": ("torch", "torch-npu"),
    "tensorflow": ("tensorflow",),
}
_TITLES = {"mindspore": "MindSpore", "pytorch": "PyTorch", "tensorflow": "TensorFlow"}

Entry = TypeVar("Entry", Framework, Flavor)


@dataclass(frozen=True)
class Offer:
    """What the account offers, each as the catalogue has it already, else as a new entry."""

    frameworks: list[Framework]
    flavors: list[Flavor]
    unread: list[str]
    """Engines and flavors that cannot be told in the catalogue's words: why."""


def offer(client: ModelArtsClient, known: Catalogue) -> Offer:
    """Prices are not told by ModelArts: a new flavor has none, and its runs' cost is then unknown, not zero."""
    unread: list[str] = []
    engines = [engine for engine in client.engines() if engine.get("engine_name") == ENGINE]
    frameworks = _each(engines, "engine_version", framework_of, unread)
    flavors = _each(client.flavors(), "flavor_id", flavor_of, unread)
    by_version = {entry.version: entry for entry in known.frameworks if entry.backend == BACKEND}
    by_instance = {entry.instance: entry for entry in known.flavors if entry.accelerator is Accelerator.ASCEND}
    names = {entry.name for entry in known.frameworks}, {entry.name for entry in known.flavors}
    return Offer(
        [by_version.get(one.version) or _named(one, one.version, names[0]) for one in frameworks],
        [by_instance.get(one.instance) or _named(one, one.instance, names[1]) for one in flavors],
        unread,
    )


def framework_of(engine: dict[str, Any]) -> Framework:
    """KeyError or ValueError where its version does not name a library, CANN and Python."""
    version = engine["engine_version"]
    parts = dict(part.split("_", 1) for part in version.split("-") if "_" in part)
    libraries = [name for name in parts if name in _TIED]
    if not libraries:
        raise ValueError("it names no library that is known here")
    library, cann = libraries[0], parts["cann"]
    title = f"{_TITLES[library]} {parts[library]}"
    return Framework(
        name=f"{library}-{parts[library]}-cann-{cann}",
        title=Text(en=f"{title} on Ascend (ModelArts, CANN {cann})", zh=f"{title} 昇腾版（ModelArts，CANN {cann}）"),
        version=version,
        backend=BACKEND,
        accelerator=Accelerator.ASCEND,
        python=parts["py"],
        provides=[distribution for name in libraries for distribution in _TIED[name]],
        cann=cann,
    )


def flavor_of(told: dict[str, Any]) -> Flavor:
    """KeyError, TypeError or ValueError where it does not say what the catalogue has to know."""
    info = told["flavor_info"]
    cores, cards, model = int(info["cpu"]["core_num"]), int(info["npu"]["unit_num"]), info["npu"]["product_name"]
    memory = _mib(f"{info['memory']['size']}{info['memory']['unit']}")
    card_gib = _mib(str(info["npu"]["memory"])) // 1024
    short = told["flavor_id"].removeprefix("modelarts.").removesuffix(".public").replace(".", "-")
    return Flavor(
        name=f"ascend-{short}",
        title=Text(
            en=f"Ascend: {cards} {model} {card_gib} GB, {cores} vCPU, {memory // 1024} GB",
            zh=f"昇腾：{cards} 张 {model} {card_gib}GB，{cores} 核 {memory // 1024}GB",
        ),
        vcpus=cores,
        memory_mib=memory,
        accelerator=Accelerator.ASCEND,
        accelerators=cards,
        accelerator_model=model,
        accelerator_memory_gib=card_gib,
        instance=told["flavor_id"],
        queue=_QUEUE,
        max_nodes=int(told.get("max_num") or 1),
    )


def _each(
    told: Iterable[dict[str, Any]], key: str, read: Callable[[dict[str, Any]], Entry], unread: list[str]
) -> list[Entry]:
    found = {}
    for one in told:
        try:
            found[one[key]] = read(one)
        except (KeyError, TypeError, ValueError) as error:
            unread.append(f"{one.get(key) or 'one without a name'}: {_reason(error)}")
    return list(found.values())


def _reason(error: Exception) -> str:
    return f"it does not say {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]


def _named(entry: Entry, full: str, taken: set[str]) -> Entry:
    """Under its short name, or, if something else has that, under ModelArts' own; then it is taken."""
    name = entry.name if entry.name not in taken else full
    taken.add(name)
    return entry.model_copy(update={"name": name})


def _mib(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found or found[2].upper() not in _MIB:
        raise ValueError(f"{text!r} is no size")
    return int(float(found[1]) * _MIB[found[2].upper()])
