"""Findings quote the repository, but never what nobody else should see."""

from __future__ import annotations

import pytest

from trainyard.model.text import Text
from trainyard.validation.engine import check
from trainyard.validation.redaction import without_secrets
from trainyard.validation.render import as_json, as_sarif, as_text
from trainyard.validation.rules.contract import EXAMPLE_SPEC
from trainyard.validation.snapshot import MemorySnapshot

# Assembled, so that no scanner takes them for the real thing.
TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
PASSWORD = "rT7_kQ92-vLmZ4x"
REPOSITORIES = {
    "in the code": {"train.py": f"TOKEN = '{TOKEN}'\n"},
    "as a key": {"trainyard.yaml": EXAMPLE_SPEC + f"    {TOKEN}: 1\n"},
    "as a framework": {"trainyard.yaml": EXAMPLE_SPEC.replace("mindspore-cpu", TOKEN)},
    "as a value of the environment": {"trainyard.yaml": EXAMPLE_SPEC + "    env: {DB_PASSWORD: 4711081512345}\n"},
    "as a hyperparameter": {
        "trainyard.yaml": EXAMPLE_SPEC + f"    hyperparameters: {{key: {TOKEN}}}\n",
        "train.py": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--key', type=int)\np.parse_args()\n",
    },
    "in a requirement's address": {"pip-requirements.txt": f"x @@ https://ada:{PASSWORD}@example.com/x.git\n"},
    "in a requirement, cut short": {"pip-requirements.txt": "x" * 50 + f" https://{TOKEN}@example.com\n"},
    "in a command": {"train.py": f"import os\nos.system('curl https://ada:{PASSWORD}@example.com/data')\n"},
    "in a pattern": {".gitattributes": f"{TOKEN} filter=lfs\n"},
}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_no_form_of_the_findings_shows_a_secret(name: str) -> None:
    files = {"trainyard.yaml": EXAMPLE_SPEC, "train.py": "", **REPOSITORIES[name]}
    findings = check(MemorySnapshot(files))
    assert findings
    shown = as_json(findings) + as_sarif(findings, "zh") + as_text(findings)
    for secret in (TOKEN[4:14], PASSWORD, "4711081512345"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    ["Write `timeout`.", "a password of 12 characters", "https://example.com/a@b", "a token ring"],
)
def test_what_is_none_stays(text: str) -> None:
    assert without_secrets(Text(en=text, zh=text)).en == text
