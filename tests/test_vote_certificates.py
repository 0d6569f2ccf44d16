"""Certificates from votes, and attacks within their radius."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from test_smoothing import SAMPLING, guarded

from robustbench_nlp.certificates import Certified, Sampling, from_votes
from robustbench_nlp.defense import compose
from robustbench_nlp.defenses import safer
from robustbench_nlp.defenses.ranmask import Masking
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
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
    from scipy.stats import binom

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


def foes(victim: Certified, text: str, radius: int, rng: Random, label: int) -> Iterator[str]:
    """Texts within the radius: random ones, and the greedy worst for a victim that counts words."""
    against = VICTIM.keywords[1 - label]
    words = text.split()

    def options(word: str) -> list[str]:
        if "mutual" in victim.certified_edits:
            return list(safer.synonyms(word, 0.7)) or [word]
        return [*against, rng.choice(WORDS)]

    for attempt in range(7):
        changed = list(words)
        order = sorted(rng.sample(range(len(words)), len(words)), key=lambda i: words[i] not in VICTIM.keywords[label])
        for i in order[:radius] if attempt < 4 else rng.sample(range(len(words)), min(radius, len(words))):
            changed[i] = rng.choice(options(changed[i]))
        yield " ".join(changed)
    if "inserted" in victim.certified_edits:
        yield " ".join([*words, *rng.choices(against, k=radius)])
        yield " ".join(word for i, word in enumerate(words) if i not in order[:radius])


@pytest.mark.parametrize(
    "selector",
    [
        "ranmask(train=False,rate=0.75)",
        "random_deletion(train=False,rate=0.75)",
        "safer(train=False,min_cosine=0.7,size=20)",
    ],
)
def test_attacks_within_the_radius_break_no_more_than_alpha_allows(selector: str) -> None:
    """The vote over all copies is judged: broken is what a test at the same level says isn't the class."""
    from scipy.stats import binom

    victim = compose(selector)(VICTIM, [], Random(0))
    assert isinstance(victim, Certified)
    rng = Random(7)
    certified = broken = attacked = 0
    for number in range(30):
        leaning = rng.choice([(5, 1), (1, 5), (2, 2)])
        words = [
            *rng.choices(WORDS[:3], k=leaning[0]),
            *rng.choices(WORDS[3:6], k=leaning[1]),
            *rng.choices(WORDS, k=3),
        ]
        text = " ".join(rng.sample(words, len(words)))
        certificate = victim.certify(text, Sampling(n0=40, n=300, alpha=0.05, seed=number))
        if certificate.prediction is None:
            continue
        certified += 1
        verdicts = []
        for foe in foes(victim, text, certificate.radius, rng, certificate.prediction):
            edits = victim.edits(text, foe)
            assert edits is not None
            assert edits <= certificate.radius
            attacked += edits > 0
            votes = victim.certify(foe, Sampling(n0=1, n=300, alpha=0.05, seed=number)).votes
            verdicts.append(least_share(sum(votes) - votes[certificate.prediction], sum(votes), 0.001) > 0.5)
        broken += any(verdicts)
    assert certified >= 15
    assert attacked >= 30
    assert binom.sf(broken - 1, certified, 0.05) > 0.01
