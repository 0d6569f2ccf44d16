"""textattack:RECIPE: a recipe of the TextAttack library (Morris et al., 2020), run by the library itself.

The library keeps its own search and caches; its victim is the engine, and the referee judges the text that it returns.
Its answer cache is off, so that every query it makes counts; the first one repeats the clean prediction.
"""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple

from robustbench_nlp.adapters import RUNS, state, states
from robustbench_nlp.attack import Probe, Sample, Scores, Steps
from robustbench_nlp.attacks.deepwordbug import DeepWordBug
from robustbench_nlp.attacks.input_reduction import InputReduction
from robustbench_nlp.attacks.pruthi import Pruthi
from robustbench_nlp.attacks.pwws import PWWS
from robustbench_nlp.bridge import Ask, blocking
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.nltk_data import find_nltk_data
from robustbench_nlp.plugins import Choice
from robustbench_nlp.tasks.classification import KEPT, UNTARGETED, Goal
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["TextAttack", "Built", "choices", "engine_victim", "find_nltk_data", "searched", "silent"]  # noqa: RUF022 (the factory first)

GENERIC = Threat(name="textattack")
THREATS = {
    "deepwordbug": DeepWordBug().threat,
    "pruthi": Pruthi().threat,
    "pwws": PWWS().threat,
    "leap": PWWS().threat,
    "input-reduction": InputReduction().threat,
}
"""Recipes whose limits can be checked from the two strings; the others get an unlimited threat named after them."""
REDUCTIONS = ("input-reduction",)
"""Recipes that keep the prediction."""
NLTK_DATA = "run robustbench-nlp fetch nltk-data (stop words and WordNet, without NLTK's server) or python -m nltk.downloader {what}"
ARGUMENTS = {"bad-characters": {"goal_function_type": "targeted_classification", "perturbation_type": "invisible"}}
"""Of recipes that want some; their goal gives way to any other class. Homoglyphs need a table that release 0.3.11 lacks."""


def choices() -> list[Choice]:
    """Every recipe with its state."""
    return states("textattack")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextAttack:
    """`recipe` is a name of TextAttack's command line (`deepwordbug`, `pwws`, …); `-` and `_` are the same."""

    recipe: str
    threat: Threat = GENERIC
    version: ClassVar[int] = 1
    one_at_a_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        recipe = self.recipe.replace("_", "-")
        if recipe not in _recipes():
            raise unknown("TextAttack recipe", self.recipe, _recipes())
        object.__setattr__(self, "recipe", recipe)
        if self.threat == GENERIC:
            generic = Threat(name=f"textattack_{recipe.replace('-', '_')}")
            object.__setattr__(self, "threat", THREATS.get(recipe, generic))

    @property
    def goal(self) -> Goal:
        return KEPT if self.recipe in REDUCTIONS else UNTARGETED

    @property
    def mode(self) -> str:
        return "reduction" if self.recipe in REDUCTIONS else "adaptive"

    def run(self, sample: Sample, rng: Random) -> Steps:
        with _mended(self.recipe, OSError, LookupError):
            return (yield from searched(_built(self.recipe), sample, rng, self.goal))


class Built(NamedTuple):
    """A TextAttack `Attack` and the `engine_victim` that it was built around."""

    attack: Any
    victim: Any


def searched(built: Built, sample: Sample, rng: Random, goal: Goal = UNTARGETED) -> Steps:
    """The library's search for one sample, which returns the text that it ends with. All its queries are asked."""
    built.attack.goal_function.use_cache = False

    def search(ask: Ask) -> Text:
        built.victim.open(ask, sample.label, goal)
        return Text(built.attack.attack(str(sample.text), sample.label).perturbed_text())

    return (yield from blocking(search, rng))


def engine_victim() -> Any:
    """A model wrapper that answers with class probabilities from the engine, for the example that `open` names."""
    import textattack

    class Victim(textattack.models.wrappers.ModelWrapper):  # type: ignore[misc]
        model = None

        def open(self, ask: Ask, label: int, goal: Goal) -> None:
            self.ask, self.label, self.goal = ask, label, goal

        def __call__(self, texts: Sequence[str]) -> Any:
            answer: Scores = self.ask(Probe([Text(text) for text in texts]))
            doubts = answer.score if self.goal.fools else [1.0 - score for score in answer.score]
            return _probabilities(answer, doubts, self.label)

    return Victim()


