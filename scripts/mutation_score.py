"""Mutation testing of what every number rests on: `python scripts/mutation_score.py`, or `make mutants`.

mutmut changes stats.py, referee.py and threat.py in one place at a time (`[tool.mutmut]` in pyproject.toml) and runs their
tests; a change that no test notices survives. Prints the score of each module, of which day and commit it is, and the survivors;
exit code 1 below LEAST.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

LEAST = 0.9
MUTMUT = [sys.executable, "-W", "ignore", "-m", "mutmut"]
NOTICED = ("killed", "timeout", "suspicious", "segfault", "caught by type check")
"""What mutmut calls a mutant that made a difference: one that runs for ever does."""
_RESULT = re.compile(r"\s*robustbench_nlp\.(?P<module>[\w.]+?)\.(?P<name>x\w*): (?P<result>[\w ]+)")


def tallied(lines: Iterable[str]) -> tuple[dict[str, Counter[bool]], list[str]]:
    """Per module how many mutants were noticed (True) and not (False), and the names of those that weren't."""
    counts: dict[str, Counter[bool]] = {}
    survivors = []
    for match in filter(None, map(_RESULT.fullmatch, (line.rstrip() for line in lines))):
        noticed = match["result"] in NOTICED
        counts.setdefault(match["module"], Counter())[noticed] += 1
        if not noticed:
            survivors.append(f"robustbench_nlp.{match['module']}.{match['name']}: {match['result']}")
    return counts, survivors


def table(counts: dict[str, Counter[bool]]) -> str:
    """A row a module and one for all."""
    total: Counter[bool] = sum(counts.values(), Counter())
    rows = ["| module | mutants | noticed | score % |", "| :-- | --: | --: | --: |"]
    for name, found in [*sorted(counts.items()), ("all", total)]:
        rows.append(f"| {name} | {found.total()} | {found[True]} | {100 * found[True] / found.total():.1f} |")
    return "\n".join(rows)


def main() -> int:
    from measured_at import measured_at  # a script's neighbour

    made = subprocess.run([*MUTMUT, "run", "--max-children", "2"], capture_output=True, text=True, check=False)
    told = subprocess.run([*MUTMUT, "results", "--all", "true"], capture_output=True, text=True, check=False)
    counts, survivors = tallied(told.stdout.splitlines())
    if made.returncode or not counts:
        print(made.stdout[-3000:] + made.stderr, file=sys.stderr)
        return 2
    print(f"Measured on {measured_at()}:\n\n{table(counts)}")
    for name in survivors:
        print(name)
    total: Counter[bool] = sum(counts.values(), Counter())
    return int(total[True] < LEAST * total.total())


if __name__ == "__main__":
    sys.exit(main())
