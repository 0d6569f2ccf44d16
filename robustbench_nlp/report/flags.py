"""Automatic warnings that a robust accuracy may say less than it seems to, each with its evidence; after AutoAttack's flags.

Croce and Hein (2020) warn where an evaluation shows signs of randomness or of hidden gradients; these are such signs for
texts. A flag proves nothing: it says where to look before a number is quoted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from robustbench_nlp.data.example import Input
from robustbench_nlp.grid import DRAWS
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.report.collapse import Answers, collapsed, no_better_than_constant
from robustbench_nlp.report.evidence import Evidence, EvidenceCell, Evidenced, evidence_cells
from robustbench_nlp.stats import crossed_mcnemar, wilson
from robustbench_nlp.tasks.classification import DIGITS
from robustbench_nlp.victim import Victim

__all__ = ["Evidence", "Evidenced", "Flag", "few_draws", "flags", "train_overlap"]

PROBED = 32
"""Texts that the victim is asked twice."""
SHOWN = 200
"""Examples whose clean outputs are looked at."""
SATURATED, SATURATED_SHARE = 0.9999, 0.25
"""Scores are rounded to 1e-5: above this probability a search has ten levels to climb."""
FEWEST, DISTINCT_SHARE = 20, 0.5
"""From so many unsaturated outputs on, real numbers of five decimals hardly ever repeat."""
ALPHA = 0.05
UNLIMITED_SUCCESS = 0.9
REJECTED_SHARE = 0.01
"""Of the successes that searches claim."""


class Flag(NamedTuple):
    """A warning: its name, and a sentence with the numbers behind it."""

    name: str
    evidence: str


def flags(run: Evidenced, victim: Victim | None = None) -> list[Flag]:
    """Every warning that the run's records give cause for; with the undefended `victim`, 64 predictions more show whether
    it answers alike twice.

    Names: `clean_at_floor`, `robust_by_collapse`, `nondeterministic_victim`, `saturated_scores`, `quantised_scores`, `random_beats_search`,
    `transfer_beats_direct`, `unlimited_attack_fails`, `gradient_weaker_than_score`, `no_attack`, `rejected_claims`. Comparisons of attacks are within
    one defense and one unit of change, paired by example, significant at 0.05 by McNemar's exact test; what an earlier member of
    a cascade broke counts against the warning.
    """
    cells = evidence_cells(run)
    defenses = [[cell for cell in cells if cell.defense == name] for name in dict.fromkeys(c.defense for c in cells)]
    found = [*_nondeterministic(cells, victim)] if victim is not None else []
    for defended in defenses:
        found += [*_constant(defended), *_collapsed(defended, defenses)]
        found += [*_unattacked(defended), *_rejected(defended), *_coarse(defended)]
        for unit in dict.fromkeys(cell.unit for cell in defended if cell.unit):
            alike = [cell for cell in defended if cell.unit == unit]
            found += [*_random(alike), *_transfer(alike), *_gradient(alike)]
        found += _unlimited(defended)
    return found


def few_draws(defense: str, draws: int) -> list[Flag]:
    """The warning that a random victim is judged by fewer draws than a leaderboard takes; none from so many on."""
    if draws >= DRAWS:
        return []
    told = f"{defense}: a random victim's answers are the mean of {draws} draws; the leaderboard takes {DRAWS} or more."
    return [Flag("few_draws", told)]


def train_overlap(attacked: int, total: int) -> list[Flag]:
    """The warning that so many examples of a training split are attacked, and were left out; none for 0."""
    if not attacked:
        return []
    told = f"{attacked} of the {total} training examples are attacked; no defense learned from them."
    return [Flag("train_overlap", told)]


def _nondeterministic(cells: Sequence[EvidenceCell], victim: Victim) -> Iterator[Flag]:
    """The same texts in the same batch, twice."""
    inputs = _first(PROBED, (record.original for cell in cells for record in cell.records))
    if victim.random or not inputs:
        return
    predictor = Predictor(victim)
    moved = np.abs(predictor.predict(inputs).outputs - predictor.predict(inputs).outputs).max(axis=1)
    unequal = int((moved > 10.0**-DIGITS).sum())
    if unequal:
        yield Flag(
            "nondeterministic_victim",
            f"{victim.name} says random=False but answered {unequal} of {len(inputs)} texts otherwise when asked again, "
            f"by up to {np.nanmax(moved):.2g}; declare it random and run with more draws.",
        )


def _first(most: int, inputs: Iterable[Input]) -> list[Input]:
    """The first so many that differ."""
    found: dict[Input, None] = {}
    for item in inputs:
        found[item] = None
        if len(found) == most:
            break
    return list(found)


def _constant(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """A defended victim that a constant answer equals."""
    evidence = no_better_than_constant(Answers.of(cell.records for cell in cells))
    if evidence:
        yield Flag(
            "clean_at_floor", f"{cells[0].defense}: {evidence}; its robustness may be that of a constant answer."
        )


def _collapsed(cells: Sequence[EvidenceCell], defenses: Sequence[Sequence[EvidenceCell]]) -> Iterator[Flag]:
    """A defense that leaves more right under an attack because it answers one class more often."""
    plain = next((other for other in defenses if other[0].defense == "none"), cells)
    if plain is cells:
        return
    before = {cell.name: cell.right for cell in plain}
    gains = {
        cell.name: (before[cell.name], cell.right) for cell in cells if cell.right > before.get(cell.name, cell.right)
    }
    evidence = collapsed(*(Answers.of(cell.records for cell in side) for side in (cells, plain))) if gains else ""
    if evidence:
        name, (old, new) = max(gains.items(), key=lambda gain: gain[1][1] - gain[1][0])
        yield Flag(
            "robust_by_collapse",
            f"{cells[0].defense}: {evidence}; part of what it gains, {old} to {new} right under {name}, is a constant answer's.",
        )


def _unattacked(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """Query 1 (of each draw) is the clean prediction: a budget of one buys no candidate."""
    direct = (cell for cell in cells if cell.mode != "transfer")
    names = [cell.name for cell in direct if cell.max_queries is not None and cell.max_queries <= cell.draws]
    if names:
        yield Flag(
            "no_attack",
            f"{cells[0].defense}: a budget of 0 or 1 queries is no attack, the clean prediction being query 1; robust accuracy "
            f"under {', '.join(names)} is the clean one.",
        )


def _rejected(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """Texts that a search took for successes, in its own precision, batches and draws, and the referee didn't."""
    rejected = claimed = 0
    for record in (record for cell in cells for record in cell.records):
        rejected += record.rejected_successes
        claimed += record.rejected_successes + (record.outcome == "success")
    if rejected and rejected >= REJECTED_SHARE * claimed:
        yield Flag(
            "rejected_claims",
            f"{cells[0].defense}: the referee rejected {rejected} of {claimed} successes that searches claimed: in float32, for "
            "their threat, under a random victim's fresh draws or by a detector that it had to pass; none of them counts, but a search that is misled finds less.",
        )