@cache
def _recipes() -> dict[str, str]:
    """The library's recipes by name, read from its source: importing it takes many seconds."""
    spec = find_spec("textattack")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("textattack: needs the library; install robustbench-nlp[textattack]")
    source = Path(spec.submodule_search_locations[0], "attack_args.py").read_text("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ATTACK_RECIPE_NAMES":
            names: dict[str, str] = ast.literal_eval(node.value)
            return names
    raise UsageError("this release of textattack has no list of recipes; install textattack 0.3.11")


@cache
def _built(recipe: str) -> Built:
    """Build a recipe once per process. Raises `UsageError` where it can't be or needs more than class scores."""
    with silent(), _mended(recipe, Exception):
        find_nltk_data()
        import textattack

        victim = engine_victim()
        with _without_nltk_downloads():
            attack = getattr(textattack.attack_recipes, _recipes()[recipe].rpartition(".")[2]).build(
                victim, **ARGUMENTS.get(recipe, {})
            )
        if recipe in ARGUMENTS:
            goal = textattack.goal_functions.UntargetedClassification(victim)
            limits = [*attack.constraints, *attack.pre_transformation_constraints]
            attack = textattack.Attack(goal, limits, attack.transformation, attack.search_method)
    kind = type(attack.goal_function).__name__
    if kind != ("InputReduction" if recipe in REDUCTIONS else "UntargetedClassification"):
        raise UsageError(f"textattack:{recipe} has another goal ({kind}) than a wrong class; use another recipe")
    if not attack.is_black_box:
        raise UsageError(f"textattack:{recipe} needs gradients of a model of its own kind; use another recipe")
    return Built(attack, victim)


def _probabilities(answer: Scores, doubts: Sequence[float], label: int) -> Any:
    """Rows that sum to 1 in double precision and hold exactly 1 − p(label): other sums the library softmaxes again."""
    import torch

    if answer.outputs is None:
        raise UsageError("TextAttack's recipes search by scores; give them a threat of knowledge 'score'")
    rows = torch.tensor([list(row) for row in answer.outputs], dtype=torch.float64)
    scores = torch.tensor(doubts, dtype=torch.float64)
    rows[:, label] = 0.0
    rows *= (scores / rows.sum(dim=1).clamp_min(1e-12)).unsqueeze(1)
    rows[:, label] = 1.0 - rows.sum(dim=1)
    return rows


@contextmanager
def _without_nltk_downloads() -> Iterator[None]:
    """Recipes with WordNet ask NLTK's server for its translations each time, which English does without."""
    import nltk

    download, nltk.download = nltk.download, lambda *_, **__: True
    try:
        yield
    finally:
        nltk.download = download


@contextmanager
def silent() -> Iterator[None]:
    """Keep the library's prints, logs and warnings away while it is imported and built."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable()
        try:
            yield
        finally:
            logging.disable(level)


@contextmanager
def _mended(recipe: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn missing data and models into a `UsageError` that says how to get them."""
    try:
        yield
    except UsageError:
        raise
    except kinds as problem:
        if isinstance(problem, IndexError | KeyError):  # look-up errors too, but the library's own faults
            raise
        first = str(problem).strip("* \n").partition("\n")[0]
        if isinstance(problem, LookupError):
            what = first.split("'")[1] if "'" in first else "all"
            raise UsageError(f"textattack:{recipe} wants NLTK's {what}; {NLTK_DATA.format(what=what)}") from problem
        told = state("textattack", recipe)
        mend = "try it again with a connection" if told == RUNS else f"it {told}; run TextAttack once with a connection"
        raise UsageError(
            f"textattack:{recipe} cannot be set up ({first[:80] or type(problem).__name__}); {mend}, or use another recipe"
        ) from problem
