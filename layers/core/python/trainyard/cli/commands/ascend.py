"""What an operator asks of their own account at Huawei Cloud."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.cli.client import ApiError
from trainyard.cli.terminal import command
from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text

if TYPE_CHECKING:
    from trainyard.compute.modelarts.offer import Offer
    from trainyard.model.catalogue import Catalogue

_WIDTH = 120


def add(subparsers: Any) -> None:
    words = "for operators, with their key of Huawei Cloud: HUAWEI_AK, HUAWEI_SK, HUAWEI_PROJECT_ID, HUAWEI_REGION"
    own = subparsers.add_parser("ascend", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    catalog = command(own, "catalog", _catalog, "frameworks and flavors that the account offers, for the catalogue")
    catalog.add_argument("--write", type=Path, metavar="FILE", help="add those that this catalogue file has not got")
    catalog.add_argument("--endpoint", default="", help="address of ModelArts, if it is not Huawei's own of the region")


def _catalog(options: argparse.Namespace) -> None:
    from trainyard.model.catalogue import load_catalogue

    document = _read(options.write) if options.write else None
    known = _validated(document, options.write) if document is not None else load_catalogue()
    offered = _offer(options.endpoint, known)
    _warn(offered, known)
    if document is None:
        print(laid_out({"frameworks": _plain(offered.frameworks), "flavors": _plain(offered.flavors)}))
        return
    added = _merge(document, offered, known)
    _validated(document, options.write)
    if added:
        _replace(options.write, laid_out(document) + "\n")
    print("\n".join(f"added {name}" for name in added) or f"{options.write} has them all")


def laid_out(value: Any, indent: str = "", taken: int = 0) -> str:
    """JSON as the catalogue is written: on one line what fits into it, so that a merge changes no other line."""
    flat = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or len(indent) + taken + len(flat) < _WIDTH:
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + laid_out(one, inner) for one in value) + f"\n{indent}]"
    keys = {json.dumps(key, ensure_ascii=False) + ": ": one for key, one in value.items()}
    return (
        "{\n" + ",\n".join(inner + key + laid_out(one, inner, len(key)) for key, one in keys.items()) + f"\n{indent}}}"
    )


def _offer(endpoint: str, known: Catalogue) -> Offer:
    from trainyard.compute.modelarts.client import ModelArtsClient, ModelArtsError, UnansweredError
    from trainyard.compute.modelarts.credentials import operators_key
    from trainyard.compute.modelarts.offer import offer

    try:
        return offer(ModelArtsClient(operators_key(os.environ), endpoint), known)
    except ImportError:
        raise ApiError(0, "no_urllib3", "this needs an HTTP client: pip install 'trainyard[server]'") from None
    except (ModelArtsError, UnansweredError) as error:
        raise ApiError(0, "modelarts", f"ModelArts does not tell what it offers: {error}") from None


def _warn(offered: Offer, known: Catalogue) -> None:
    """On standard error: what could not be read, and what the catalogue promises but the account has not got."""
    from trainyard.compute.modelarts.offer import BACKEND
    from trainyard.model.catalogue import Accelerator

    for what in offered.unread:
        print(f"trainyard: left out {what}", file=sys.stderr)
    names = {entry.name for entry in offered.frameworks} | {entry.name for entry in offered.flavors}
    promised = [entry.name for entry in known.frameworks if entry.backend == BACKEND and not entry.retired]
    promised += [entry.name for entry in known.flavors if entry.accelerator is Accelerator.ASCEND and not entry.retired]
    for name in promised:
        if name not in names:
            print(f"trainyard: this account does not offer {name} of the catalogue", file=sys.stderr)


def _read(path: Path) -> dict[str, Any]:
    """An empty catalogue where there is no file yet."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"frameworks": [], "flavors": []}
    except (OSError, ValueError) as error:
        raise _no_catalogue(path, error) from None
    if not isinstance(found, dict):
        raise _no_catalogue(path, "it is no object")
    return found


def _validated(document: dict[str, Any], path: Path) -> Catalogue:
    from pydantic import ValidationError

    from trainyard.model.catalogue import Catalogue

    try:
        return Catalogue.model_validate(document)
    except ValidationError as error:
        raise _no_catalogue(path, error) from None


def _no_catalogue(path: Path, why: object) -> InvalidInput:
    return InvalidInput(
        Text(
            en=f"{path} is no catalogue; mend it or name another file. {why}",
            zh=f"{path} 不是有效的目录文件，请修正或换用其他文件。{why}",
        )
    )


def _merge(document: dict[str, Any], offered: Offer, known: Catalogue) -> list[str]:
    """Add to the document what is new, and give its names."""
    there = {entry.name for entry in known.frameworks}, {entry.name for entry in known.flavors}
    frameworks = _plain([one for one in offered.frameworks if one.name not in there[0]])
    flavors = _plain([one for one in offered.flavors if one.name not in there[1]])
    document["frameworks"] += frameworks
    document["flavors"] += flavors
    return [str(one["name"]) for one in (*frameworks, *flavors)]


def _plain(entries: Any) -> list[dict[str, Any]]:
    return [entry.model_dump(mode="json", exclude_defaults=True) for entry in entries]


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ApiError(0, "not_written", f"{path} cannot be written: {error}") from None
