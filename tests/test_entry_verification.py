"""`verify ENTRY`: an entry that holds, and every planted fault is told in a line of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import made, rewrite, rewrite_texts
from texts import complaint

from robustbench_nlp import grid
from robustbench_nlp.cli import main
from robustbench_nlp.ensembles import Ensemble, EnsembleMember
from robustbench_nlp.errors import UsageError
from robustbench_nlp.leaderboard import checking
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.submission import submit
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.verification import verify

pytestmark = pytest.mark.usefixtures("there")
Lines = list[dict[str, Any]]


@pytest.fixture
def entry(board_run: Path, tmp_path: Path) -> Path:
    return submit(board_run, to=tmp_path / "board", defense="unicode-normalize")[0]


def first(lines: Lines, outcome: str, member: str = "fast-1/deepwordbug") -> dict[str, Any]:
    return next(line for line in lines if line["member"] == member and line.get("outcome") == outcome)


def test_entries_hold(board_run: Path, tmp_path: Path) -> None:
    full = made(tmp_path / "full", attacks=["pwws", "worst-case:fast-1"])
    transfer = made(tmp_path / "transfer", mode="transfer", defenses=["none", "unicode-normalize"])
    drawn = made(tmp_path / "drawn", victim="python:boardvictims:drawn", limit=4)
    for number, paths in enumerate(
        (
            submit(board_run, to=tmp_path / "a"),
            submit(full, to=tmp_path / "b", whole_texts=True),
            submit(transfer, to=tmp_path / "c", defense="none"),
            submit(drawn, to=tmp_path / "d"),
        )
    ):
        for path in paths:
            result = verify(path, trust=True)
            assert result.differences == (), (number, path)
            assert (result.cells, result.texts > 0) == (3, True)


def test_failures_of_an_honest_entry_fail_again(entry: Path) -> None:
    result = verify(entry, trust=True, attack=50)
    assert result.differences == ()
    robust = read_entry(entry).measured
    assert result.attacked == robust["attempted"] - robust["successes"] > 0


def withheld(lines: Lines) -> None:
    """What the attacks found, told as if they had found nothing."""
    for line in lines:
        if line.get("outcome") in ("success", "settled"):
            line.update(outcome="failed", edits=[], winner=None, adversarial_prediction=None, first_success_query=None)


def test_an_entry_that_withholds_what_attacks_found_is_found_by_attacking_again(entry: Path) -> None:
    rewrite_texts(entry, withheld)
    assert not any("fall to its ensemble" in line for line in verify(entry, trust=True).differences)
    result = verify(entry, trust=True, attack=50)
    assert any("examples that the entry calls robust fall to its ensemble here" in line for line in result.differences)


def test_attacking_again_is_for_entries(board_run: Path) -> None:
    with pytest.raises(UsageError, match="for entries"):
        verify(board_run, trust=True, attack=5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda lines: first(lines, "success").update(edits=[]),
            "is recorded as a success: the victim, asked again alone",
        ),
        (lambda lines: first(lines, "success").update(edits=[[0, 0, 4, "dull awful bad"]]), "has words_changed"),
        (lambda lines: first(lines, "success").update(edits=[[0, 5, 2000, "x"]]), "does not fit the original"),
        (lambda lines: first(lines, "success").update(edits="x"), "the texts of fast-1/deepwordbug, example "),
        (
            lambda lines: first(lines, "success").update(outcome="failed"),
            "is recorded as failed, and its text is a success",
        ),
        (lambda lines: first(lines, "success").update(outcome="failed"), "measured.robust_accuracy is "),
        (lambda lines: first(lines, "success").update(outcome="skipped"), "is recorded as skipped"),
        (lambda lines: first(lines, "success").update(label=0), "has another text or label"),
        (lambda lines: first(lines, "success").update(queries=301), "spent 301 queries"),
        (lambda lines: first(lines, "success").update(id="0" * 16), "is none of the benchmark's"),
        (lambda lines: first(lines, "success").update(colour="red"), "unexpected keyword argument 'colour'"),
        (lambda lines: lines.remove(first(lines, "success")), "has no record"),
        (lambda lines: lines.__delitem__(slice(1, 25)), "has no record"),
        (
            lambda lines: lines[0]["header"].update(fingerprint="0" * 16),
            "the fingerprint 0000000000000000 is not that of",
        ),
        (lambda lines: lines[0]["header"]["spec"].update(seed=1), "seed is 0 here and 1 on record"),
        (lambda lines: lines[0]["header"]["spec"].update(victim="0" * 16), "victim.fingerprint is"),
        (lambda lines: lines.__delitem__(slice(25, 50)), "the texts lack the member fast-1/deepwordbug"),
        (lambda lines: lines.append(lines[-1]), " twice"),
        (lambda lines: lines.pop(0), "records of fast-1/random_typos before its header"),
    ],
)
def test_changed_texts_are_found(entry: Path, change: Callable[[Lines], object], told: str) -> None:
    rewrite_texts(entry, change)
    lines = verify(entry, trust=True).differences
    assert any(told in line for line in lines), lines


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c["measured"].update(robust_accuracy=0.99), "measured.robust_accuracy is 0.99, the texts give 0."),
        (lambda c: c["measured"].update(n=1000), "measured.n is 1000, the texts give 24"),
        (lambda c: c["measured"].update(floor=0.1), "measured.floor is 0.1, the texts give 0.5"),
        (lambda c: c["members"][1].update(threat="other@1"), "members[1].threat is other@1"),
        (lambda c: c["members"].pop(), "members has 2 parts, the texts give 3"),
        (lambda c: c.update(comparable="0" * 16), "comparable is 0000000000000000"),
        (lambda c: c.update(flags=[]), "flags are none, the texts give small"),
        (lambda c: c.update(flags=["small"]), "flags are small, the texts give small, unreliable"),
        (
            lambda c: c.update(warnings=["saturated_scores: x"], flags=["small", "unreliable"]),
            "warnings are saturated_scores",
        ),
        (
            lambda c: c.update(warnings=["nondeterministic_victim: x"], flags=["small"]),
            "flags are small, the texts give small, unreliable",
        ),
        (
            lambda c: c["ensemble"].update(knowledge="gradient"),
            "ensemble.knowledge is gradient, the published file gives",
        ),
        (lambda c: c["ensemble"].update(description="easy"), "ensemble.description is easy, the published file gives"),
        (lambda c: c["flags"].append("<b>best"), "flags have '<b>best', which there is not"),
        (lambda c: c["dataset"].update(note="hard"), "dataset.note is hard, and here empty"),
        (lambda c: c["dataset"].update(licence="CC0"), "dataset.licence is CC0, and here unknown"),
        (lambda c: c["victim"].update(fingerprint="0" * 16), "victim.fingerprint is 0000000000000000"),
        (lambda c: c["ensemble"].update(sha256="0" * 64), "in the entry"),
        (lambda c: c["texts"].update(sha256="0" * 64), "texts.sha256 is 0000"),
        (lambda c: c["benchmark"].update(seed=3), "seed is 3 here and 0 on record"),
        (lambda c: c["benchmark"].update(limit=8), "is none of the benchmark's"),
        (lambda c: c["victim"].update(selector="python:boardvictims:weak"), "victim is "),
        (lambda c: c["defense"].update(selector="none"), "defense is none here and unicode_normalize on record"),
    ],
)
def test_changed_values_are_found(entry: Path, change: Callable[[dict[str, Any]], object], told: str) -> None:
    rewrite(entry, change)
    lines = verify(entry, trust=True).differences
    assert any(told in line for line in lines), lines


def test_few_draws_of_a_random_victim_are_told(tmp_path: Path) -> None:
    (path,) = submit(made(tmp_path / "drawn", victim="python:boardvictims:drawn", limit=4), to=tmp_path / "board")
    rewrite(path, lambda content: content["benchmark"].update(draws=3))
    assert "draws are 3; a random victim is judged by at least 20 here" in verify(path, trust=True).differences


def test_a_member_without_records_is_named(entry: Path) -> None:
    rewrite_texts(entry, lambda lines: lines.__setitem__(slice(None), lines[:25]))
    lines = verify(entry, trust=True).differences
    assert [line for line in lines if "no records" in line] == [
        f"unicode_normalize × fast-1/{name}: no records of it" for name in ("deepwordbug", "pwws")
    ]


def test_missing_and_damaged_texts_are_told(entry: Path) -> None:
    texts = entry.with_suffix(".jsonl.gz")
    whole = texts.read_bytes()
    texts.write_bytes(whole[:-20])
    (line,) = verify(entry, trust=True).differences
    assert line.startswith("keywords__unicode_normalize.jsonl.gz is damaged")
    texts.unlink()
    assert verify(entry, trust=True).differences == (
        "the texts keywords__unicode_normalize.jsonl.gz are missing beside the entry",
    )


def test_another_victim_is_named_and_its_texts_fail(entry: Path) -> None:
    lines = verify(entry, victim="python:boardvictims:weak").differences
    assert any("× fast-1/pwws: victim is" in line for line in lines)
    assert any("without an attack" in line for line in lines)


def test_an_edited_ensemble_is_named(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = (EnsembleMember("random_typos"), EnsembleMember("deepwordbug", 300), EnsembleMember("pwws", 300))
    monkeypatch.setattr(grid, "load_ensemble", lambda name: Ensemble(name, "", edited))
    monkeypatch.setattr(checking, "ensemble_digest", lambda name: "f" * 64)
    lines = verify(entry, trust=True).differences
    assert lines[0].startswith("ensemble fast-1 has the sha256 ffff")
    assert any("fast-1/deepwordbug: attack is" in line for line in lines)


def test_helper_models_of_a_search_need_not_be_here(entry: Path) -> None:
    rewrite_texts(entry, lambda lines: lines[0]["header"]["spec"].update({"helper models": [["FillMask", "mlm", "0"]]}))
    (line,) = verify(entry, trust=True).differences
    assert "the fingerprint" in line


def test_texts_are_written_out_to_read(entry: Path, board_run: Path, tmp_path: Path) -> None:
    to = tmp_path / "texts.jsonl"
    assert main(["verify", "--trust", str(entry), "--texts", str(to)]) == 0
    lines = [json.loads(line) for line in to.read_text("utf-8").splitlines()]
    (cell,) = (cell for cell in recorded_cells(board_run) if cell.name == ("unicode_normalize", "fast-1/deepwordbug"))
    read = {line["id"]: line for line in lines if line["member"] == "fast-1/deepwordbug"}
    for identity, record in cell.records.items():
        for name in ("label", "outcome", "winner", "original", "adversarial"):
            assert read[identity][name] == getattr(record, name)
    assert main(["verify", str(board_run), "--texts", str(to)]) == 2


def test_the_command_checks_several_and_ends_with_the_worst_code(
    entry: Path,
    board_run: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert main(["verify", "--trust", str(entry), str(board_run), str(tmp_path / "board")]) == 0
    assert capsys.readouterr().out.count("it holds") == 3
    rewrite(entry, lambda content: content["measured"].update(robust_accuracy=0.99))
    assert main(["verify", "--trust", str(board_run), str(entry)]) == 1
    assert "measured.robust_accuracy is 0.99" in capsys.readouterr().out
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert main(["verify", "--trust", str(bad), str(entry)]) == 2
    told = capsys.readouterr()
    assert "is no entry of a leaderboard" in told.err
    assert "measured.robust_accuracy" in told.out
    assert "no entry" in complaint(lambda: verify(bad))
    assert "cannot read the entry" in complaint(lambda: verify(tmp_path / "nowhere.json"))
