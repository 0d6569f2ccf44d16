"""Certificates from votes, and attacks within their radius; those that claim too much are caught by the same test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest
from scipy.stats import binom
from test_smoothing import SAMPLING, guarded

from robustbench_nlp.certificates import DEFAULT_SAMPLING, Certificate, Certified, Sampling, from_votes
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose
from robustbench_nlp.defenses import safer
from robustbench_nlp.defenses.random_deletion import Deletion
from robustbench_nlp.defenses.ranmask import Masking
from robustbench_nlp.engine import attack_examples
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.smoothing import BoundedNoise, CertifiedSmoothed, Smoothed
from robustbench_nlp.stats import least_share


def test_a_certificate_follows_from_the_votes() -> None:
    low = least_share(300, 300, 0.01)
    assert low == pytest.approx(0.01 ** (1 / 300))
    assert from_votes(1, [0, 300], [1, 0.6, 0.5], 0.01)[:2] == (1, 1)
    assert from_votes(1, [140, 160], [1, 0.6], 0.01)[:2] == (None, 0)
    assert from_votes(0, [140, 160], [1, 0.6], 0.01).majority == 1
    with pytest.raises(UsageError, match="alpha"):
        Sampling(alpha=0.5)
    with pytest.raises(UsageError, match="n0"):
        Sampling(n0=0)


def test_the_least_share_misses_no_more_often_than_alpha() -> None:
    for p in (0.3, 0.7, 0.95):
        missed = sum(float(binom.pmf(k, 60, p)) for k in range(61) if least_share(k, 60, 0.05) > p)
        assert missed <= 0.05


def test_edits_in_several_fields_share_one_radius() -> None:
    victim = guarded("ranmask(train=False,rate=0.75)")
    assert isinstance(victim, Certified)
    pair = ("good great fine good", "great good fine good great")
    certificate = victim.certify(pair, SAMPLING)
    assert certificate.prediction == 1
    one = min(MASK_75.overlaps(pair[0])[1], MASK_75.overlaps(pair[1])[1])
    assert certificate.radius == (certificate.low - (1 - one) > 0.5)
    assert victim.edits(pair, ("good bad fine good", "bad good fine good great")) == 2
    assert victim.edits(pair, ("good", pair[1])) is None


MASK_75 = Masking(rate=0.75, mask="[UNK]")

VICTIM = KeywordVictim(
    keywords=(
        ("boring", "tedious", "dull", "joke", "laughable"),
        ("funny", "hilarious", "happy", "amusing", "humorous"),
    )
)
WORDS = ("boring", "tedious", "dull", "funny", "hilarious", "happy", "story", "tale", "actor")
"""All but the last three tell a class; in the table each has synonyms, some of the other class."""


def foes(victim: Certified, inner: KeywordVictim, text: str, radius: int, rng: Random, label: int) -> Iterator[str]:
    """Texts within the radius: random ones, and the greedy worst for a victim that counts words."""
    against = inner.keywords[1 - label]
    words = text.split()

    def options(word: str) -> list[str]:
        if "mutual" in victim.certified_edits:
            return list(safer.synonyms(word, 0.7)) or [word]
        return [*against, rng.choice(WORDS)]

    for attempt in range(7):
        changed = list(words)
        order = sorted(rng.sample(range(len(words)), len(words)), key=lambda i: words[i] not in inner.keywords[label])
        for i in order[:radius] if attempt < 4 else rng.sample(range(len(words)), min(radius, len(words))):
            changed[i] = rng.choice(options(changed[i]))
        yield " ".join(changed)
    if "inserted" in victim.certified_edits:
        yield " ".join([*words, *rng.choices(against, k=radius)])
        yield " ".join(word for i, word in enumerate(words) if i not in order[:radius])


def attacks(victim: Certified, inner: KeywordVictim, text: str, radius: int, rng: Random, label: int) -> Iterator[str]:
    """What attacks of the package end in that may change as many words as the radius has edits."""
    for name in ("deepwordbug", "pwws") if radius else ():
        attack = create("attack", f"{name}(threat={{'max_words_changed': {radius}}})")
        example = Example(fields={"text": text}, label=label)
        assert isinstance(victim, Smoothed)
        (found,) = attack_examples(attack, victim, [example], seed=0, max_queries=60)
        if found is not None and victim.edits(text, found) is not None:
            yield found


class Judged(NamedTuple):
    """How many texts were certified, how many certificates were broken, and how many foes differed from their text."""

    certified: int
    broken: int
    attacked: int

    @property
    def plausible(self) -> bool:
        """Whether a test at the level of 0.01 lets so many broken certificates stand as those that are wrong by chance."""
        return bool(binom.sf(self.broken - 1, self.certified, ALPHA) > 0.01)


ALPHA = 0.05
"""The share of certificates that may be wrong."""
Foes = Callable[[Certified, KeywordVictim, str, int, Random, int], Iterator[str]]


def judged(victim: Certified, inner: KeywordVictim, texts: int, against: Foes = foes) -> Judged:
    """The vote over all copies is judged: a foe has broken a certificate where a test at the level of 0.001 says that most
    copies aren't of its class."""
    rng = Random(7)
    certified = broken = attacked = 0
    for number in range(texts):
        leaning = rng.choice([(5, 1), (1, 5), (2, 2)])
        words = [
            *rng.choices(WORDS[:3], k=leaning[0]),
            *rng.choices(WORDS[3:6], k=leaning[1]),
            *rng.choices(WORDS, k=3),
        ]
        text = " ".join(rng.sample(words, len(words)))
        certificate = victim.certify(text, Sampling(n0=40, n=300, alpha=ALPHA, seed=number))
        if certificate.prediction is None:
            continue
        certified += 1
        verdicts = []
        for foe in against(victim, inner, text, certificate.radius, rng, certificate.prediction):
            edits = victim.edits(text, foe)
            assert edits is not None
            assert edits <= certificate.radius
            attacked += edits > 0
            votes = victim.certify(foe, Sampling(n0=1, n=300, alpha=ALPHA, seed=number)).votes
            verdicts.append(least_share(sum(votes) - votes[certificate.prediction], sum(votes), 0.001) > 0.5)
        broken += any(verdicts)
    return Judged(certified, broken, attacked)


