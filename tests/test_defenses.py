"""The purifying defenses: what they leave alone, what they mend, and how defenses compose."""

from __future__ import annotations

import dataclasses
import string as letters
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import Composed, Defense, compose
from robustbench_nlp.defenses.none import NoDefense
from robustbench_nlp.defenses.spell import Spell, rewriter, vocabulary
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize
from robustbench_nlp.edits.characters import one_typo
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.lexicon.confusables import lookalikes
from robustbench_nlp.plugins import describe, plugin_names
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.victim import TokenGradients

TRAIN = [
    Example(fields={"text": text}, label=label)
    for text, label in [
        ("a good film , and a great performance by the actors", 1),
        ("an awful , dull movie that wastes its great story", 0),
        ("the performance isn't bad ; a well-made , fine movie", 1),
        ("wonderful direction and a great , heartfelt screenplay", 1),
    ]
]
MEND = rewriter(Spell(), vocabulary(example.fields["text"] for example in TRAIN))
ODD = [
    "",
    " ",
    "👍🏽 👨‍👩‍👧 ❤️",
    "سلام دنیا, فیلم خوب",
    "שלום עולם",
    "nul\0l a\0",
    "\ud800 lone \udfff",
    "\n\t\r",
    "a" * 5000,
    "'-'",
]
NORMALIZE = UnicodeNormalize()


def guard(name: str, victim: KeywordVictim | None = None):
    return compose(name)(victim or KeywordVictim(), TRAIN, Random(0))


# --- unicode_normalize


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_ascii_passes_bit_for_bit(text):
    assert NORMALIZE.rewrite(text) == text


@given(st.text())
def test_a_second_pass_changes_nothing(text):
    once = NORMALIZE.rewrite(text)
    assert NORMALIZE.rewrite(once) == once


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("grеаt fіlm", "great film"),  # Cyrillic е, а, і
        ("а film", "a film"),  # a whole word of Cyrillic look-alikes
        ("ＧＲＥＡＴ ﬁlm", "GREAT film"),
        ("gre\u200bat\u2060 f\u00adilm\ufeff", "great film"),
        ("\u202egreat\u202c film", "great film"),
        ("ɡreɑt", "great"),
        ("𝐠𝐫𝐞𝐚𝐭", "great"),
        ("ΑΒ test", "AB test"),
        ("Іt", "It"),  # Cyrillic capital
        ("a\u200d\ufe0fb", "ab"),
    ],
)
def test_disguises_fall(disguised, plain):
    assert NORMALIZE.rewrite(disguised) == plain


@pytest.mark.parametrize(
    "genuine",
    [
        "он сказал: а что? и я",
        "«Война и мир» а Tolstoy novel",
        "Ελληνικά και ο κόσμος",
        "café, naïve, ılık, Þór, Łódź, øre",
        "می‌خواهم",
        "👨‍👩‍👧 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "שלום עולם",
        "日本語と한국어",
    ],
)
def test_genuine_writing_stays(genuine):
    assert NORMALIZE.rewrite(genuine) == genuine


def test_every_lookalike_is_one_foreign_letter_for_one_ascii_letter():
    table = lookalikes()
    assert len(table) > 250
    assert all(len(key) == 1 and not key.isascii() and key.isalpha() for key in table)
    assert set(table.values()) <= set(letters.ascii_letters)
    assert (table["а"], table["І"], table["һ"]) == ("a", "I", "h")


def test_steps_can_be_switched_off():
    text = "ﬁ g\u200bo х" + "x"
    assert UnicodeNormalize(compatibility=False, invisible=False, lookalikes=False).rewrite(text) == text
    assert UnicodeNormalize(invisible=False, lookalikes=False).rewrite(text) == "fi g\u200bo х" + "x"
    assert UnicodeNormalize(compatibility=False, lookalikes=False).rewrite(text) == "ﬁ go х" + "x"


# --- spell


@pytest.mark.parametrize(
    ("typo", "mended"),
    [
        ("a graet film", "a great film"),
        ("wondreful dirction", "wonderful direction"),
        ("perfomance,hartfelt;scrennplay", "performance,heartfelt;screenplay"),
        ("Graet film. Aful story! Good", "Great film. Awful story! Good"),  # case restored where a sentence opens
        ("a well-maed movei", "a well-made movie"),
        ("w0nderful", "wonderful"),
        ("grеat", "great"),  # one Cyrillic letter is one edit
    ],
)
def test_planted_typos_are_mended(typo, mended):
    assert MEND(typo) == mended


@pytest.mark.parametrize(
    "text",
    [
        "a good film , and a great performance by the actors",
        "Good Great GREAT isn't well-made",
        "seen with Graet Garbo and NASAA people",  # capitalised inside a sentence
        "greet the actor; tarantino moved hitchcock",  # frequent elsewhere
        "1990s 2001 3d 12345 b2b4",
        "ab xq zz",
        "мир великолепный",
        *ODD,
    ],
)
def test_what_must_not_be_touched(text):
    assert MEND(text) == text


