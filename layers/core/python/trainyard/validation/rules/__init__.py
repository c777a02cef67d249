"""The rules, one file per concern. To add one: its class, and one line below."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainyard.validation.rules.contract import Rule

_HERE = "trainyard.validation.rules"
# id -> module:class, imported on first use.
REGISTRY = {
    "commit-unavailable": f"{_HERE}.fetching:CommitUnavailable",
    "run-file-missing": f"{_HERE}.run_file:RunFileMissing",
    "run-file-syntax": f"{_HERE}.run_file:RunFileSyntax",
    "run-file-key": f"{_HERE}.run_file:RunFileKey",
    "run-file-value": f"{_HERE}.run_file:RunFileValue",
    "unknown-framework": f"{_HERE}.catalogue:UnknownFramework",
    "unknown-flavor": f"{_HERE}.catalogue:UnknownFlavor",
    "flavor-misfit": f"{_HERE}.catalogue:FlavorMisfit",
    "image-registry": f"{_HERE}.image:ImageRegistry",
    "image-missing": f"{_HERE}.image:ImageMissing",
    "image-unusable": f"{_HERE}.image:ImageUnusable",
    "image-flavor": f"{_HERE}.image:ImageFlavor",
    "image-requirements": f"{_HERE}.image:ImageRequirements",
    "spot-without-retries": f"{_HERE}.machines:SpotWithoutRetries",
    "nodes-not-offered": f"{_HERE}.machines:NodesNotOffered",
    "ranks-cannot-meet": f"{_HERE}.machines:RanksCannotMeet",
    "processes-not-per-card": f"{_HERE}.machines:ProcessesNotPerCard",
    "timeout-too-long": f"{_HERE}.machines:TimeoutTooLong",
    "code-dir-missing": f"{_HERE}.code:CodeDirMissing",
    "boot-file-missing": f"{_HERE}.code:BootFileMissing",
    "evaluation-script-missing": f"{_HERE}.code:EvaluationScriptMissing",
    "requirements-name": f"{_HERE}.requirements:RequirementsName",
    "requirements-syntax": f"{_HERE}.requirements:RequirementsSyntax",
    "ascend-override": f"{_HERE}.requirements:AscendOverride",
    "mindspore-gpu": f"{_HERE}.requirements:MindSporeGpu",
    "wheel-python": f"{_HERE}.requirements:WheelPython",
    "mindvision-opencv": f"{_HERE}.requirements:MindVisionOpenCv",
    "mindvision-mindspore": f"{_HERE}.requirements:MindVisionMindSpore",
    "numpy-2": f"{_HERE}.requirements:NumpyTwo",
    "full-width-punctuation": f"{_HERE}.syntax:FullWidthPunctuation",
    "python-syntax": f"{_HERE}.syntax:PythonSyntax",
    "import-not-provided": f"{_HERE}.imports:ImportNotProvided",
    "argument-not-accepted": f"{_HERE}.arguments:ArgumentNotAccepted",
    "argument-required": f"{_HERE}.arguments:ArgumentRequired",
    "argument-value": f"{_HERE}.arguments:ArgumentValue",
    "download": f"{_HERE}.downloads:Download",
    "evaluation-require": f"{_HERE}.requirement:EvaluationRequire",
    "idx-name": f"{_HERE}.idx:IdxName",
    "secret": f"{_HERE}.secrets:Secret",
    "forbidden-file": f"{_HERE}.files:ForbiddenFile",
    "large-file": f"{_HERE}.files:LargeFile",
    "link": f"{_HERE}.files:Link",
    "submodule": f"{_HERE}.files:Submodule",
    "path-name": f"{_HERE}.files:PathName",
    "lfs-pointer": f"{_HERE}.lfs:LfsPointer",
    "lfs-pattern": f"{_HERE}.lfs:LfsPattern",
    "input-missing": f"{_HERE}.inputs:InputMissing",
    "input-content": f"{_HERE}.inputs:InputContent",
}


@cache
def rule(rule_id: str) -> Rule:
    """The rule of that id. KeyError if there is none."""
    module, _, name = REGISTRY[rule_id].partition(":")
    made: Rule = getattr(import_module(module), name)()
    return made


def all_rules() -> list[Rule]:
    return [rule(rule_id) for rule_id in REGISTRY]
