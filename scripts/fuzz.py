"""Fuzzes every target of `scripts/fuzz_targets.py` by coverage, with atheris, and records how many inputs each one took.

    make fuzz                                   # every target for 45 seconds or more: results/fuzz/fuzz.csv and README.md
    python scripts/fuzz.py --seconds 600 csv_reader yaml_reader

An input that breaks a target is kept in `--found`, and its bytes are printed: add them to tests/test_fuzz.py with the mending.
"""

from __future__ import annotations

import argparse
import csv
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from measured_at import measured_at

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "results" / "fuzz"
HEADINGS = ("target", "what holds", "inputs", "seconds", "edges covered", "findings", "measured on")


class Fuzzed(NamedTuple):
    """One target's run."""

    target: str
    holds: str
    inputs: int
    seconds: float
    edges: int
    findings: int
    measured: str


def fuzz(name: str, seconds: int, found: Path) -> Fuzzed:
    """One target in a process of its own, for its share of `seconds`; what breaks it is printed and kept."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(_targets().SEEDS.get(name, ())):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [
            f"-max_total_time={seconds * _targets().SHARES.get(name, 1)}",
            "-timeout=20",
            "-rss_limit_mb=3000",
            "-max_len=400",
            "-print_final_stats=1",
        ]
        line = [sys.executable, __file__, "--one", name, *limits, f"-artifact_prefix={found}/{name}-", corpus]
        start = time.monotonic()
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
        spent = time.monotonic() - start
    told = done.stdout + done.stderr
    if done.returncode:
        print(
            told.partition("=== Uncaught Python exception")[2].partition("==")[2].partition("==ERROR")[0]
            or told[-3000:]
        )
        for path in sorted(found.glob(f"{name}-*")):
            print(f"{path}: {path.read_bytes()!r}")
    inputs = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
    edges = re.findall(r"cov: (\d+)", told)
    doc = " ".join((_targets().TARGETS[name].__doc__ or "").split())
    count = int(inputs.group(1)) if inputs else 0
    covered, broke = int(edges[-1]) if edges else 0, int(bool(done.returncode))
    return Fuzzed(name, doc, count, round(spent, 1), covered, broke, measured_at())


def _targets():  # type: ignore[no-untyped-def]  # a script's neighbour
    import fuzz_targets

    return fuzz_targets


def one(arguments: Sequence[str]) -> None:
    """Take over this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["robustbench_nlp", "yaml", "fuzz_targets", "fuzz_reports"]):
        targets = _targets()
    target = targets.TARGETS[arguments[0]]
    atheris.Setup([sys.argv[0], *arguments[1:]], lambda content: target(targets.Given(content)))
    atheris.Fuzz()


FOUND = """Found so, and mended:

- Records and headers whose checksum is right and whose content is none: a traceback from `report`, `compare` and `verify`; now one line.
- A label or name that is no UTF-8 (a file's name may be none): no table could hold it; now it is written out.
- Such a name in the table of valid successes, which the web page has: a traceback from `report`; now written out there, too.
- Zip files whose index points before their beginning, or that say they are bzip2: errors of the library; now \"damaged\"."""


def kept(output: Path, anew: set[str]) -> list[Fuzzed]:
    """The rows of the table that is there, without those that are made anew."""
    path = output / "fuzz.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            Fuzzed(name, holds, int(inputs), float(seconds), int(edges), int(findings), measured)
            for name, holds, inputs, seconds, edges, findings, measured in list(csv.reader(file))[1:]
        ]
    return [row for row in rows if row.target not in anew and row.target in _targets().TARGETS]


def write(rows: Sequence[Fuzzed], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with (output / "fuzz.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Fuzzed._fields, *rows])
    lines = [f"| {' | '.join(HEADINGS)} |", "| :-- | :-- | --: | --: | --: | --: | :-- |"]
    lines += [
        f"| {r.target} | {r.holds} | {r.inputs:,} | {r.seconds:.0f} | {r.edges:,} | {r.findings} | {r.measured} |"
        for r in rows
    ]
    page = f"""# Fuzzing

Made by `make fuzz` or `python scripts/fuzz.py TARGET…` ({platform.python_implementation()} {platform.python_version()}, atheris {version("atheris")}, one core): {sum(r.inputs for r in rows):,} inputs in
{sum(r.seconds for r in rows) / 60:.0f} minutes. Every target takes any bytes; a finding is an exception other than the one-line `UsageError`, a broken promise, an
answer that takes 20 seconds, or 3 GB. Inputs that once broke a target are tests in `tests/test_fuzz.py`.

{chr(10).join(lines)}

{FOUND}
"""
    (output / "README.md").write_text(page, "utf-8")


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="which; the rows of others stay as they are (default: all)")
    parser.add_argument("--seconds", type=int, default=45, help="for each target; slow ones take several times that")
    parser.add_argument(
        "--found", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-found", help="for what breaks one"
    )
    given = parser.parse_args()
    try:
        version("atheris")
    except PackageNotFoundError:
        print("fuzzing needs atheris: pip install 'robustbench-nlp[fuzz]', or make fuzz", file=sys.stderr)
        return 2
    known = list(_targets().TARGETS)
    if unknown := [name for name in given.targets if name not in known]:
        print(f"no target '{unknown[0]}'; known: {', '.join(known)}", file=sys.stderr)
        return 2
    given.found.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in given.targets or known:
        rows.append(fuzz(name, given.seconds, given.found))
        print(
            f"{name}: {rows[-1].inputs:,} inputs in {rows[-1].seconds:.0f} s, {rows[-1].findings} findings", flush=True
        )
    others = kept(OUTPUT, set(given.targets)) if given.targets else []
    write(sorted([*others, *rows], key=lambda row: known.index(row.target)), OUTPUT)
    return int(any(row.findings for row in rows))


if __name__ == "__main__":
    sys.exit(main())
