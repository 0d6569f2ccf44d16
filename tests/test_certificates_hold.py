"""Certificates at the edge of what is true, and the package's attacks within them; what claims too much is caught alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from random import Random
from typing import Any, NamedTuple

import pytest
from scipy.stats import beta, binom
from test_vote_certificates import ONE_WORD, VICTIM, Boastful

from robustbench_nlp import certificates as bounds
from robustbench_nlp.certificates import DEFAULT_SAMPLING, Certificate, Sampling, from_votes
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose
from robustbench_nlp.defenses import safer
from robustbench_nlp.defenses.ranmask import Masking
from robustbench_nlp.engine import attack_examples
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.smoothing import CertifiedSmoothed
from robustbench_nlp.stats import least_share
from robustbench_nlp.typo_certificates import TypoCertified
from robustbench_nlp.typo_clusters import TypoClusters

# --- how often a vote's certificate is wrong, where the true share lies right at the threshold

HIDING = Masking(rate=0.95, mask="[UNK]")
"""Of twenty words one is kept, so that every replaced word costs a twentieth of the copies, which is what the bound says."""
EDGE = CertifiedSmoothed(ONE_WORD, HIDING, samples=1)
SAMPLING = Sampling(n0=9, n=30, alpha=0.0502)
SEEDS = 1000


def of(evil: int) -> str:
    """Twenty words, so many of them evil; a copy is of class 1 where it shows one of these."""
    return " ".join(["evil"] * evil + ["good"] * (20 - evil))


TIED, LEANING = of(10), of(4)
"""Of the copies of the first half are of each class, of those of the second four fifths of class 0, and one half after six edits."""


@cache
def share(text: str, label: int) -> float:
    """The share of all copies, each as likely as any other, that are of a class."""
    words = text.split()
    kept = list(combinations(range(len(words)), HIDING.kept(len(words))))
    copies = [" ".join(w if i in chosen else HIDING.mask for i, w in enumerate(words)) for chosen in kept]
    return float((ONE_WORD.predict(copies).argmax(axis=1) == label).mean())


def true(text: str, prediction: int, radius: int) -> bool:
    """Whether most copies of every text with so many words replaced are of the class: of the worst, too."""
    words = text.split()
    against = ("evil", "good")[prediction]
    others = [i for i, word in enumerate(words) if word != against][:radius]
    worst = " ".join(against if i in others else word for i, word in enumerate(words))
    return share(worst, prediction) > 0.5


Claim = Callable[[str, Certificate, Certificate], Certificate]
"""What is claimed of a text by its certificate and by that of other copies."""


def honest(text: str, certificate: Certificate, other: Certificate) -> Certificate:
    return certificate


def at_twice_the_alpha(text: str, certificate: Certificate, other: Certificate) -> Certificate:
    assert other.majority is not None
    return from_votes(other.majority, certificate.votes, HIDING.overlaps(text), 2 * SAMPLING.alpha)


def by_the_raw_share(text: str, certificate: Certificate, other: Certificate) -> Certificate:
    """The share of the votes stands for what it only estimates."""
    guess = other.majority
    assert guess is not None
    low = certificate.votes[guess] / sum(certificate.votes)
    held = [d for d, overlap in enumerate(HIDING.overlaps(text)) if low - (1 - overlap) > 0.5]
    return Certificate(guess if held else None, max(held, default=0))


def of_the_counted_majority(text: str, certificate: Certificate, other: Certificate) -> Certificate:
    """The class is guessed by the votes that are counted for it."""
    assert certificate.majority is not None
    return from_votes(certificate.majority, certificate.votes, HIDING.overlaps(text), SAMPLING.alpha)


@pytest.fixture(scope="module")
def certificates() -> Iterator[Callable[[str], list[Certificate]]]:
    """A text's certificates by so many seeds; the bound of each count is computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "least_share", cache(vars(bounds)["least_share"]))
        yield cache(lambda text: [EDGE.certify(text, replace(SAMPLING, seed=seed)) for seed in range(SEEDS)])


def chance(p: float, needed: float) -> float:
    """The probability that the bound of Clopper and Pearson on a share p, from its definition, lies above what is needed."""
    n = SAMPLING.n
    enough = next(k for k in range(1, n + 1) if beta.ppf(SAMPLING.alpha, k, n - k + 1) > needed)
    return float(binom.sf(enough - 1, n, p))


