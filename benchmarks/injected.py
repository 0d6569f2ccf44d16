"""TextAttack's parts with this project's resources: one of our attacks, put together from the library's own classes.

`build` reads the settings of our attack and gives the library the same stop words, word vectors, masked language model,
sentence encoder, part-of-speech rule and limits, so that what is left to differ is the algorithm and its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, singledispatch
from random import Random
from typing import Any, ClassVar

import numpy as np
import torch

from robustbench_nlp import masked_lm_training
from robustbench_nlp.attack import Attack, Gradient, Sample, Steps
from robustbench_nlp.attacks.a2t import A2T
from robustbench_nlp.attacks.bad_characters import COST, BadCharacters
from robustbench_nlp.attacks.bae import BAE
from robustbench_nlp.attacks.bert_attack import BERTAttack
from robustbench_nlp.attacks.checklist import CheckList
from robustbench_nlp.attacks.iga import IGA
from robustbench_nlp.attacks.textattack import Built, engine_victim, find_nltk_data, searched, silent
from robustbench_nlp.attacks.textfooler import TextFooler
from robustbench_nlp.constraints.meaning import same_part
from robustbench_nlp.edits.visual import homoglyphs
from robustbench_nlp.encoder import EMBEDDED, encoder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.neighbours import neighbours
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations
from robustbench_nlp.token_windows import whole_words

with silent():
    find_nltk_data()
    import textattack
    from textattack.constraints import Constraint
    from textattack.constraints.pre_transformation import (
        MaxModificationRate,
        RepeatModification,
        StopwordModification,
    )
    from textattack.constraints.semantics import WordEmbeddingDistance
    from textattack.constraints.semantics.sentence_encoders.sentence_encoder import SentenceEncoder
    from textattack.goal_functions import TargetedClassification, UntargetedClassification
    from textattack.search_methods import (
        DifferentialEvolution,
        GreedySearch,
        GreedyWordSwapWIR,
        ImprovedGeneticAlgorithm,
    )
    from textattack.shared import AbstractWordEmbedding
    from textattack.transformations import (
        CompositeTransformation,
        WordSwapChangeNumber,
        WordSwapContract,
        WordSwapDeletions,
        WordSwapEmbedding,
        WordSwapExtend,
        WordSwapHomoglyphSwap,
        WordSwapInvisibleCharacters,
        WordSwapMaskedLM,
    )
    from textattack.transformations.word_swaps.word_swap_differential_evolution import WordSwapDifferentialEvolution
    from transformers import AutoModelForMaskedLM, AutoTokenizer

__all__ = ["Injected", "build"]


@dataclass(frozen=True, kw_only=True)
class Injected:
    """The library's side of one of our attacks, as an attack: the same engine, threat and referee.

    `tokenizer` is a folder with the victim's, for the attacks that ask for gradients.
    """

    ours: Attack
    tokenizer: str = ""
    one_at_a_time: ClassVar[bool] = True

    @property
    def threat(self) -> Threat:
        return self.ours.threat

    def run(self, sample: Sample, rng: Random) -> Steps:
        made = _built(self)
        made.attack.goal_function.target_class = 1 - sample.label  # for targeted goals: two classes have one other
        return (yield from searched(made, sample, rng))


@cache
def _built(injected: Injected) -> Built:
    class Victim(type(engine_victim())):  # type: ignore[misc]
        """Gradients come from the engine too."""

        def get_grad(self, text: str) -> dict[str, Any]:
            (answer,) = self.ask(Gradient([Text(text)]))
            return {"gradient": answer.gradient}

        def _tokenize(self, texts: Sequence[str]) -> list[list[str]]:
            tokenizer = AutoTokenizer.from_pretrained(injected.tokenizer)
            return [tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) for text in texts]

    victim = Victim()
    with silent():
        made = build(injected.ours, victim)
    for rule in made.constraints:
        if isinstance(rule, Meaning):
            rule.marks = True
    return Built(made, victim)


@singledispatch
def build(ours: Attack, victim: Any) -> Any:
    """The library's attack with the settings of ours, around a model wrapper."""
    raise UsageError(f"{type(ours).__name__} has no counterpart among TextAttack's parts")