@pytest.mark.parametrize(
    "selector",
    [
        "ranmask(train=False,rate=0.75)",
        "random_deletion(train=False,rate=0.75)",
        "safer(train=False,min_cosine=0.7,size=20)",
    ],
)
def test_foes_within_the_radius_break_no_more_than_alpha_allows(selector: str) -> None:
    victim = compose(selector)(VICTIM, [], Random(0))
    assert isinstance(victim, Certified)
    found = judged(victim, VICTIM, 30)
    assert found.certified >= 15
    assert found.attacked >= 30
    assert found.plausible


@pytest.mark.parametrize("selector", ["ranmask(train=False,rate=0.75)", "random_deletion(train=False,rate=0.75)"])
def test_attacks_within_the_radius_break_no_more_than_alpha_allows(selector: str) -> None:
    victim = compose(selector)(VICTIM, [], Random(0))
    assert isinstance(victim, Certified)
    found = judged(victim, VICTIM, 20, attacks)
    assert found.attacked >= 10
    assert found.plausible


ONE_WORD = KeywordVictim(keywords=((), ("evil",)))
"""One word decides, so that edits reach what the bounds allow: every honest radius is the largest true one."""


class Boastful(CertifiedSmoothed):
    """Claims one edit more than follows."""

    def certify(self, item: Input, sampling: Sampling = DEFAULT_SAMPLING) -> Certificate:
        honest = super().certify(item, sampling)
        return honest._replace(radius=honest.radius + 1)


class Doubled(Masking):
    """Claims twice the overlap."""

    def overlaps(self, string: str) -> list[float]:
        return [min(1.0, 2 * share) for share in super().overlaps(string)]


@pytest.mark.parametrize(
    ("make", "noise", "holds"),
    [
        (CertifiedSmoothed, Deletion(rate=0.6), True),
        (CertifiedSmoothed, MASK_75, True),
        (Boastful, Deletion(rate=0.6), False),
        (Boastful, MASK_75, False),
        (CertifiedSmoothed, Doubled(rate=0.75, mask="[UNK]"), False),
    ],
)
def test_a_certificate_that_claims_too_much_is_caught(
    make: type[CertifiedSmoothed], noise: BoundedNoise, holds: bool
) -> None:
    found = judged(make(ONE_WORD, noise, samples=5), ONE_WORD, 15)
    assert found.certified == 15
    assert found.attacked >= 30
    assert found.plausible is holds
