"""What defenses that rewrite texts make of typos: the share of mr's dev texts that are read as they were before.

Usage: measure_correctors.py [DEFENSE ...], by default spell, noisy_channel and word_recognition; settings too:
'noisy_channel(edit=4)'. A minute. Columns:

    two edits   of texts with two random characters put in, replaced or left out anywhere, spaces among them
    two words   of texts with a typo in each of two words of four letters or more, as DeepWordBug makes them
    kept        of texts as they are
    clean       accuracy of the victim behind the defense on texts as they are; of no defense in the first line
    ms          milliseconds a text, with nothing remembered

A text is read as it was where its words are the same, capitals aside.
"""

from __future__ import annotations

import string
import sys
import time
from collections.abc import Callable, Sequence
from random import Random

import numpy as np

from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose
from robustbench_nlp.edits.characters import one_typo
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.victim import Probabilities, open_victim

DEFENSES = ("none", "spell", "noisy_channel", "word_recognition")
CHARACTERS = " " + string.ascii_lowercase + string.digits + string.punctuation


class Mirror:
    """A victim that remembers what it was last given, and answers nothing else."""

    name, fingerprint, label_names, random = "mirror", "mirror", ("one", "other"), False

    def __init__(self) -> None:
        self.read: list[str] = []

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        self.read += map(str, inputs)
        return np.full((len(inputs), 2), 0.5, dtype=np.float32)


def two_edits(text: str, rng: Random) -> str:
    for _ in range(2):
        at, kind, letter = rng.randrange(len(text)), rng.randrange(3), rng.choice(CHARACTERS)
        text = text[:at] + letter * (kind < 2) + text[at + (kind > 0) :]
    return text


def two_words(text: str, rng: Random) -> str:
    made = Text(text)
    long = [number for number in range(len(made)) if len(made.word(number)) > 3]
    return str(
        made.replace({number: one_typo(made.word(number), rng) for number in rng.sample(long, min(2, len(long)))})
    )


def main(*defenses: str) -> None:
    train, dev = load_dataset("mr", "train").examples, load_dataset("mr", "dev").examples
    texts, truth = [str(example.input) for example in dev], np.array([example.label for example in dev])
    rng = Random(0)
    mistyped = [[noise(text, rng) for text in texts] for noise in (two_edits, two_words)]
    victim = open_victim("minilm-mr")
    print(f"{'n = ' + str(len(texts)):40}two edits  two words   kept  clean    ms")
    for defense in dict.fromkeys(["none", *(defenses or DEFENSES)]):
        read = reader(defense, train)
        start = time.perf_counter()
        kept = share(read(texts), texts)
        spent = (time.perf_counter() - start) / len(texts)
        edits, words = (share(read(noised), texts) for noised in mistyped)
        answers = compose(defense)(victim, train, Random(0)).predict(texts).argmax(axis=1)
        print(
            f"{defense:40}{edits:9.1%} {words:10.1%} {kept:6.1%} {(answers == truth).mean():6.1%} {1000 * spent:5.1f}"
        )


def reader(defense: str, train: Sequence[Example]) -> Callable[[Sequence[str]], list[str]]:
    """A function from texts to what a victim reads of them; each is asked for by itself, since equal ones are asked once."""
    mirror = Mirror()
    defended = compose(defense)(mirror, train, Random(0))

    def read(texts: Sequence[str]) -> list[str]:
        mirror.read.clear()
        for text in texts:
            defended.predict([text])
        return list(mirror.read)

    return read


def share(read: Sequence[str], meant: Sequence[str]) -> float:
    """Of how many texts the same words were read."""
    same = [words_of(one.lower()) == words_of(other.lower()) for one, other in zip(read, meant, strict=True)]
    return sum(same) / len(same)


if __name__ == "__main__":
    main(*sys.argv[1:])
