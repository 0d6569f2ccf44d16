"""Does one search space give the published order of searches (Yoo et al., 2020)? `python scripts/compare_searches.py [N]`.

Runs every `word_search` on N test sentences of mr (default 200) against one victim, and writes results/search/: the table,
the paired tests (exact McNemar, Holm over all pairs), and which of the paper's claims hold: random below greedy, no pair
significantly reversed, cost rising from importance to populations.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

import robustbench_nlp as rb
from robustbench_nlp.attacks.word_search import SEARCHES
from robustbench_nlp.stats import holm

FOLDER = Path(__file__).parent.parent / "results" / "search"
PUBLISHED = ("random", "random_order", "importance", "greedy", "beam")
"""Weakest first; populations are claimed to cost more, not to be stronger than beam search."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("examples", nargs="?", type=int, default=200)
    parser.add_argument("--victim", default="tfidf-mr")
    options = parser.parse_args()
    attacks = [f"word-search:{name}" for name in SEARCHES]
    run = rb.evaluate(victim=options.victim, dataset="mr", attacks=attacks, limit=options.examples, similarity="none")
    broken = {
        attack.partition(":")[2]: {record.example_id for record in records if record.outcome == "success"}
        for (_, attack), records in run.records.items()
    }
    pairs = list(combinations(broken, 2))
    only = [(len(broken[a] - broken[b]), len(broken[b] - broken[a])) for a, b in pairs]
    p = [binomtest(x, x + y).pvalue if x + y else 1.0 for x, y in only]
    adjusted = holm(p)
    tests = pd.DataFrame(
        [
            {"first": a, "second": b, "only_first": x, "only_second": y, "p": raw, "p_holm": corrected}
            for (a, b), (x, y), raw, corrected in zip(pairs, only, p, adjusted, strict=True)
        ]
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    run.table.drop(columns="seconds").to_csv(FOLDER / "table.csv", index=False)
    tests.to_csv(FOLDER / "pairs.csv", index=False)
    (FOLDER / "README.md").write_text(_page(run.table, tests, options.victim, options.examples), encoding="utf-8")
    print((FOLDER / "README.md").read_text(encoding="utf-8"))


def _page(table: pd.DataFrame, tests: pd.DataFrame, victim: str, examples: int) -> str:
    rows = table.assign(search=table["attack"].str.partition(":")[2]).set_index("search")
    lines = [
        "# One search space, seven searches",
        "",
        f"`python scripts/compare_searches.py {examples} --victim {victim}`: WordNet synonyms, at most a quarter of the words, "
        f"{examples} test sentences of `mr`.",
        "",
        "| search | success % | queries | words changed |",
        "| :-- | --: | --: | --: |",
        *(
            f"| {name} | {100 * row['attack_success_rate']:.1f} [{100 * row['asr_low']:.1f}–{100 * row['asr_high']:.1f}] "
            f"| {row['queries_mean']:.0f} | {row['words_changed_mean']:.2f} |"
            for name, row in rows.iterrows()
        ),
        "",
    ]
    random = tests[(tests["first"] == "random") & (tests["second"] == "greedy")].iloc[0]
    lines.append(
        f"- random below greedy: {_verdict(random['only_second'] > random['only_first'] and random['p'] < 0.05)} (p = {random['p']:.2g})"
    )
    rank = {name: i for i, name in enumerate(PUBLISHED)}
    ranked = tests[tests["first"].isin(rank) & tests["second"].isin(rank)]
    reversed_ = ranked[(ranked["only_first"] > ranked["only_second"]) & (ranked["p_holm"] < 0.05)]
    small = ranked[(ranked["only_first"] > ranked["only_second"]) & (ranked["p_holm"] >= 0.05)]
    lines.append(f"- no pair of {', '.join(PUBLISHED)} significantly reversed (Holm): {_verdict(reversed_.empty)}")
    lines += [
        f"- small inversion: {row['first']} broke {row['only_first']} that {row['second']} did not, and missed {row['only_second']}"
        for row in small.to_dict("records")
    ]
    cost = max(rows.loc[name, "queries_mean"] for name in ("genetic", "swarm")) / rows.loc["importance", "queries_mean"]
    lines.append(f"- populations cost at least five times importance: {_verdict(cost >= 5)} ({cost:.1f} times)")
    return "\n".join(lines) + "\n"


def _verdict(holds: bool) -> str:
    return "holds" if holds else "**does not hold**"


if __name__ == "__main__":
    main()
