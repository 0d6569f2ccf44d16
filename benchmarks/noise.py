"""Keyboard noise beside nlpaug's: microseconds of the processor a sentence of mr, both asked for the same share of the words.

Ours is the noise `keyboard`, one neighbouring key in each; nlpaug's is KeyboardAug as it ships otherwise, which counts punctuation
among the words and may strike several characters of one.

Usage: noise.py [--examples N] [--share 0.3] [--repeats K]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from bars import Bars

from robustbench_nlp.attacks.textattack import silent
from robustbench_nlp.data import load_dataset
from robustbench_nlp.edits.noise import noise_named
from robustbench_nlp.text import Text, words_of

MOST = 100.0
"""Microseconds a sentence."""
TIMES = 5.0
"""How many times faster than nlpaug."""

Augment = Callable[[str], str]


def ours(share: float) -> Augment:
    noise, rng = noise_named("keyboard"), Random(0)
    return lambda sentence: str(noise(Text(sentence), rng, share))


def theirs(share: float) -> Augment:
    with silent():
        from nlpaug.augmenter.char import KeyboardAug

        augmenter = KeyboardAug(aug_word_p=share)
    random.seed(0)
    np.random.seed(0)
    return lambda sentence: str(augmenter.augment(sentence)[0])


def measured(augment: Augment, sentences: Sequence[str], repeats: int) -> tuple[float, float]:
    """Microseconds a sentence, the best of `repeats`, and the share of the words that are others."""
    times, made = [], [augment(sentence) for sentence in sentences]
    for _ in range(repeats):
        start = time.process_time()
        for sentence in sentences:
            augment(sentence)
        times.append(time.process_time() - start)
    pairs = [(words_of(before), words_of(after)) for before, after in zip(sentences, made, strict=True)]
    changed = sum(len(set(before) - set(after)) for before, after in pairs)
    return 1e6 * min(times) / len(sentences), changed / sum(len(before) for before, _ in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.3, help="of the words")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    sentences = [example.fields["text"] for example in load_dataset("mr", "test").head(given.examples)]
    bars, spent = Bars(), {}
    for name, augment in (("ours", ours(given.share)), ("nlpaug", theirs(given.share))):
        spent[name], changed = measured(augment, sentences, given.repeats)
        bar = f", {bars.at_most(spent[name], MOST)}" if name == "ours" else ""
        print(f"{name:7} {spent[name]:8.1f} µs a sentence, {changed:.1%} of the words changed{bar}")
    ratio = spent["nlpaug"] / spent["ours"]
    print(f"ratio {ratio:.2f}, {bars.at_least(ratio, TIMES)}")
    bars.end()


if __name__ == "__main__":
    main()