def test_the_texts_at_the_edge_are_what_they_are_said_to_be() -> None:
    assert share(TIED, 0) == share(TIED, 1) == 0.5
    assert share(LEANING, 0) == 0.8
    assert [true(TIED, label, 0) for label in (0, 1)] == [False, False]
    assert [true(LEANING, 0, radius) for radius in range(8)] == [True] * 6 + [False] * 2
    assert HIDING.overlaps(LEANING)[6] == pytest.approx(0.7)
    assert 0.04 < chance(0.8, 0.8) < chance(0.5, 0.5) <= SAMPLING.alpha


@pytest.mark.parametrize(
    ("claim", "text", "holds"),
    [
        (honest, TIED, True),
        (honest, LEANING, True),
        (by_the_raw_share, TIED, False),
        (by_the_raw_share, LEANING, False),
        (of_the_counted_majority, TIED, False),
        (at_twice_the_alpha, TIED, False),
    ],
    ids=["honest, tied", "honest, leaning", "raw, tied", "raw, leaning", "counted, tied", "twice, tied"],
)
def test_certificates_are_wrong_no_more_often_than_alpha(
    claim: Claim, text: str, holds: bool, certificates: Callable[[str], list[Certificate]]
) -> None:
    """By a test at the level of 0.001; at the edge they are also wrong at least half as often as they may be."""
    made = certificates(text)
    claimed = Counter(claim(text, *pair)[:2] for pair in zip(made, [*made[1:], made[0]], strict=True))
    wrong = sum(n for (label, radius), n in claimed.items() if label is not None and not true(text, label, radius))
    assert bool(binom.sf(wrong - 1, SEEDS, SAMPLING.alpha) > 0.001) is holds
    assert wrong > SEEDS * SAMPLING.alpha / 2