@build.register
def _(ours: TextFooler, victim: Any) -> Any:
    return _by_importance(
        victim,
        WordSwapEmbedding(max_candidates=ours.k, embedding=Vectors()),
        WordEmbeddingDistance(embedding=Vectors(), min_cos_sim=ours.min_cosine),
        SamePart(ours.verb_noun_swap),
        Meaning(ours.encoder, ours.min_similarity, ours.window),
    )


@build.register
def _(ours: BAE, victim: Any) -> Any:
    return _by_importance(victim, WholeWords(ours.model, ours.k), SamePart(), Meaning(ours.encoder, ours.min_cosine))


@build.register
def _(ours: BERTAttack, victim: Any) -> Any:
    return _by_importance(victim, MaskedLM("bert-attack", ours.model, ours.k), Inside(ours.threat), by="unk")


@build.register
def _(ours: A2T, victim: Any) -> Any:
    return _by_importance(
        victim,
        WordSwapEmbedding(max_candidates=ours.k, embedding=Vectors()),
        WordEmbeddingDistance(embedding=Vectors(), min_cos_sim=ours.min_cosine),
        SamePart(),
        MaxModificationRate(max_rate=ours.max_share, min_threshold=ours.min_words),
        Meaning(ours.encoder, ours.min_similarity),
        by="gradient",
    )


@build.register
def _(ours: IGA, victim: Any) -> Any:
    k = int(ours.candidates.partition("(")[2].strip(")") or 50)
    search = ImprovedGeneticAlgorithm(
        pop_size=ours.population,
        max_iters=ours.generations,
        max_replace_times_per_index=ours.replacements,
        post_crossover_check=True,
    )
    edits = WordSwapEmbedding(max_candidates=k, embedding=Vectors())
    rules = [StopwordModification(stopwords()), Inside(ours.threat)]
    return textattack.Attack(UntargetedClassification(victim), rules, edits, search)


@build.register
def _(ours: CheckList, victim: Any) -> Any:
    kinds = {"contractions": (WordSwapExtend, WordSwapContract), "numbers": (WordSwapChangeNumber,)}
    edits = CompositeTransformation([kind() for change in ours.changes for kind in kinds[change]])
    return textattack.Attack(UntargetedClassification(victim), [RepeatModification()], edits, GreedySearch())


@build.register
def _(ours: BadCharacters, victim: Any) -> Any:
    kinds = {"homoglyphs": Homoglyphs, "invisible": WordSwapInvisibleCharacters, "deletions": WordSwapDeletions}
    if ours.kind not in kinds:
        raise UsageError("the library's reorderings nest isolates, more edits than our threat allows; use another kind")
    changes = (ours.threat.max_edits or 0) // COST[ours.kind]
    genes = changes if ours.kind == "homoglyphs" else 2 * changes
    search = DifferentialEvolution(
        popsize=ours.population // genes,  # members for each gene
        maxiter=ours.iterations,
        max_perturbs=changes,
    )
    return textattack.Attack(TargetedClassification(victim), [], kinds[ours.kind](), search)


def _by_importance(victim: Any, edits: Any, *rules: Any, by: str = "delete") -> Any:
    """Word after word in an order of importance, each word once and stop words never, as most recipes do."""
    always = [RepeatModification(), StopwordModification(stopwords())]
    goal = UntargetedClassification(victim)
    return textattack.Attack(goal, [*always, *rules], edits, GreedyWordSwapWIR(wir_method=by))


