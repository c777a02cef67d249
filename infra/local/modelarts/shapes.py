"""Request bodies against the models of the official SDK: no field that it does not know, no value of another type."""

from __future__ import annotations

import re
from typing import Any

_LIST = re.compile(r"list\[(.+)\]")
_MAP = re.compile(r"dict\(str, (.+)\)")
_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def faults(value: Any, kind: str, at: str = "body") -> list[str]:
    """What is wrong with `value` as a `kind` of `huaweicloudsdkmodelarts.v1`."""
    if kind in _PLAIN:
        fits = isinstance(value, _PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{at} is no {kind}"]
    if found := _LIST.fullmatch(kind):
        if not isinstance(value, list):
            return [f"{at} is no list"]
        return [fault for number, each in enumerate(value) for fault in faults(each, found[1], f"{at}[{number}]")]
    if not isinstance(value, dict):
        return [f"{at} is no object"]
    if found := _MAP.fullmatch(kind):
        return [fault for name, each in value.items() for fault in faults(each, found[1], f"{at}.{name}")]
    return _object_faults(value, kind, at)


def _object_faults(value: dict[str, Any], kind: str, at: str) -> list[str]:
    from huaweicloudsdkmodelarts import v1

    model = getattr(v1, kind)
    kinds = {spelled: model.openapi_types[name] for name, spelled in model.attribute_map.items()}
    wrong = [f"{at}.{name} is not known" for name in value if name not in kinds]
    return wrong + [
        fault for name in value if name in kinds for fault in faults(value[name], kinds[name], f"{at}.{name}")
    ]