def _coarse(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """Outputs that give a search by score little to go by."""
    tops = _clean_tops(cells)
    high = sum(top >= SATURATED for top in tops)
    if tops and high >= SATURATED_SHARE * len(tops):
        yield Flag(
            "saturated_scores",
            f"{cells[0].defense}: {high} of {len(tops)} clean outputs give their class at least {SATURATED}; a search by score "
            "has next to nothing to climb there, so add attacks that need decisions only.",
        )
    lower = [top for top in tops if top < SATURATED]
    distinct = len(set(lower))
    if len(lower) >= FEWEST and distinct <= DISTINCT_SHARE * len(lower):
        yield Flag(
            "quantised_scores",
            f"{cells[0].defense}: {len(lower)} unsaturated clean outputs hold only {distinct} distinct top probabilities; steps "
            "that a search needs may be rounded away.",
        )


def _clean_tops(cells: Iterable[EvidenceCell]) -> list[float]:
    """The top clean probability of the first 200 examples, by whichever cell has it: of many more, any would repeat. None of random
    victims, of which the records hold votes that no search saw."""
    outputs: dict[str, list[float]] = {}
    for record in (record for cell in cells if cell.draws == 1 for record in cell.records):
        if record.clean_output and (len(outputs) < SHOWN or record.example_id in outputs):
            outputs[record.example_id] = record.clean_output
    return [max(output) for output in outputs.values()]


def _random(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """The strongest blind baseline against every search."""
    blind = [cell for cell in cells if cell.blind]
    searches = [cell for cell in cells if not cell.blind and cell.mode != "transfer"]
    for search in searches if blind else ():
        evidence = _stronger(_strongest(blind), search)
        if evidence:
            yield Flag("random_beats_search", f"{evidence}: an attack without a search should not beat one with it.")


def _transfer(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """The strongest transferred attack against the strongest direct one."""
    transferred = [cell for cell in cells if cell.mode == "transfer"]
    direct = [cell for cell in cells if cell.mode != "transfer"]
    evidence = _stronger(_strongest(transferred), _strongest(direct)) if transferred and direct else ""
    if evidence:
        yield Flag("transfer_beats_direct", f"{evidence}: texts made for another model should not break more.")


def _gradient(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """The strongest attack by score against the strongest by gradient."""
    searches = [cell for cell in cells if not cell.blind and cell.mode != "transfer"]
    scores = [cell for cell in searches if cell.knowledge == "score"]
    gradients = [cell for cell in searches if cell.knowledge == "gradient"]
    evidence = _stronger(_strongest(scores), _strongest(gradients)) if scores and gradients else ""
    if evidence:
        yield Flag(
            "gradient_weaker_than_score", f"{evidence}: the gradients may be masked, or the attack misled by them."
        )


def _unlimited(cells: Sequence[EvidenceCell]) -> Iterator[Flag]:
    """An attack that may change anything, at any cost, should break nearly everything."""
    for cell in cells:
        if cell.blind or cell.mode == "transfer" or cell.max_queries is not None or _limited(cell):
            continue
        verdicts, settled = cell.verdicts, len(cell.settled)
        if not verdicts:
            continue
        successes = sum(verdicts.values())
        if wilson(successes + settled, len(verdicts) + settled).high < UNLIMITED_SUCCESS:
            yield Flag(
                "unlimited_attack_fails",
                f"{cell} has no budget and its threat no limits, yet it breaks only {successes} of {len(verdicts)} attempted "
                "examples: it sets limits of its own, or its search is led astray.",
            )


def _limited(cell: EvidenceCell) -> bool:
    if cell.attack is None:
        return True
    t = cell.attack.threat
    limits = (
        t.max_words_changed,
        t.max_words_share,
        t.max_words_exchanged,
        t.max_edits,
        t.max_edits_per_word,
        t.min_similarity,
        t.candidates,
    )
    return any(limit is not None for limit in limits)


def _strongest(cells: Sequence[EvidenceCell]) -> EvidenceCell:
    return max(cells, key=lambda cell: sum(cell.verdicts.values()))


def _stronger(first: EvidenceCell, second: EvidenceCell) -> str:
    """The evidence that `first` breaks significantly more of the examples that both attempted; '' without it.

    In a cascade the later of two attacks meets only what the earlier one failed on, so that of what both attempted the earlier
    one has broken nothing. What either didn't meet for this counts as failed by `first` and broken by `second`.
    """
    ours, theirs = first.verdicts, second.verdicts
    a_unmet = Counter((False, theirs[example]) for example in first.settled if example in theirs)
    b_unmet = Counter((ours[example], True) for example in second.settled if example in ours)
    met = Counter((ours[example], theirs[example]) for example in ours if example in theirs) + a_unmet + b_unmet
    only_first, only_second = met[True, False], met[False, True]
    if only_first <= only_second or (p := crossed_mcnemar(only_first, only_second)) >= ALPHA:
        return ""
    both = met[True, True]
    told = "at most" if b_unmet else "only"
    least = "at least " if a_unmet else ""
    return (
        f"{first} breaks {least}{both + only_first} of {met.total()} examples, {second} {told} {both + only_second} "
        f"(McNemar p = {p:.2g})"
    )