def test_the_class_is_guessed_by_other_copies_than_are_counted() -> None:
    asked: list[Input] = []

    class Recording(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Any:
            asked.extend(inputs)
            return super().predict(inputs, draw)

    long = " ".join(f"word{i}" for i in range(40))  # no two of its copies are alike by chance
    victim = CertifiedSmoothed(Recording(), Masking(rate=0.5, mask="[UNK]"), samples=1)
    for seed in (0, 1):
        victim.certify(long, Sampling(n0=60, n=60, seed=seed))
    assert len(set(asked)) == 240


# --- attacks of the package within the radius: the certified accuracy is no higher than what they leave


SWAPPED = ("dull", "actor", "angry")
"""Each has a synonym two fifths of whose perturbation set of ten lie outside its own."""
SET: dict[str, Any] = {"min_cosine": 0.7, "size": 10}


@cache
def outside() -> KeywordVictim:
    """Class 1 by one word that only a synonym's set has."""
    own = {word: set(safer.perturbations(word, **SET)) for word in SWAPPED}
    reached = {
        far for word in SWAPPED for other in safer.synonyms(word, 0.7) for far in safer.perturbations(other, **SET)
    }
    return KeywordVictim(keywords=((), tuple(sorted(reached.difference(*own.values())))))


COUNTS = Counter({"good": 60, "great": 50, "fine": 40, "awful": 30, "dull": 20, "film": 70, "story": 65, "the": 90})
CLUSTERS = TypoClusters(COUNTS, 100)
"""They read a typo of a known word as that word, and a typo of a typo as no known word."""


def drawn(words: Sequence[Sequence[str]], count: int, others: int) -> list[Example]:
    """Texts of three words of one class, up to so many of the other, and two of none (the last)."""
    rng = Random(3)
    made = []
    for _ in range(count):
        label = rng.randrange(2)
        other = rng.choices(words[1 - label], k=rng.randint(0, others))
        text = [*rng.choices(words[label], k=3), *other, *rng.choices(words[2], k=2)]
        made.append(Example(fields={"text": " ".join(rng.sample(text, len(text)))}, label=label))
    return made


TYPED = drawn([("awful", "awwful", "dulll"), ("good", "goood", "grreat", "finne"), ("film", "the", "stoory")], 24, 2)
MEANT = drawn([SWAPPED, ("derelict",), ("story", "boring")], 20, 1)
TOLD = drawn([("boring", "tedious"), ("funny", "hilarious"), ("the", "of")], 16, 1)


class BoastfulTypos(TypoCertified):
    """Claims one word more than it has tried."""

    def certify(self, item: Input, sampling: Sampling = DEFAULT_SAMPLING) -> Certificate:
        honest = super().certify(item, sampling)
        return honest._replace(radius=honest.radius + 1)


class Deaf(TypoClusters):
    """Claims that typos leave every code as it is."""

    def codes(self, word: str) -> frozenset[str]:
        return frozenset({self.code(word)})


class Doubled(safer.Synonyms):
    """Claims twice the overlap."""

    def overlaps(self, string: str) -> list[float]:
        return [min(1.0, 2 * share) for share in super().overlaps(string)]


class Found(NamedTuple):
    """Of the examples of a victim: how many are certified to be right within the radius, are right and stay so under the attack,
    were certified and yet fell, and fell, all told; `alpha` is the share of certificates that may be wrong."""

    certified: int
    robust: int
    broken: int
    fallen: int
    alpha: float

    @property
    def holds(self) -> bool:
        """Whether the certified accuracy is no higher than the robust one, and no more certificates broke than may be wrong."""
        few = binom.sf(self.broken - 1, self.certified, self.alpha) > 0.01
        return self.certified <= self.robust and bool(few)


def falls(victim: Any, text: str, label: int) -> bool:
    """Whether the victim answers otherwise; of votes: whether a test at the level of 0.001 says that most copies aren't of the class."""
    votes = victim.certify(text, Sampling(n0=1, n=300)).votes
    if votes:
        return least_share(sum(votes) - votes[label], sum(votes), 0.001) > 0.5
    return bool(victim.predict([text])[0].argmax() != label)


def attacked(victim: Any, examples: Sequence[Example], selector: str, radius: int) -> Found:
    certificates = [victim.certify(example.input, Sampling(n0=30, n=300, alpha=0.01)) for example in examples]
    attack = create("attack", selector.format(r=radius))
    ends = attack_examples(attack, victim, examples, seed=0, max_queries=1500)
    held, kept, lost = [], [], []
    for example, certificate, end in zip(examples, certificates, ends, strict=True):
        edits = None if end is None else victim.edits(example.input, end)
        held.append(certificate.prediction == example.label and certificate.radius >= radius)
        lost.append(edits is not None and edits <= radius and falls(victim, str(end), example.label))
        kept.append(not lost[-1] and not falls(victim, str(example.input), example.label))
    broken = sum(certified and fell for certified, fell in zip(held, lost, strict=True))
    return Found(sum(held), sum(kept), broken, sum(lost), 0.01 if certificates[0].votes else 0.0)


def defended(selector: str, victim: KeywordVictim) -> Any:
    words = [Example(fields={"text": word}, label=1) for word, count in COUNTS.items() for _ in range(count)]
    return compose(selector)(victim, words, Random(0))


PRUTHI = "pruthi(max_words={r})"
SWAPS = "word-search:greedy(candidates='neighbours(50,0.7)',threat={{'max_words_changed':{r},'max_words_share':None}})"


@pytest.mark.parametrize(
    ("make", "examples", "attack", "holds"),
    [
        (lambda: defended("robust_encodings(epochs=0)", KeywordVictim()), TYPED, PRUTHI, True),
        (lambda: BoastfulTypos(KeywordVictim(), CLUSTERS, []), TYPED, PRUTHI, False),
        (lambda: TypoCertified(KeywordVictim(), Deaf(COUNTS, 100), []), TYPED, PRUTHI, False),
        (lambda: defended("safer(train=False,min_cosine=0.7,size=10,samples=9)", outside()), MEANT, SWAPS, True),
        (lambda: Boastful(outside(), safer.Synonyms(**SET), samples=9), MEANT, SWAPS, False),
        (lambda: CertifiedSmoothed(outside(), Doubled(**SET), samples=9), MEANT, SWAPS, False),
        (lambda: defended("ranmask(train=False,rate=0.8,samples=9)", VICTIM), TOLD, SWAPS, True),
        (lambda: defended("random_deletion(train=False,rate=0.8,samples=9)", VICTIM), TOLD, SWAPS, True),
    ],
    ids=["codes", "codes+1", "codes deaf", "safer", "safer+1", "safer x2", "ranmask", "random_deletion"],
)
def test_no_attack_within_the_radius_leaves_less_than_is_certified(
    make: Callable[[], Any], examples: list[Example], attack: str, holds: bool
) -> None:
    victim = make()
    found = [attacked(victim, examples, attack, radius) for radius in (1, 2)]
    assert all(one.holds for one in found) is holds
    assert found[0].certified > 0
    assert found[1].fallen > 0
