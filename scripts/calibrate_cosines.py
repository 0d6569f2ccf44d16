"""How the least cosines of words and of sentences were chosen: what each lets through of tests/data/judged_pairs.tsv.

Usage: calibrate_cosines.py. A minute. Words: the share of judged pairs of each kind that the shipped neighbours hold at that
cosine or above. Sentences: each kind's pairs put into each other's place in MR's training sentences (at most 400 swaps a
kind), the share of swaps that stay at that cosine or above under the embedded encoder, for whole sentences and for the 15
words around the change. A2T takes the word cosine at which synonyms stand out most from merely related words, TextFooler
one step less; BAE, CLARE and A2T take the sentence cosine that lets nine of ten synonym swaps through, TextFooler keeps its
paper's. No cosine tells antonyms from synonyms in a sentence: that is the word table's part.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np

from robustbench_nlp.attack import Encode
from robustbench_nlp.constraints.meaning import window
from robustbench_nlp.data import load_dataset
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.lexicon.neighbours import KEPT, neighbours
from robustbench_nlp.text import Text

PAIRS = Path(__file__).parents[1] / "tests" / "data" / "judged_pairs.tsv"
KINDS = ("synonym", "related", "unrelated", "antonym")
WORDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SENTENCES = (0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95)
SWAPS, SPAN = 400, 15


def judged() -> list[tuple[str, str, str]]:
    """Each pair both ways, with its verdict."""
    rows = [line.split("\t") for line in PAIRS.read_text("utf-8").splitlines() if not line.startswith("#")]
    return [(a, b, verdict) for one, other, verdict in rows for a, b in ((one, other), (other, one))]


def shown(title: str, levels: tuple[float, ...], found: dict[str, np.ndarray]) -> None:
    print(f"\n{title:24}" + "".join(f"{level:7.2f}" for level in levels))
    for kind in KINDS:
        print(f"{kind:24}" + "".join(f"{(found[kind] >= level).mean():7.1%}" for level in levels))


def main() -> None:
    pairs = judged()
    tables = {word: dict(neighbours(word, KEPT)) for word, _, _ in pairs}
    words = {kind: np.array([tables[a].get(b, 0.0) for a, b, v in pairs if v == kind]) for kind in KINDS}
    shown("words, cosine at least", WORDS, words)
    others: dict[str, list[tuple[str, str]]] = {}
    for word, other, verdict in pairs:
        others.setdefault(word, []).append((other, verdict))
    swaps: dict[str, list[tuple[Text, Text, int]]] = {kind: [] for kind in KINDS}
    for example in load_dataset("mr", "train").examples:
        text = Text(str(example.input))
        for number, word in enumerate(text.words):
            for other, verdict in others.get(word, ()):
                swaps[verdict].append((text, text.swap(number, other), number))
    encode, rng = Helpers("auto").get(Encode, EMBEDDED), Random(0)
    whole, near = {}, {}
    for kind, found in swaps.items():
        drawn = rng.sample(found, min(SWAPS, len(found)))
        for cosines, cut in ((whole, lambda text, _: str(text)), (near, lambda text, at: window(text, at, SPAN))):
            sides = [encode([cut(swap[side], swap[2]) for swap in drawn]) for side in (0, 1)]
            cosines[kind] = (sides[0] * sides[1]).sum(axis=1)
    shown("sentences, whole", SENTENCES, whole)
    shown(f"sentences, {SPAN} words", SENTENCES, near)


if __name__ == "__main__":
    main()