@given(st.text())
def test_spelling_keeps_everything_but_words_and_is_repeatable(text):
    assert MEND(text) == MEND(text)
    separators = [c for c in text if not c.isalnum() and c.isascii() and c not in "'-_"]
    assert [c for c in MEND(text) if not c.isalnum() and c.isascii() and c not in "'-_"] == separators


def test_corrections_are_ranked_by_distance_then_frequency():
    mend = rewriter(Spell(), vocabulary(["plot plot plot slot", "plots"]))
    assert mend("xlot") == "plot"
    assert mend("slotw") == "slot"
    assert rewriter(Spell(min_count=2), vocabulary(["plot plot slot"]))("slxt") == "slxt"


def test_without_training_examples_there_is_nothing_to_correct_to():
    with pytest.raises(UsageError, match="takes its words from a training split"):
        Spell()(KeywordVictim(), [], Random(0))


def test_a_missing_extra_names_it(monkeypatch):
    monkeypatch.setattr("robustbench_nlp.defenses.spell.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs symspellpy and wordfreq: pip install 'robustbench-nlp\[spell\]'"):
        compose("unicode-normalize+spell")


@pytest.mark.parametrize("setting", ["max_edits=0", "min_count=0"])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(UsageError, match="give at least 1"):
        compose(f"spell({setting})")


def test_on_real_sentences_it_mends_most_typos_and_rewrites_few_clean_sentences():
    """Measured on mr's dev split when the defaults were chosen: 6.5 % of 459 clean sentences rewritten; 74 % of single
    typos mended, 81 % of those in words that the training split knows."""
    train, dev = ([e.fields["text"] for e in load_dataset("mr", split).examples] for split in ("train", "dev"))
    mend, rng = rewriter(Spell(), vocabulary(train)), Random(0)
    assert sum(mend(text) != text for text in dev) < 0.1 * len(dev)
    words = [rng.choice([w for w in words_of(text) if len(w) >= 4 and w.isalpha()] or ["film"]) for text in dev]
    typos = [(word, one_typo(word, rng)) for word in words]
    assert sum(mend(typo) == word for word, typo in typos) > 0.65 * len(typos)


# --- both, as defenses


@pytest.mark.parametrize("name", ["spell", "unicode_normalize", "none"])
def test_a_defended_victim_answers_anything_in_any_order(name):
    victim = guard(name)
    texts = [*ODD, "a graet film", "а dulI movie", "good"]
    together = victim.predict(texts)
    assert together.shape == (len(texts), 2)
    assert np.array_equal(together, np.concatenate([victim.predict([text]) for text in texts]))
    assert np.array_equal(victim.predict(texts[::-1])[::-1], together)
    assert victim.predict([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "base"), [("spell", Spell()), ("unicode_normalize", UnicodeNormalize()), ("spell+unicode_normalize", None)]
)
def test_the_fingerprint_changes_with_everything(name, base):
    prints = {
        KeywordVictim().fingerprint,
        guard(name).fingerprint,
        guard(name, KeywordVictim(keywords=(("a",), ("b",)))).fingerprint,
    }
    assert len(prints) == 3
    assert guard(name).fingerprint in prints
    for field in dataclasses.fields(base) if base else ():
        old = getattr(base, field.name)
        changed = dataclasses.replace(base, **{field.name: not old if isinstance(old, bool) else old + 1})
        prints.add(changed(KeywordVictim(), TRAIN, Random(0)).fingerprint)
    assert len(prints) == 3 + len(dataclasses.fields(base) if base else ())


def test_the_speller_depends_on_its_training_split_and_no_seed():
    other = Spell()(KeywordVictim(), TRAIN[:2], Random(0))
    assert other.fingerprint != guard("spell").fingerprint
    assert Spell()(KeywordVictim(), TRAIN, Random(1)).fingerprint == guard("spell").fingerprint


class Full(KeywordVictim):
    """A victim with every optional capability, reading ten characters."""

    batch_size = 4

    def predict_exact(self, inputs):
        return self.predict(inputs)

    def truncate(self, string):
        return string[:10]

    def gradients(self, inputs, labels):
        """One token a word, of one dimension."""
        found = []
        for text in inputs:
            spans = Text(text).spans
            ones = np.ones((1 + len(spans), 1), np.float32)
            found.append(TokenGradients(1.0, ones, [(0, 0), *spans], [-1, *[0] * len(spans)]))
        return found


def test_a_rewriting_keeps_what_it_can():
    victim = Rewritten(Full(), str.lower, ["lower"])
    assert (victim.name, victim.label_names, victim.random, victim.batch_size) == (
        *("keywords", ("negative", "positive"), False, 4),
    )
    assert np.array_equal(victim.predict_exact(["GOOD"]), Full().predict(["good"]))
    plain = Rewritten(KeywordVictim(), str.lower, ["lower"])
    assert not any(hasattr(plain, name) for name in ("predict_exact", "truncate", "batch_size", "gradients"))


