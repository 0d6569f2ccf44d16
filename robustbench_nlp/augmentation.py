"""Noise for training: a change of texts becomes an augmentation of batches, or the noisy side of a clean pair."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from robustbench_nlp.data.example import Input
from robustbench_nlp.edits.blanks import Blanks, substitutes
from robustbench_nlp.edits.characters import NOISE_KINDS, random_typos
from robustbench_nlp.edits.noise import drop_words
from robustbench_nlp.edits.tautologies import TAUTOLOGIES
from robustbench_nlp.edits.visual import accented, homoglyphs
from robustbench_nlp.edits.words import candidate_maker
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.training_loop import Augment

__all__ = ["KNOWN_FROM", "NOISES", "Noise", "check_shares", "noisy", "on_share"]

Noise = Callable[[Text, Random, float], Text]
"""Changes a share of a text's words, in [0, 1]."""

FILLS = 20
"""Words that are drawn from in place of a hidden one."""
INVISIBLE = "\u200b\u200c\u200d\u2060"


def synonyms(candidates: str) -> Noise:
    """Words of a candidate set (`edits.words`), drawn at random, in place of a share of the words that have any."""
    others = candidate_maker(candidates)

    def changed(text: Text, rng: Random, share: float) -> Text:
        for number in range(len(text)):
            if rng.random() < share and (choices := others(text, number)):
                text = rng.choice(choices)
        return text

    return changed


def unicode_tricks(text: Text, rng: Random, share: float) -> Text:
    """In a share of the words a letter becomes a look-alike or accented one, or an invisible character goes in."""
    for number in range(len(text)):
        word = text.word(number)
        if word and rng.random() < share:
            at = rng.randrange(len(word))
            near = homoglyphs(word[at]) or accented(word[at])
            tricks = [
                word[:at] + rng.choice(INVISIBLE) + word[at:],
                *([word[:at] + rng.choice(near) + word[at + 1 :]] if near else []),
            ]
            text = text.swap(number, rng.choice(tricks))
    return text


def tautology(text: Text, rng: Random, share: float) -> Text:
    """Whatever the share, where it isn't 0, one of the tautologies behind the text; a text without words stays."""
    if not text or share == 0:
        return text
    return text.insert(len(text), rng.choice(tuple(TAUTOLOGIES.values())))


def refilled(text: Text, rng: Random, share: float) -> Text:
    """A share of the words, hidden all at once, becomes others that the embedded masked language model finds likely there."""
    from robustbench_nlp.language_model import masked

    numbers = [number for number in range(len(text)) if rng.random() < share]
    fills = masked(EMBEDDED)(Blanks(text).together(numbers), FILLS) if numbers else []
    changes = {}
    for number, words in zip(numbers, fills, strict=True):
        if choices := substitutes(words, text.word(number)):
            changes[number] = rng.choice(choices)
    return text.replace(changes) if changes else text


NOISES: dict[str, Noise] = {
    "typos": random_typos,
    "unicode": unicode_tricks,
    "drop": drop_words,
    "wordnet": synonyms("wordnet"),
    "neighbours": synonyms("neighbours(8)"),
    "tautology": tautology,
    "refill": refilled,
}
KNOWN_FROM = {
    "typos": NOISE_KINDS,
    "unicode": ("homoglyphs", "accents", "bad-characters-invisible"),
    "drop": ("drop_words",),
    "wordnet": ("wordnet",),
    "neighbours": ("neighbours",),
    "tautology": ("stress_test",),
    "refill": ("masked-lm",),
}
"""What a defense knows that was trained on a noise: attacks, and what they draw on (`defense.knows`)."""


def noisy(item: Input, noise: Noise, rng: Random, share: float) -> Input:
    """The input with noise in every field."""
    if isinstance(item, str):
        return str(noise(Text(item), rng, share))
    return tuple(str(noise(Text(field), rng, share)) for field in item)


def on_share(noise: Noise, *, share: float, of: float) -> Augment:
    """Noise in `share` of the words of `of` of each batch's texts, drawn anew each time; both in [0, 1]."""

    def augment(inputs: list[Input], rng: Random) -> list[Input]:
        chosen = set(rng.sample(range(len(inputs)), round(of * len(inputs))))
        return [noisy(item, noise, rng, share) if i in chosen else item for i, item in enumerate(inputs)]

    return augment


def check_shares(defense: str, **shares: float) -> None:
    """Raises `UsageError` for a share outside [0, 1]."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UsageError(f"{defense} cannot use {name}={share!r}; give a share between 0 and 1")
