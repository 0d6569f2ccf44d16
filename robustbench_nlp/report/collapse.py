"""Signs that a number is a constant answer's: a victim that always says one class is perfectly robust, and useless."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from robustbench_nlp.compact import Compact
from robustbench_nlp.records import Record
from robustbench_nlp.stats import crossed_mcnemar

__all__ = ["Answers", "collapsed", "no_better_than_constant"]

ALPHA = 0.05


@dataclass(frozen=True)
class Answers:
    """What a defended victim answers to each example without an attack; None where it answered nothing."""

    labels: Mapping[str, int]
    predictions: Mapping[str, int | None]

    @classmethod
    def of(cls, cells: Iterable[Iterable[Record]]) -> Answers:
        """The answers of one defended victim, from the records of all its cells: any may have met what another didn't."""
        labels: Compact[int] = Compact(kind=int)
        predictions: Compact[int | None] = Compact(kind=int)
        for record in (record for cell in cells for record in cell):
            labels[record.example_id] = record.label
            if predictions.get(record.example_id) is None:
                settled = record.outcome == "settled"  # an earlier member of a cascade met it, and it was right
                predictions[record.example_id] = record.label if settled else record.clean_prediction
        return cls(labels, predictions)

    @property
    def right(self) -> int:
        """How many examples are answered right."""
        return sum(self.predictions[example] == label for example, label in self.labels.items())

    def says(self, answer: int, examples: Iterable[str]) -> Iterator[bool]:
        """Whether each example is answered so."""
        return (self.predictions[example] == answer for example in examples)


def no_better_than_constant(answers: Answers) -> str:
    """The evidence that the accuracy isn't significantly above the largest class's share, by the exact one-sided binomial test at
    5 %; '' where it is."""
    from scipy.stats import binomtest

    n = len(answers.labels)
    if not n:
        return ""
    constant = max(Counter(answers.labels.values()).values())
    p = float(binomtest(answers.right, n, constant / n, alternative="greater").pvalue)
    if p < ALPHA:
        return ""
    return (
        f"{answers.right} of {n} examples are right without an attack, a constant answer would have {constant} (exact "
        f"binomial p = {p:.2g})"
    )


def collapsed(defended: Answers, plain: Answers) -> str:
    """The evidence that a defense drives the answers towards one class: it says it significantly more often than the
    undefended victim (McNemar's exact test at 5 %), more often than it is right to, and is right less often; '' without."""
    examples = Compact(
        ((example, label) for example, label in plain.labels.items() if example in defended.labels), kind=int
    )
    answers = (defended.predictions[example] for example in examples)
    said = Counter(answer for answer in answers if answer is not None)
    if not said or defended.right >= plain.right:
        return ""
    answer, often = said.most_common(1)[0]
    wanted = sum(label == answer for label in examples.values())
    crossed = Counter(zip(defended.says(answer, examples), plain.says(answer, examples), strict=True))
    before = crossed[True, True] + crossed[False, True]
    p = crossed_mcnemar(crossed[True, False], crossed[False, True])
    if often <= max(before, wanted) or p >= ALPHA:
        return ""
    return (
        f"it says class {answer} to {often} of {len(examples)} examples, the undefended victim to {before} and the labels "
        f"to {wanted} (McNemar p = {p:.2g}), and is right on {defended.right} instead of {plain.right} without an attack"
    )
