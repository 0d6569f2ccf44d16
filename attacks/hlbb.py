"""HLBB (Maheshwary et al., 2021): a random text that fools the victim, then a genetic search for the most similar one.

Only the victim's decisions are seen. Random candidates go in until the decision flips, originals go back as long as it
stays flipped, and a population of such texts is crossed and mutated for similarity. Differs from the paper: similarity is
that of the whole texts by the embedded encoder, not of windows of 15 words by the Universal Sentence Encoder; the 50
nearest neighbours are those of the encoder's table, of a cosine of 0.6 or more instead of 0.5 as in our TextFooler, and
parts of speech are looked up, not tagged; candidates that would lower the similarity aren't asked for; the best of a population is its most similar member,
where the authors' code takes the one with the fewest changes; where growing numbers of changed words don't flip it, random
numbers of words change, not always all; a start with one change is improved as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Encode, Helped, Request, Sample, Steps
from robustbench_nlp.edits.words import candidate_maker, follow_candidates
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.hard_label import Choices, Ground, decision_threat, opening
from robustbench_nlp.search.importance import descending
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["HLBB"]

CANDIDATES = "neighbours(50,0.6)"
THREAT = decision_threat(CANDIDATES)


@dataclass(frozen=True, kw_only=True, slots=True)
class HLBB:
    """`tries` random texts are drawn at most after those of growing change; the search ends when its best has stood for
    `patience` generations, or has one change. `similarity` names the encoder. The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    similarity: str = "embedded"
    population: int = 30
    generations: int = 1000
    patience: int = 15
    tries: int = 2500
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0 or self.patience < 1 or self.tries < 0:
            raise UsageError(
                "hlbb wants a population of 2 or more, patience of 1 or more, no negative generations or tries"
            )
        follow_candidates(self, THREAT, decision_threat)

    @property
    def helpers(self) -> Helped:
        return ((Encode, self.similarity),)

    def run(self, sample: Sample, rng: Random) -> Steps:
        makers = candidate_maker(self.candidates)
        start = yield from opening(sample, makers, rng, model=self.similarity, tries=self.tries)
        if start is None:
            return None
        ground, choices, best = start
        places, stood = ground.changed(best), 0
        members = yield from _mutated(ground, choices, [(best, place) for place in places])
        for _ in range(self.generations):
            members.append(best)
            cosines = yield from ground.cosines(members)
            top = members[descending(cosines)[0]]
            stood = stood + 1 if top == best else 0
            best = top
            if stood >= self.patience or len(ground.changed(best)) == 1:
                break
            weights = [exp(cosine) for cosine in cosines]
            parents = [rng.choices(members, weights, k=2) for _ in range(self.population - 1)]
            crossed = [a.replace({n: b.word(n) for n in places if rng.random() < 0.5}) for a, b in parents]
            children = yield from _fit(ground, best, crossed)
            drawn = rng.choices(places, k=min(len(places), len(children)))
            members = yield from _mutated(ground, choices, list(zip(children, drawn, strict=False)))
        return best


def _fit(ground: Ground, best: Text, children: Sequence[Text]) -> Generator[Request, Any, list[Text]]:
    """The children that fool the victim and whose words are each the original's, the best member's, or no less similar in
    its place."""
    strange = [
        [best.swap(n, child.word(n)) for n in ground.changed(child) if child.word(n) != best.word(n)]
        for child in children
    ]
    floor, *_ = yield from ground.cosines([best, *(text for texts in strange for text in texts)])
    fit = []
    for child, texts in zip(children, strange, strict=True):
        if min((yield from ground.cosines(texts)), default=floor) >= floor:
            fit.append(child)
    verdicts = yield from ground.fools(fit)
    return [child for child, good in zip(fit, verdicts, strict=True) if good]


def _mutated(
    ground: Ground, choices: Choices, pairs: Sequence[tuple[Text, int]]
) -> Generator[Request, Any, list[Text]]:
    """Each text with the original word in the given slot; where that fools nobody, with the most similar choice that does
    and is no less similar than what stands there; texts with neither are left out."""
    verdicts = yield from ground.fools(ground.back(text, number) for text, number in pairs)
    made = [ground.back(text, number) for (text, number), good in zip(pairs, verdicts, strict=True) if good]
    for text, number in (pair for pair, good in zip(pairs, verdicts, strict=True) if not good):
        others = [text.swap(number, word) for word in choices[number] if word != text.word(number)]
        floor, *cosines = yield from ground.cosines([text, *others])
        nearer = [others[i] for i in descending(cosines) if cosines[i] >= floor]
        good = yield from ground.fools(nearer)
        made += [other for other, fools in zip(nearer, good, strict=True) if fools][:1]
    return made
