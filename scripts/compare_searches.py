"""Does one search space give the published order of searches (Yoo et al., 2020)? `python scripts/compare_searches.py [N]`.

Runs every `word_search` on N test sentences of mr (default 200) against one victim, and writes into a folder, runs/search unless
another is named: the table, the paired tests (exact McNemar, Holm over all pairs), and a page with the paper's figures beside them
that says whether random stays below greedy, no pair is significantly reversed, and cost rises from importance to populations.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

import robustbench_nlp as rb
from robustbench_nlp.attacks.word_search import SEARCHES
from robustbench_nlp.records import Record
from robustbench_nlp.report.shown import markdown, percent
from robustbench_nlp.stats import holm

ORDER = ("random", "random_order", "importance", "greedy", "beam")
"""Weakest first; populations are claimed to cost more, not to be stronger than beam search."""
PUBLISHED = {
    "random_order": ((53.4, 24), (71.8, 22)),
    "importance": ((55.6, 40), (72.0, 36)),
    "greedy": ((59.4, 69), (74.2, 59)),
    "beam": ((65.8, 303), (76.0, 222)),
    "genetic": ((65.6, 1063), (76.0, 730)),
    "swarm": ((65.4, 2078), (76.6, 1179)),
}
"""Success in percent and queries of a success, of BERT and of an LSTM: Yoo et al. (2020), Table 3, MR, WordNet; there as WIR-RAND,
WIR-UNK, greedy, beam 8, genetic and PSO."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("examples", nargs="?", type=int, default=200)
    parser.add_argument("--victim", default="tfidf-mr")
    parser.add_argument("--output", default="runs/search", type=Path, help="default: %(default)s")
    options = parser.parse_args(arguments)
    attacks = [f"word-search:{name}" for name in SEARCHES]
    run = rb.evaluate(victim=options.victim, dataset="mr", attacks=attacks, limit=options.examples, similarity="none")
    found = {attack.partition(":")[2]: _broken(records) for (_, attack), records in run.records.items()}
    tests = _tests(found)
    lines = [
        "# One search space, seven searches",
        "",
        f"`python scripts/compare_searches.py {options.examples} --victim {options.victim}`: WordNet synonyms, at most a quarter of "
        f"the words, {options.examples} test sentences of `mr`.",
        "",
        markdown(run.table),
        "## Beside the paper",
        "",
        *_beside(run.table, found),
        "",
        *_claims(run.table, tests),
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    run.table.drop(columns="seconds").to_csv(options.output / "table.csv", index=False)
    tests.to_csv(options.output / "pairs.csv", index=False)
    page = "\n".join(lines) + "\n"
    (options.output / "README.md").write_text(page, encoding="utf-8")
    print(page)


def _broken(records: Sequence[Record]) -> dict[str, int]:
    """The queries of each success, by example."""
    return {record.example_id: record.queries for record in records if record.outcome == "success"}


def _tests(found: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Every pair of searches: what only one of them broke, and the chance of as uneven a split."""
    pairs = list(combinations(found, 2))
    only = [(len(found[a].keys() - found[b].keys()), len(found[b].keys() - found[a].keys())) for a, b in pairs]
    p = [binomtest(x, x + y).pvalue if x + y else 1.0 for x, y in only]
    return pd.DataFrame(
        [
            {"first": a, "second": b, "only_first": x, "only_second": y, "p": raw, "p_holm": corrected}
            for (a, b), (x, y), raw, corrected in zip(pairs, only, p, holm(p), strict=True)
        ]
    )


def _by_search(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(table["attack"].str.partition(":")[2])


def _beside(table: pd.DataFrame, found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Success and queries of a success, here and as published."""
    yield "Success %, queries of a success; BERT and LSTM: Yoo et al. (2020), Table 3, MR, WordNet."
    yield ""
    yield "| search | here | BERT | LSTM |"
    yield "| :-- | --: | --: | --: |"
    success = _by_search(table)["attack_success_rate"]
    for name, queries in found.items():
        here = f"{percent(success[name])}, {sum(queries.values()) / max(len(queries), 1):.0f}"
        bert, lstm = (", ".join(map(str, told)) for told in PUBLISHED.get(name, ("–", "–")))
        yield f"| {name} | {here} | {bert} | {lstm} |"


def _claims(table: pd.DataFrame, tests: pd.DataFrame) -> Iterator[str]:
    """Which claims hold, and small inversions."""
    random = tests[(tests["first"] == "random") & (tests["second"] == "greedy")].iloc[0]
    below = _verdict(random["only_second"] > random["only_first"] and random["p"] < 0.05)
    yield f"- random below greedy: {below} (p = {random['p']:.2g})"
    ranked = tests[tests["first"].isin(ORDER) & tests["second"].isin(ORDER)]
    inverted = ranked[ranked["only_first"] > ranked["only_second"]]
    told = inverted["p_holm"] < 0.05
    yield f"- no pair of {', '.join(ORDER)} significantly reversed (Holm): {_verdict(not told.any())}"
    for row in inverted[~told].to_dict("records"):
        broke, missed = f"{row['first']} broke {row['only_first']}", f"missed {row['only_second']}"
        yield f"- small inversion: {broke} that {row['second']} did not, and {missed}"
    queries = _by_search(table)["queries_mean"]
    cost = queries[["genetic", "swarm"]].max() / queries["importance"]
    yield f"- populations cost at least five times importance: {_verdict(cost >= 5)} ({cost:.1f} times)"


def _verdict(holds: bool) -> str:
    return "holds" if holds else "**does not hold**"


if __name__ == "__main__":
    main()
