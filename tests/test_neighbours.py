"""Neighbours: the shipped table, the user's own vectors, the file format, counter-fitting, and the judged pairs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon import neighbours as table
from robustbench_nlp.lexicon.counterfit import counterfit, unit
from robustbench_nlp.lexicon.neighbours import KEPT, Neighbours, from_vectors, near_words, neighbours, pack, unpack

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "robustbench_nlp" / "lexicon" / "neighbours.gz"
SYNONYMS, ANTONYMS = 0.782, 0.045
GLOVE = "Good 1 0 0\ngreat 0.9 0.1 0\nbad 0.8 0.5 0.1\nfilm 0 0 1\nmovie 0 0.1 1\ngood 0 1 0\n"


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    path = tmp_path / "glove.txt"
    path.write_text(GLOVE, "utf-8")
    return path


def judged(verdict: str) -> list[tuple[str, str]]:
    lines = (ROOT / "tests" / "data" / "judged_pairs.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [pair for a, b, said in rows if said == verdict for pair in ((a, b), (b, a))]


def test_the_shipped_table_knows_common_words_best_first_and_in_their_case() -> None:
    found = neighbours("movie")
    assert found[0][0] == "film"
    assert len(found) == KEPT
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    assert neighbours("movie", 3) == found[:3]
    assert neighbours("MOVIE", 1)[0][0] == "FILM"
    assert neighbours("Movie", 1)[0][0] == "Film"
    assert "movie" not in dict(found)
    assert neighbours("") == neighbours("\ud800") == neighbours("xyzzyish") == neighbours("the") == ()


def test_the_shipped_table_leaves_out_opposites_and_inflections() -> None:
    assert "bad" not in dict(neighbours("good"))
    assert "worst" not in dict(neighbours("best"))
    assert not {"fascinating", "interesting", "entertaining"} & set(dict(neighbours("boring")))  # indirect antonyms
    assert "unhappy" not in dict(neighbours("happy"))
    assert not {"actor", "actors"} & set(dict(neighbours("actors")))


def test_the_shipped_table_holds_synonyms_and_few_antonyms() -> None:
    """The figures of the docstring, within two points."""
    for verdict, share in (("synonym", SYNONYMS), ("antonym", ANTONYMS)):
        pairs = [(a, b) for a, b in judged(verdict) if neighbours(a) and neighbours(b)]
        inside = [b in dict(neighbours(a)) for a, b in pairs]
        assert sum(inside) / len(inside) == pytest.approx(share, abs=0.02)


def test_enough_words_and_pairs_are_there() -> None:
    shipped = unpack(SHIPPED.read_bytes())
    assert len(shipped.words) == len(set(shipped.words)) >= 30_000
    assert (shipped.rows >= 0).sum() / len(shipped.words) > 45
    assert sum(len(judged(verdict)) for verdict in ("synonym", "antonym", "related", "unrelated")) >= 2 * 200


def test_look_ups_import_nothing_heavy() -> None:
    code = (
        "import sys; from robustbench_nlp.lexicon.neighbours import neighbours; assert neighbours('good');"
        "assert not {'torch', 'transformers', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table._table.cache_clear()
    monkeypatch.setattr(table, "SHA256", "0" * 64)
    with pytest.raises(UsageError, match=r"not the known table .*reinstall"):
        neighbours("good")


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32))
def test_a_table_survives_its_file(size: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    cosines = np.triu(np.round(draw.random((size, size)) * 250) / 250, 1).astype(np.float32)
    cosines = (cosines + cosines.T) * (cosines + cosines.T > 0.3)
    order = np.argsort(-cosines, axis=1, kind="stable")
    rows = np.full((size, KEPT), -1, np.int32)
    values = np.zeros((size, KEPT), np.float32)
    for row in range(size):
        places = order[row][cosines[row, order[row]] > 0][:KEPT]
        rows[row, : len(places)], values[row, : len(places)] = places, cosines[row, places]
    given_ = Neighbours([f"w{i}" for i in range(size)], rows, values)
    packed = pack(given_, way="test")
    found = unpack(packed)
    assert packed == pack(given_, way="test")
    assert found.words == given_.words
    assert np.array_equal(found.rows, rows)
    assert np.allclose(found.cosines, values, atol=1e-6)


def test_a_table_of_neighbours_stands_in_for_vectors(tmp_path: Path) -> None:
    rows, cosines = np.full((3, KEPT), -1, np.int32), np.zeros((3, KEPT), np.float32)
    rows[0, :2], cosines[0, :2] = (2, 1), (0.9, 0.5)
    path = tmp_path / "own.gz"
    path.write_bytes(pack(Neighbours(["fine", "film", "good"], rows, cosines)))
    look_up = from_vectors(path)
    assert [word for word, _ in look_up("Fine")] == ["Good", "Film"]
    assert look_up("good", 1)[0][0] == "fine"  # a pair counts both ways
    assert look_up("nothing") == ()
    assert near_words("fine", 5, 0.6, str(path)) == ("good",)
    path.write_bytes(path.read_bytes()[:-20])
    from_vectors.cache_clear()
    with pytest.raises(UsageError, match="no table of neighbours; give vectors"):
        from_vectors(path)


@pytest.mark.parametrize("head", ["", "6 3\n"])
def test_own_vectors_in_both_text_forms(tmp_path: Path, head: str) -> None:
    path = tmp_path / "own.txt"
    path.write_text(head + GLOVE, "utf-8")
    look_up = from_vectors(path)
    assert [word for word, _ in look_up("good", 2)] == ["great", "bad"]  # of Good and good the first counts
    assert look_up("good", 1)[0][1] == pytest.approx(0.9 / np.hypot(0.9, 0.1), abs=1e-5)
    assert [word for word, _ in look_up("FILM", 1)] == ["MOVIE"]
    assert len(look_up("film")) == 4
    assert look_up("nothing") == ()
    assert from_vectors(path) is look_up


def test_near_words_are_single_words_above_the_cosine(glove: Path) -> None:
    assert near_words("good", 50, 0.5, str(glove)) == ("great", "bad")
    assert near_words("good", 50, 0.9, str(glove)) == ("great",)
    assert near_words("Good", 1, 0.5, str(glove)) == ("Great",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read the word vectors"),
        ("", "holds 0 word vectors"),
        ("good 1 2\n", "holds 1 word vectors"),
        ("good 1 2\nbad 1\n", "line 2: 1 numbers instead of 2"),
        ("good\nbad\n", "line 1: 0 numbers"),
        ("good 1 x\nbad 1 2\n", "line 1: not a word and numbers"),
    ],
)
def test_bad_vector_files_are_told_in_one_line(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(UsageError, match=told) as problem:
        from_vectors(path)
    assert "\n" not in str(problem.value)


def test_a_word_may_hold_spaces_where_the_width_is_known(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("good 1 0\n. . . 1 1\nfine 1 0.5\n", "utf-8")
    assert [word for word, _ in from_vectors(path)("good")] == ["fine", ". . ."]
    assert near_words("good", 50, 0.0, str(path)) == ("fine",)


def test_counterfitting_attracts_synonyms_and_repels_antonyms() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    vectors[1] = vectors[0] + vectors[1] / 2  # antonyms that lie close
    moved = counterfit(vectors, [(2, 3)], [(0, 1), (1, 0)], steps=100)
    before = unit(vectors)
    assert moved[0] @ moved[1] < 0.2 < 0.6 < before[0] @ before[1]
    assert moved[2] @ moved[3] > max(0.9, float(before[2] @ before[3]))
    assert np.allclose(moved[4:], before[4:], atol=1e-6)  # words in no relation stay
    assert np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)


def test_counterfitting_without_relations_changes_nothing() -> None:
    vectors = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    assert np.allclose(counterfit(vectors, [], []), unit(vectors), atol=1e-6)


@pytest.mark.slow
def test_the_shipped_table_is_what_the_script_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine the encoder's last bits may differ: so nearly all pairs, not all bytes."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import build_neighbours

    words = build_neighbours.vocabulary()
    built = build_neighbours.WAYS[table.WAY](words, build_neighbours.encoded(words))
    shipped = unpack(SHIPPED.read_bytes())
    assert words == shipped.words
    same = [
        len(set(one) & set(other)) / KEPT for one, other in zip(built.rows.tolist(), shipped.rows.tolist(), strict=True)
    ]
    assert np.mean(same) > 0.95