class Vectors(AbstractWordEmbedding):  # type: ignore[misc]
    """The table of neighbours; a word is its own index, and words that aren't neighbours are at a right angle."""

    def __getitem__(self, index: str) -> None:
        return None

    def word2index(self, word: str) -> str:
        if not neighbours(word):
            raise KeyError(word)
        return word

    def index2word(self, index: str) -> str:
        return index

    def nearest_neighbours(self, index: str, topn: int) -> list[str]:
        return [word for word, _ in neighbours(index, topn)]

    def get_cos_sim(self, a: str, b: str) -> float:
        return dict(neighbours(a)).get(b, 0.0)

    def get_mse_dist(self, a: str, b: str) -> float:
        return 2 - 2 * self.get_cos_sim(a, b)


class Homoglyphs(WordSwapHomoglyphSwap):  # type: ignore[misc]
    """Our look-alikes; the library's own come from a file that its wheel lacks."""

    def __init__(self) -> None:
        WordSwapDifferentialEvolution.__init__(self)
        self.random_one = False
        letters = map(chr, range(0x21, 0x7F))
        self.homos_intentional = {letter: list(near) for letter in letters if (near := homoglyphs(letter))}


class MaskedLM(WordSwapMaskedLM):  # type: ignore[misc]
    """The library's candidates from our masked language model; batches are padded to the longest."""

    def __init__(self, method: str, model: str, k: int) -> None:
        folder = masked_lm_training.find() if model == EMBEDDED else model
        if folder is None:
            raise UsageError("the masked language model is not trained yet; run `robustbench-nlp fetch mlm`")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        network = AutoModelForMaskedLM.from_pretrained(folder, dtype="float32")
        longest = network.config.max_position_embeddings
        super().__init__(method, network, tokenizer, max_length=longest, max_candidates=k, min_confidence=0.0)

    def _encode_text(self, text: Any) -> Any:
        return self._lm_tokenizer(text, max_length=self.max_length, truncation=True, padding=True, return_tensors="pt")


class WholeWords(MaskedLM):
    """Of a model that proposes whole words only, as ours does; the library also takes pieces for words."""

    def __init__(self, model: str, k: int) -> None:
        super().__init__("bae", model, k)
        barred = torch.ones(self._language_model.config.vocab_size, dtype=torch.bool)
        barred[whole_words(self._lm_tokenizer)[True].ids] = False

        def bar(module: Any, inputs: Any, output: Any) -> None:
            output.logits[..., barred] = float("-inf")

        self._language_model.register_forward_hook(bar)


class Meaning(SentenceEncoder):  # type: ignore[misc]
    """Our sentence encoder: the cosine with the original, within a window (0: the whole text).

    The library's windows reach from a word to a word; with `marks` a text that isn't longer than the window is compared
    with all that stands around its words, as ours is.
    """

    marks = False

    def __init__(self, model: str, min_cosine: float, window: int = 0) -> None:
        super().__init__(min_cosine, window_size=window or None)
        self._encoder = encoder(model, "cpu")

    def encode(self, sentences: Sequence[str]) -> Any:
        return torch.from_numpy(np.asarray(self._encoder(sentences)))

    def _score_list(self, old: Any, new: Sequence[Any]) -> Any:
        if not (self.marks and new and old.num_words <= self.window_size):
            return super()._score_list(old, new)
        vectors = self.encode([text.text for text in (old, *new)])
        return self.sim_metric(vectors[:1], vectors[1:])


class SamePart(Constraint):  # type: ignore[misc]
    """Our part-of-speech rule."""

    def __init__(self, verb_noun_swap: bool = False) -> None:
        super().__init__(compare_against_original=True)
        self._swap = verb_noun_swap

    def _check_constraint(self, new: Any, old: Any) -> bool:
        changed = new.attack_attrs["newly_modified_indices"]
        return all(same_part(old.words[i], new.words[i], self._swap) for i in changed)


class Inside(Constraint):  # type: ignore[misc]
    """The limits of our threat, which rounds shares of words down."""

    def __init__(self, threat: Threat) -> None:
        super().__init__(compare_against_original=True)
        self._threat = threat

    def _check_constraint(self, new: Any, old: Any) -> bool:
        return not violations(self._threat, old.text, new.text)
