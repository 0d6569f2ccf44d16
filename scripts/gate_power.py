"""What a comparison gate can decide, by its examples, tolerance and true drop: `python scripts/gate_power.py`.

Prints the tables of docs/gates.md. The first is simulated with the interval that gates use (`DRAWS` gates an entry, so an entry
is known to within 2 points); the second is by the normal approximation in `robustbench_nlp.power`, which gates use to say how
many examples they need.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from robustbench_nlp.power import gate_needed
from robustbench_nlp.stats import crossed_difference

DRAWS = 4000
SIZES = (50, 100, 200, 400, 800, 1600)
FLIPS = (0.2, 0.4)
"""Shares of examples whose verdict changes, either way."""
CASES = ((0.02, 0.05), (0.02, 0.10), (0.05, 0.10), (0.05, 0.15), (0.10, 0.15))
"""Tolerance and true drop."""
TOLERANCES = (0.02, 0.03, 0.05, 0.10)
ACCURACY = 0.5
"""Of the simulated baseline."""


def simulated(n: int, drop: float, tolerance: float, share: float, *, draws: int = DRAWS) -> Counter[str]:
    """The outcomes of `draws` gates of `n` examples: accuracies are `drop` apart, and the `share` of all verdicts flips."""
    lost, won = (share + drop) / 2, (share - drop) / 2
    shares = (ACCURACY - lost, lost, won, 1 - ACCURACY - won)
    outcomes: Counter[str] = Counter()
    for pairs in np.random.default_rng(0).multinomial(n, shares, size=draws).tolist():
        low, high = crossed_difference(*pairs, confidence=0.90)
        outcomes["fail" if low > tolerance else "pass" if high <= tolerance else "inconclusive"] += 1
    return outcomes


def caught() -> list[str]:
    """How often a gate fails a victim that is worse than tolerated, in percent: sizes down, cases across, an entry a share of flips."""
    heads = [f"{100 * drop:.0f}, tolerance {100 * tolerance:.0f}" for tolerance, drop in CASES]
    lines = [f"| n | {' | '.join(heads)} |", f"| --: |{' --: |' * len(CASES)}"]
    for n in SIZES:
        cells = [
            " / ".join(f"{100 * simulated(n, drop, tolerance, share)['fail'] / DRAWS:.0f}" for share in FLIPS)
            for tolerance, drop in CASES
        ]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return lines


def enough() -> list[str]:
    """How many examples let a victim that became no worse pass four times in five: tolerances across, shares of flips down."""
    heads = [f"tolerance {100 * tolerance:.0f}" for tolerance in TOLERANCES]
    lines = [f"| flips | {' | '.join(heads)} |", f"| --: |{' --: |' * len(TOLERANCES)}"]
    for share in (0.05, 0.1, *FLIPS):
        sizes = [str(gate_needed(0, tolerance, share)) for tolerance in TOLERANCES]
        lines.append(f"| {100 * share:.0f} % | {' | '.join(sizes)} |")
    return lines


def main() -> None:
    print("\n".join([*caught(), "", *enough()]))


if __name__ == "__main__":
    main()
