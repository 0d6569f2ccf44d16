"""Holds the pinned packages against known advisories, with pip-audit, and is silent about nothing that it could not check.

    make audit

Exit code 0: no advisory is known of any pin; 1: some are, a line each; 2: nothing, or not everything, could be checked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def audited(pins: Path, service: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each pin, and what kept it from saying anything ('' for nothing)."""
    line = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
    line += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", service]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError, TypeError):
        told = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        return [], told[-1].strip() if told else "no answer"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pins", nargs="?", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="who is asked for advisories")
    given = parser.parse_args(arguments)
    found, problem = audited(given.pins, given.service)
    if problem:
        print(f"audit: the pins could not be checked: {problem[:200]}", file=sys.stderr)
        return 2
    vulnerable = [(package, each) for package in found for each in package.get("vulns", ())]
    for package, each in vulnerable:
        mended = ", ".join(each.get("fix_versions", ())) or "no release yet"
        print(f"{package['name']} {package['version']}: {each['id']}, mended in {mended}")
    unknown = [package["name"] for package in found if "skip_reason" in package]
    if unknown or not found:
        print(
            f"audit: {len(unknown)} of {len(found)} pins could not be checked, {unknown[0] if unknown else 'none'} first: "
            f"{given.service} here serves no advisories of them; run it where it does, or with --service {'osv' if given.service == 'pypi' else 'pypi'}",
            file=sys.stderr,
        )
    else:
        print(f"{len(found)} pins checked by {given.service}: {len(vulnerable)} advisories")
    return 2 if unknown or not found else int(bool(vulnerable))


if __name__ == "__main__":
    sys.exit(main())
