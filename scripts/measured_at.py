"""The day and the commit that a figure is of, as records and pages name them: `python scripts/measured_at.py`."""

from __future__ import annotations

from datetime import date

from robustbench_nlp.environment import environment


def measured_at() -> str:
    """Today and the short hash of the checked-out commit, `+changes` behind it where files differ from that."""
    commit, _, changes = (environment()["commit"] or "").partition("+")
    return f"{date.today().isoformat()} at {commit[:7] or 'an unknown commit'}{'+changes' * bool(changes)}"


if __name__ == "__main__":
    print(measured_at())
