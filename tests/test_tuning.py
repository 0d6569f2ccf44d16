"""The choice of strengths and learning rates on dev: what is taken, kept, and shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import tune_defenses
from click.testing import CliRunner

from robustbench_nlp.plugins import create


def rows(**of: tuple[float, float]) -> pd.DataFrame:
    """Clean and robust accuracies by settings."""
    return pd.DataFrame.from_dict(of, orient="index", columns=["clean", "robust"])


def test_the_most_robust_of_what_costs_little_is_taken() -> None:
    assert tune_defenses.chosen(rows(weak=(0.80, 0.04), strong=(0.79, 0.06), broken=(0.70, 0.30)), 0.81) == "strong"
    assert tune_defenses.chosen(rows(strong=(0.60, 0.30), weak=(0.78, 0.05)), 0.81) == "weak"
    assert tune_defenses.chosen(rows(collapsed=(0.0, 0.0), weak=(0.79, 0.0)), 0.81) == "weak"


def test_every_setting_is_one_of_its_defense() -> None:
    for name, selectors in tune_defenses.SETTINGS.items():
        assert len(set(selectors)) == len(selectors)
        assert {type(create("defense", selector)) for selector in selectors} == {type(create("defense", name))}


def test_what_is_finished_is_kept_and_the_chosen_is_bold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def row(selector: str, _: Path) -> dict[str, object]:
        ran.append(selector)
        right = 3 * len(ran)
        told = {"clean": 0.8, "right": right, "robust": right / tune_defenses.LIMIT, "collapsed": ""}
        return {"settings": selector, "undefended": here[0], "commit": "c"} | told

    monkeypatch.setattr(tune_defenses, "_row", row)
    here = ["0012"]
    monkeypatch.setattr(tune_defenses.rb, "open_victim", lambda _: SimpleNamespace(fingerprint=here[0]))

    def page(defenses: str) -> list[str]:
        made = CliRunner().invoke(tune_defenses.main, ["--defenses", defenses, "--to", str(tmp_path)])
        assert made.exit_code == 0, made.output
        assert (tmp_path / "README.md").read_text("utf-8").count("of the victim on one machine each") == (len(here) > 1)
        return [line for line in (tmp_path / "README.md").read_text("utf-8").splitlines() if "`vat(" in line]

    weak, strong = tune_defenses.SETTINGS["vat"]
    assert [line.split(" | ")[0] for line in page("vat")] == [f"| `{weak}`", f"| `{strong}`"], (
        "nothing to hold it against"
    )
    assert [line.split(" | ")[0] for line in page("none,vat")] == [f"| `{weak}`", f"| **`{strong}`**"]
    assert ran == [weak, strong, "none"]
    here.insert(0, "0013")
    assert [line.split(" | ")[0] for line in page("none,vat")] == [f"| `{weak}` a", f"| **`{strong}`** a"]
    assert ran == [weak, strong, "none", "none"], "none with each training of the victim"
    table = pd.read_csv(tmp_path / "table.csv", dtype={"undefended": str})
    table[table["settings"] != strong].to_csv(tmp_path / "table.csv", index=False)
    for defenses, told in (
        ("none,pgd,vat", f"vat in {tmp_path / 'table.csv'} is of another training of minilm-mr (0012)"),
        ("vat,typo", "nothing is tuned of typo"),
    ):
        made = CliRunner().invoke(tune_defenses.main, ["--defenses", defenses, "--to", str(tmp_path)])
        assert made.exit_code == 1
        assert told in made.output
    assert ran == [weak, strong, "none", "none"]


def test_the_defaults_are_what_was_chosen() -> None:
    table = pd.read_csv(Path(__file__).parent.parent / "results" / "tuning" / "table.csv", dtype={"undefended": str})
    taken = tune_defenses.choices(table)
    assert "vat" in taken
    for name, selector in taken.items():
        assert create("defense", name) == create("defense", selector), f"of {name}"


@pytest.mark.parametrize(
    "others",
    [[("weak", "A"), ("weak", "B")], [("weak", "A"), ("strong", "B")], [("weak", "A"), ("strong", "A"), ("weak", "B")]],
)
def test_nothing_is_chosen_across_trainings_of_the_victim(others: list[tuple[str, str]]) -> None:
    names = dict(zip(("weak", "strong"), tune_defenses.SETTINGS["vat"], strict=True))
    stand = [("none", "A"), ("none", "B"), *((names[name], victim) for name, victim in others)]
    table = pd.DataFrame(stand, columns=["settings", "undefended"]).assign(clean=0.8, robust=0.1)
    assert tune_defenses.choices(table) == {}
    whole = table[~table["settings"].isin(names.values())]
    both = pd.DataFrame([(name, "B") for name in names.values()], columns=["settings", "undefended"])
    assert set(tune_defenses.choices(pd.concat([whole, both.assign(clean=0.8, robust=0.1)]))) == {"vat"}
