"""`submit`: what an entry holds, what is refused, and texts that only the data set's owner can read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from boards import made, rewrite
from hypothesis import given
from hypothesis import strategies as st
from texts import complaint

from robustbench_nlp import grid
from robustbench_nlp.cli import main
from robustbench_nlp.data import Example
from robustbench_nlp.ensembles import Ensemble, EnsembleMember
from robustbench_nlp.leaderboard.entry import entries, read_entry
from robustbench_nlp.leaderboard.submission import submit
from robustbench_nlp.leaderboard.texts import applied, edits, lines_of, packed, uncompressed, unpacked, verdicts
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.verification import verify

pytestmark = pytest.mark.usefixtures("there")
PLAIN = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def test_an_entry_says_what_the_table_says(board_run: Path, tmp_path: Path) -> None:
    first, second = submit(board_run, to=tmp_path, links=["https://example.org/paper"])
    assert first == tmp_path / "classification" / "fast-1" / "keywords__none.json"
    assert second.name == "keywords__unicode_normalize.json"
    entry = read_entry(first)
    cells = {cell.name: cell for cell in recorded_cells(board_run)}
    worst = cells["none", "worst_case:fast-1"]
    assert entry.measured["robust_accuracy"] == sum(worst.right().values()) / len(worst.records)
    assert entry.measured["robust_low"] < entry.measured["robust_accuracy"] < entry.measured["robust_high"]
    assert (entry.measured["n"], entry.measured["floor"]) == (24, 0.5)
    assert [member["attack"] for member in entry.members] == [
        "fast-1/random_typos",
        "fast-1/deepwordbug",
        "fast-1/pwws",
    ]
    assert verdicts(uncompressed(first.with_suffix(".jsonl.gz"))) == worst.right()
    assert (entry.links, entry.claimed, entry.mode) == (["https://example.org/paper"], {}, "cascade")
    assert "small" in entry.flags
    assert entry.costs["forwards_per_prediction"] == 1
    assert entry.comparable == read_entry(second).comparable
    assert set(entries(tmp_path)) == {first, second}


def test_the_same_run_gives_the_same_files(board_run: Path, tmp_path: Path) -> None:
    one, two = (submit(board_run, to=tmp_path / side, defense="unicode_normalize")[0] for side in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert one.with_suffix(".jsonl.gz").read_bytes() == two.with_suffix(".jsonl.gz").read_bytes()


def test_no_text_of_the_data_set_is_published_unless_asked(board_run: Path, tmp_path: Path) -> None:
    (path,) = submit(board_run, to=tmp_path, defense="none")
    texts = path.with_suffix(".jsonl.gz")
    assert b"film with a" not in uncompressed(texts)
    (path,) = submit(board_run, to=tmp_path, defense="none", whole_texts=True)
    assert b"film with a" in uncompressed(texts)
    assert any("adversarial" in line for line in lines_of(uncompressed(texts)))


@given(PLAIN, PLAIN)
def test_edits_make_the_text_again(original: str, text: str) -> None:
    written = json.loads(json.dumps(edits(original, text)))
    assert applied(original, written) == text
    assert applied((original, "b"), json.loads(json.dumps(edits((original, "b"), (original, text))))) == (
        original,
        text,
    )


@pytest.mark.parametrize("whole", [False, True])
def test_the_texts_hold_the_records(board_run: Path, whole: bool) -> None:
    cells = [
        cell for cell in recorded_cells(board_run) if cell.name[1].startswith("fast-1/") and cell.name[0] == "none"
    ]
    examples = {
        record.example_id: Example(fields={"text": str(record.original)}, label=record.label)
        for record in cells[0].records.values()
    }
    found = unpacked(packed(cells, whole=whole), examples, 0)
    for cell in cells:
        again = found[cell.name[1]]
        assert again.header["spec"] == cell.header["spec"]
        assert again.records == {
            identity: replace(record, adversarial_output=None, seconds=0.0) for identity, record in cell.records.items()
        }


def test_an_entrys_benchmark_makes_its_numbers_again(board_run: Path, tmp_path: Path) -> None:
    (path,) = submit(board_run, to=tmp_path / "one", defense="unicode_normalize")
    entry = read_entry(path)
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(dict(entry.benchmark)))
    assert main(["run", str(tmp_path / "again.yaml"), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    (again,) = submit(tmp_path / "run", to=tmp_path / "two")
    assert read_entry(again).measured == entry.measured
    assert read_entry(again).texts == entry.texts


def test_a_full_run_and_a_cascade_may_stand_in_one_ranking(board_run: Path, tmp_path: Path) -> None:
    full = made(tmp_path / "full", attacks=["pwws", "worst-case:fast-1"])
    (one,) = submit(board_run, to=tmp_path / "a", defense="none")
    (two,) = submit(full, to=tmp_path / "b")
    first, second = read_entry(one), read_entry(two)
    assert (first.mode, second.mode) == ("cascade", "adaptive")
    assert first.comparable == second.comparable
    assert first.measured["robust_accuracy"] == second.measured["robust_accuracy"]
    third = read_entry(submit(made(tmp_path / "seed", seed=1), to=tmp_path / "c")[0])
    assert third.comparable != first.comparable


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"victim": "python:boardvictims:drawn", "draws": 1}, "--draws was 1"),
        ({"defenses": ["density(evaded=True)"], "train": "csv:rows.csv"}, "takes none with evaded=True"),
        ({"attacks": ["pwws", "worst-case"]}, "measured no published ensemble"),
        ({"dtype": "bfloat16"}, "searched in bfloat16"),
        ({"victim": "python:boardvictims:drawn", "draws": 2}, "judged by at least 20 draws here, and --draws was 2"),
    ],
)
def test_a_run_that_no_leaderboard_takes(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    folder = made(tmp_path / "run", limit=8, **settings)
    assert told in complaint(lambda: submit(folder, to=tmp_path / "board"))
    assert not (tmp_path / "board").exists()


def test_a_transfer_is_refused_and_its_undefended_side_is_not(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", mode="transfer", defenses=["none", "unicode-normalize"], limit=8)
    assert "mode transfer" in complaint(lambda: submit(folder, to=tmp_path / "board"))
    assert not (tmp_path / "board").exists()
    assert submit(folder, to=tmp_path / "board", defense="none")


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", limit=8)
    records = next((folder / "records").glob("*pwws*"))
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:-2]))
    assert "finish the run first" in complaint(lambda: submit(folder, to=tmp_path / "board"))
    records.unlink()
    assert "is not finished" in complaint(lambda: submit(folder, to=tmp_path / "board"))
    (folder / "manifest.json").unlink()
    assert "is not finished; the same run command" in complaint(lambda: submit(folder, to=tmp_path / "board"))


def test_a_finished_defense_of_an_unfinished_run_is_taken_alone(board_run: Path, tmp_path: Path) -> None:
    folder = copytree(board_run, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["warnings"]  # the end of a run adds them
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for records in (folder / "records").glob("unicode_normalize__*"):
        records.unlink()
    assert "and --defense takes one that is" in complaint(lambda: submit(folder, to=tmp_path / "board"))
    assert "is not finished" in complaint(lambda: submit(folder, to=tmp_path, defense="unicode-normalize"))
    (path,) = submit(folder, to=tmp_path / "board", defense="none")
    entry, whole = read_entry(path), read_entry(submit(board_run, to=tmp_path / "whole", defense="none")[0])
    assert (entry.measured, entry.texts) == (whole.measured, whole.texts)
    assert "unreliable" in entry.flags
    assert any("had not ended" in line for line in entry.warnings)


def test_a_run_of_python_objects_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", limit=8, dataset=[("a good film", 1), ("a bad film", 0)])
    assert "nobody else has" in complaint(lambda: submit(folder, to=tmp_path / "board"))


def test_more_than_one_error_in_a_hundred_is_refused(tmp_path: Path, board_place: Path) -> None:
    (board_place / "failing.py").write_text(
        "from robustbench_nlp.fakes import KeywordVictim\n"
        "def victim(texts):\n"
        "    if any('2' in text for text in texts):\n        raise OSError('no power')\n"
        "    return KeywordVictim().predict(texts)\n"
    )
    folder = made(tmp_path / "run", victim="python:failing:victim")
    assert "examples ended in an error" in complaint(lambda: submit(folder, to=tmp_path / "board"))


def test_members_that_are_not_the_published_ones_are_refused(
    board_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = (EnsembleMember("random_typos"), EnsembleMember("deepwordbug", 300), EnsembleMember("pwws", 200))
    monkeypatch.setattr(grid, "load_ensemble", lambda name: Ensemble(name, "", edited))
    told = complaint(lambda: submit(board_run, to=tmp_path))
    assert "none × fast-1/deepwordbug: the attack is " in told
    assert "run it again with this release" in told


def test_claims(board_run: Path, tmp_path: Path) -> None:
    (path,) = submit(
        board_run, to=tmp_path, defense="none", claims={"robust": 0.5}, links=["https://example.org"], external=True
    )
    entry = read_entry(path)
    assert (entry.claimed, entry.flags[0]) == ({"robust_accuracy": 0.5}, "external")
    assert "say whose" in complaint(lambda: submit(board_run, to=tmp_path, claims={"robust": 0.5}))
    assert "no fraction" in complaint(lambda: submit(board_run, to=tmp_path, defense="none", claims={"robust": 31.0}))
    assert "no claim 'robist'; did you mean 'robust'?" in complaint(
        lambda: submit(board_run, to=tmp_path, defense="none", claims={"robist": 0.5})
    )
    assert "add --claim" in complaint(lambda: submit(board_run, to=tmp_path, defense="none", external=True))


def test_what_only_the_run_knew_is_kept(board_run: Path, tmp_path: Path) -> None:
    folder = copytree(board_run, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    told = "nondeterministic_victim: keywords answered otherwise"
    (folder / "manifest.json").write_text(json.dumps(manifest | {"warnings": [told]}))
    entry = read_entry(submit(folder, to=tmp_path / "board", defense="none")[0])
    assert entry.warnings[0] == told
    assert entry.flags == ["unreliable", "small"]


def test_another_entry_is_not_overwritten_by_accident(board_run: Path, tmp_path: Path) -> None:
    submit(board_run, to=tmp_path, defense="none")
    assert submit(board_run, to=tmp_path, defense="none", links=["https://example.org"])
    other = made(tmp_path / "other", victim="python:boardvictims:other")
    assert "is another entry" in complaint(lambda: submit(other, to=tmp_path))
    assert submit(other, to=tmp_path, name="mine")[0].name == "mine__none.json"
    assert submit(other, to=tmp_path, replace=True)[0].name == "keywords__none.json"


EXTERNAL = {"links": ["https://example.org/attack"], "claims": {"robust": 0.5}, "external": True}


@pytest.mark.parametrize(
    ("again", "links", "claimed", "external"),
    [
        ({}, EXTERNAL["links"], {"robust_accuracy": 0.5}, True),
        ({"links": ["https://example.org/b"]}, ["https://example.org/b"], {"robust_accuracy": 0.5}, True),
        ({"claims": {"clean": 0.8}}, EXTERNAL["links"], {"clean_accuracy": 0.8}, False),
        ({"replace": True}, [], {}, False),
    ],
)
def test_an_entry_that_is_measured_again_keeps_what_its_submitter_said(
    board_run: Path,
    tmp_path: Path,
    again: dict[str, Any],
    links: list[str],
    claimed: dict[str, float],
    external: bool,
) -> None:
    (path,) = submit(board_run, to=tmp_path, defense="none", **EXTERNAL)
    first = read_entry(path)
    entry = read_entry(submit(board_run, to=tmp_path, defense="none", **again)[0])
    assert (entry.links, entry.claimed) == (links, claimed)
    assert entry.flags == [flag for flag in first.flags if external or flag != "external"]


def test_another_entry_has_links_and_claims_of_its_own(board_run: Path, tmp_path: Path) -> None:
    submit(board_run, to=tmp_path, defense="none", **EXTERNAL)
    other = made(tmp_path / "other", victim="python:boardvictims:other")
    entry = read_entry(submit(other, to=tmp_path, replace=True)[0])
    assert (entry.links, entry.claimed, "external" in entry.flags) == ([], {}, False)


@pytest.mark.parametrize("link", ["javascript:alert(1)", "example.org", "https://", "https:///x", "https://a b", ""])
def test_a_link_is_a_web_address(board_run: Path, tmp_path: Path, link: str) -> None:
    told = f"the link {link!r} is no web address"
    assert told in complaint(lambda: submit(board_run, to=tmp_path, defense="none", links=[link]))
    assert not any(tmp_path.iterdir())
    (path,) = submit(
        board_run, to=tmp_path, defense="none", links=["HTTP://example.org", "https://example.org/a?b=c#d"]
    )
    rewrite(path, lambda content: content.update(links=[link]))
    assert told in complaint(lambda: verify(path, trust=True))


def test_what_is_no_entry(board_run: Path, tmp_path: Path) -> None:
    (path,) = submit(board_run, to=tmp_path, defense="none")
    for change, told in (
        (lambda c: c.pop("comparable"), "lacks comparable"),
        (lambda c: c["measured"].pop("floor"), "lacks measured.floor"),
        (lambda c: c.update(comment="x"), "has 'comment'"),
        (lambda c: c.update(schema=9), "has schema 9"),
        (
            lambda c: c["measured"].update(robust_accuracy="0.9"),
            "measured.robust_accuracy is '0.9', which is no fraction",
        ),
        (lambda c: c["measured"].update(robust_high=31.0), "measured.robust_high is 31.0, which is no fraction"),
        (lambda c: c["measured"].update(robust_low=None), "measured.robust_low is missing"),
        (lambda c: c["measured"].update(n=0), "measured.n is no number"),
        (lambda c: c["measured"].update(n=True), "measured.n"),
        (lambda c: c["members"][0].update(errors=-1), "members[0].errors is -1"),
        (lambda c: c["members"][0].pop("threat"), "members[0] is no attack's result"),
        (lambda c: c.update(members=3), "members[0] is no attack's result"),
        (lambda c: c.update(members=[]), "lacks members"),
        (lambda c: c.update(links="https://example.org"), "links is no list of texts"),
        (lambda c: c.update(claimed={"asr": 0.1}), "claimed.asr is no claim"),
        (lambda c: c.update(costs={"train_ratio": "x"}), "costs.train_ratio is no number"),
        (lambda c: c["victim"].update(name=3), "victim.name is no text"),
        (lambda c: c["dataset"].update(selector=["mr"]), "dataset.selector is no text"),
        (lambda c: c["texts"].update(file="../../x.gz"), "texts.file is '../../x.gz'"),
        (lambda c: c["benchmark"].update(seed="0"), "benchmark.seed is no whole number"),
    ):
        before = path.read_text()
        rewrite(path, change)
        assert told in complaint(lambda: read_entry(path))
        path.write_text(before)
    moved = path.rename(path.with_name("keywords__spell.json"))
    assert "put it there" in complaint(lambda: entries(tmp_path))
    moved.write_text("{")
    assert "is no JSON" in complaint(lambda: read_entry(moved))
    assert "holds no entries" in complaint(lambda: entries(tmp_path / "nowhere"))


def test_the_command(board_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["submit", str(board_run), "--to", str(tmp_path), "--defense", "none"]
    for said in (["--claim", "robust=0.25", "--link", "https://example.org/p"], []):
        assert main([*command, *said]) == 0
        assert "keywords__none.json: " in (line := capsys.readouterr().out)
        assert line.endswith("n = 24; unreliable, small; claimed robust 25.0 %; https://example.org/p\n")
    assert main(["submit", str(board_run), "--to", str(tmp_path), "--claim", "robust"]) == 2
    assert "write robust=0.31" in capsys.readouterr().err
    assert main(["submit", str(tmp_path)]) == 2


def test_the_seeding_script_makes_entries_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "scripts"))
    from seed_leaderboard import main as seed

    line = ["--victims", "python:boardvictims:victim", "--dataset", "csv:rows.csv", "--limit", "8"]
    line += [
        "--defenses",
        "unicode-normalize,freelb",
        "--to",
        str(tmp_path / "board"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    seed(line, standalone_mode=False)
    out = capsys.readouterr().out
    assert "freelb: left out: freelb trains the victim's weights" in out
    assert out.count(" % robust") == out.count(".json (") == 2
    seed(line, standalone_mode=False)
    assert capsys.readouterr().out.count("on the leaderboard") == 2
    assert len(entries(tmp_path / "board")) == 2
