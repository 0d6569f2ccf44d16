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
PINS = sorted(ROOT.glob("constraints*.txt"))


def audited(pins: Path, service: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each pin, and what kept it from saying anything ('' for nothing)."""
    line = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
    line += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", service]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError, TypeError):
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        return [], said[-1].strip() if said else "no answer"


def told(pins: Path, service: str) -> int:
    """Print what is known of a file's pins; 0: no advisory, 1: some, 2: not everything could be checked."""
    found, problem = audited(pins, service)
    if problem:
        print(f"audit: the pins of {pins.name} could not be checked: {problem[:200]}", file=sys.stderr)
        return 2
    vulnerable = [(package, each) for package in found for each in package.get("vulns", ())]
    for package, each in vulnerable:
        mended = ", ".join(each.get("fix_versions", ())) or "no release yet"
        print(f"{pins.name}: {package['name']} {package['version']}: {each['id']}, mended in {mended}")
    unknown = [package["name"] for package in found if "skip_reason" in package]
    if unknown or not found:
        print(
            f"audit: {len(unknown)} of {len(found)} pins of {pins.name} could not be checked, {unknown[0] if unknown else 'none'} first: "
            f"{service} here serves no advisories of them; run it where it does, or with --service {'osv' if service == 'pypi' else 'pypi'}",
            file=sys.stderr,
        )
        return 2
    print(f"{pins.name}: {len(found)} pins checked by {service}: {len(vulnerable)} advisories")
    return int(bool(vulnerable))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pins", nargs="*", type=Path, default=PINS, help="files of pins; default: all that there are")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="who is asked for advisories")
    given = parser.parse_args(arguments)
    return max(told(pins, given.service) for pins in given.pins)


if __name__ == "__main__":
    sys.exit(main())
