"""How the least cosines of words and of sentences were chosen: what each lets through of tests/data/judged_pairs.tsv.

Usage: calibrate_cosines.py [VICTIM ...]. A minute. Words: the share of judged pairs of each kind that the shipped neighbours
hold at that cosine or above; of a victim, the share of pairs in its vocabulary whose own embeddings have it. Sentences: each
kind's pairs put into each other's place in MR's training sentences (at most 400 swaps a kind), the share of swaps that stay
at that cosine or above under the embedded encoder, for whole sentences and for the 15 words around the change.

    words       0.5   0.6   0.65   0.7   0.8      whole  0.8  0.88   0.9  0.95     15 words  0.8  0.85  0.88   0.9
    synonym     77%   67%    58%   44%   24%             97%   92%   89%   78%               96%   94%   90%   86%
    related     65%   55%    33%   24%    9%             92%   81%   77%   48%               91%   83%   74%   68%
    unrelated    0%    0%     0%    0%    0%             59%   34%   27%   12%               43%   29%   20%   16%
    antonym      4%    3%     3%    1%    0%             98%   91%   86%   70%               98%   93%   88%   82%

A2T, HotFlip and the genetic attacks take the word cosine at which synonyms stand out most from merely related words, 0.65;
TextFooler and the hard-label attacks, whose papers are laxer, one step less. Of sentences, BAE, CLARE and A2T take 0.9 for
the whole and TextFooler 0.88 for 15 words, which let nine of ten synonym swaps through. No cosine tells antonyms from synonyms in a
sentence: that is the word table's part. Nor do a victim's own embeddings do for HotFlip's condition: at 0.4 `minilm-mr`'s
let 64 % of the synonyms through and 33 % of the antonyms, and at 0.3 `cnn-mr`'s nothing at all.
"""

from __future__ import annotations

import sys
from random import Random

import numpy as np
from compare_neighbours import judged

from robustbench_nlp.attack import Encode
from robustbench_nlp.constraints.meaning import window
from robustbench_nlp.data import load_dataset
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.lexicon.neighbours import KEPT, neighbours
from robustbench_nlp.text import Text
from robustbench_nlp.victim import VictimOptions, open_victim

KINDS = ("synonym", "related", "unrelated", "antonym")
WORDS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SENTENCES = (0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95)
SWAPS, SPAN = 400, 15


def shown(title: str, levels: tuple[float, ...], found: dict[str, np.ndarray]) -> None:
    print(f"\n{title:24}" + "".join(f"{level:7.2f}" for level in levels))
    for kind in KINDS:
        print(f"{kind:24}" + "".join(f"{(found[kind] >= level).mean():7.1%}" for level in levels))


def own_cosines(victim: str, pairs: list[tuple[str, str, str]]) -> dict[str, np.ndarray]:
    """The cosines of a victim's own embeddings, by kind of pair."""
    vocabulary = open_victim(victim, VictimOptions()).vocabulary
    places = {word: row for row, word in enumerate(vocabulary.words)}
    unit = vocabulary.vectors / np.linalg.norm(vocabulary.vectors, axis=1, keepdims=True)
    known = [(places[a], places[b], verdict) for a, b, verdict in pairs if a in places and b in places]
    return {kind: np.array([unit[a] @ unit[b] for a, b, verdict in known if verdict == kind]) for kind in KINDS}


def main(*victims: str) -> None:
    pairs = judged()
    tables = {word: dict(neighbours(word, KEPT)) for word, _, _ in pairs}
    words = {kind: np.array([tables[a].get(b, 0.0) for a, b, v in pairs if v == kind]) for kind in KINDS}
    shown("words, cosine at least", WORDS, words)
    for victim in victims:
        shown(f"{victim}, cosine", WORDS, own_cosines(victim, pairs))
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
    main(*sys.argv[1:])