def test_gradients_pass_straight_through_to_the_places_that_they_came_from():
    victim = Rewritten(Full(), lambda text: text.replace("\u200b", "").replace("gret", "great"), ["mend"])
    text = "a g\u200bood  gret film"
    (found,) = victim.gradients([text], [1])
    assert found.offsets[0] == (0, 0)
    assert [text[start:end] for start, end in found.offsets[1:]] == ["a", "g\u200bood", "gret", "film"]
    longer = Rewritten(Full(), lambda text: text + " or not it is", ["add"])
    added = longer.gradients(["", "good"], [1, 1])
    assert [one.offsets for one in added] == [[(0, 0)], [(0, 0), (0, 4)]], "what was added stands for nothing"
    assert [len(one.gradient) for one in added] == [1, 2]


def test_equal_rewritings_are_asked_once_and_pairs_field_by_field():
    asked = []

    class Counting(KeywordVictim):
        def predict(self, inputs, draw=0):
            asked.append((list(inputs), draw))
            return super().predict(inputs, draw)

    victim = Rewritten(Counting(), str.lower, ["lower"])
    answers = victim.predict(["GOOD", "bad", "Good"], 3)
    assert asked == [(["good", "bad"], 3)]
    assert np.array_equal(answers, KeywordVictim().predict(["good", "bad", "good"]))
    victim.predict([("GOOD", "Bad")])
    assert asked[1] == ([("good", "bad")], 0)


def test_truncation_covers_what_is_read_through_the_rewriting():
    shorter = Rewritten(Full(), lambda string: string.replace("\u200b", ""), ["strip"])
    assert shorter.truncate("short one") == "short one"
    hidden = "\u200b" * 9
    text = f"ab{hidden} cd{hidden} efgh ijkl mnop"  # rewritten: "ab cd efgh ijkl mnop", of which "ab cd efgh" is read
    assert shorter.truncate(text) == f"ab{hidden} cd{hidden} efgh"
    longer = Rewritten(Full(), lambda string: string.replace("ﬁ", "fi"), ["nfkc"])
    assert longer.truncate("ﬁ ﬁ ﬁ ﬁ ﬁ ﬁ") == "ﬁ ﬁ ﬁ ﬁ"  # "fi fi fi f|i": the word that is read in part is kept


# --- composition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Marks:
    """Appends its mark to what the victim reads, and remembers its generator's first draw."""

    mark: str
    draws: list[float]

    def __call__(self, victim, train, rng):
        self.draws.append(rng.random())
        return Rewritten(victim, lambda string: string + self.mark, [self.mark])


def test_the_text_meets_the_left_defense_first_and_each_has_the_same_generator():
    read = []

    class Reads(KeywordVictim):
        def predict(self, inputs, draw=0):
            read.extend(inputs)
            return super().predict(inputs, draw)

    draws = []
    both = Composed(parts=(Marks(mark="1", draws=draws), Marks(mark="2", draws=draws)))
    both(Reads(), TRAIN, Random(5)).predict(["text"])
    assert read == ["text12"]
    assert draws == [Random(5).random()] * 2


def test_composition_from_a_selector():
    made = compose("unicode-normalize + spell(max_edits=1)+none")
    assert made == Composed(parts=(UnicodeNormalize(), Spell(max_edits=1), NoDefense()))
    assert compose("spell") == Spell()
    both = compose("unicode_normalize+spell")(KeywordVictim(), TRAIN, Random(0))
    assert np.array_equal(both.predict(["ＧＲＡＥＴ ﬁlm. Ɡreta"]), KeywordVictim().predict(["GRAET film. Great"]))
    parts = [
        compose(name)(KeywordVictim(), TRAIN, Random(0))
        for name in ("spell+unicode_normalize", "unicode_normalize+spell")
    ]
    assert parts[0].fingerprint != parts[1].fingerprint


def test_no_defense_is_the_victim_itself():
    victim = KeywordVictim()
    assert compose("none")(victim, [], Random(0)) is victim


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("spel", "no defense 'spel'; did you mean 'spell'"),
        ("spell+", "cannot read the defense"),
        ("", "cannot read the defense"),
        ("spell(max_edit=1)", "did you mean 'max_edits'"),
        ("spell(1)", "cannot read the settings"),
    ],
)
def test_bad_selectors_are_told_in_one_line(selector, message):
    with pytest.raises(UsageError) as raised:
        compose(selector)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["none", "spell", "unicode_normalize"])
def test_the_purifying_defenses_are_found_and_described(name):
    assert name in plugin_names("defense")
    assert describe("defense", name)
    assert isinstance(compose(name), Defense)
