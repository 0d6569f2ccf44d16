"""`make audit` tells apart what is safe, what is not, and what nobody could say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "audit.py"
SAFE = {"name": "click", "version": "8.1.0", "vulns": []}
UNSAFE = {"name": "old", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1", "2.0"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)"}


def audit(
    folder: Path, answer: str, error: str = "", files: Sequence[str] = ("pins.txt",)
) -> subprocess.CompletedProcess[str]:
    """Run the script over a pip-audit that gives one answer, whichever file is asked for."""
    code = f"import sys\nassert '--disable-pip' in sys.argv\nprint({answer!r})\nsys.exit({error!r} or 0)\n"
    (folder / "pip_audit.py").write_text(code, "utf-8")
    line = [sys.executable, str(SCRIPT), *files]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(folder)}
    )


@pytest.mark.parametrize(
    ("packages", "code", "out", "err"),
    [
        ([SAFE, SAFE], 0, "pins.txt: 2 pins checked by pypi: 0 advisories", ""),
        ([SAFE, UNSAFE], 1, "old 1.0: CVE-1, mended in 1.1, 2.0", ""),
        (
            [UNKNOWN, UNKNOWN],
            2,
            "",
            "audit: 2 of 2 pins of pins.txt could not be checked, torch first: pypi here serves no advisories",
        ),
        ([UNSAFE, UNKNOWN], 2, "old 1.0: CVE-1", "audit: 1 of 2 pins of pins.txt could not be checked"),
        ([], 2, "", "audit: 0 of 0 pins of pins.txt could not be checked"),
    ],
)
def test_what_is_known_of_the_pins(
    tmp_path: Path, packages: list[dict[str, Any]], code: int, out: str, err: str
) -> None:
    done = audit(tmp_path, json.dumps({"dependencies": packages, "fixes": []}))
    assert done.returncode == code
    assert out in done.stdout
    assert done.stderr.startswith(err)
    assert done.stderr.count("\n") == bool(err)


def test_no_connection_is_one_line(tmp_path: Path) -> None:
    done = audit(tmp_path, "", "Traceback\n  and so on\nrequests.ConnectionError: no name")
    assert done.returncode == 2
    assert done.stderr == "audit: the pins of pins.txt could not be checked: requests.ConnectionError: no name\n"


def test_every_file_of_pins_is_checked(tmp_path: Path) -> None:
    done = audit(tmp_path, json.dumps({"dependencies": [SAFE], "fixes": []}), files=())
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{name}: 1 pins checked by pypi: 0 advisories" for name in ("constraints-tf5.txt", "constraints.txt")
    ]
