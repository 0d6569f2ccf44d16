"""The command line: what is installed, what is fetched, and what can't be had."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_cli import one_line

from robustbench_nlp import masked_lm_training
from robustbench_nlp.cli import main
from robustbench_nlp.errors import UsageError


def test_doctor(capsys: pytest.CaptureFixture[str], isolated_cache: Path) -> None:
    folder = isolated_cache / "datasets" / "abc"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(bytes(2_000_000))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"{isolated_cache}, 2 MB (1 datasets)" in out
    assert all(name in out for name in ("torch", "transformers", "device", "[embedded]", "[textattack]"))
    assert re.search(r"mlm +about 91.9 MB +- +not fetched .* robustbench-nlp fetch mlm", out)
    assert re.search(r"wordnet +1.1 MB +[0-9a-f]{12} +shipped +WordNet 3.0", out)


def test_doctor_names_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from robustbench_nlp import diagnosis

    listed = ["click>=99", "nosuchpackage>=1", 'othermissing>=2; extra == "shiny"', 'click>=8; extra == "fine"']
    monkeypatch.setattr(diagnosis, "requires", lambda name: listed)
    assert main(["doctor"]) == 1
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.partition("\n\n")[0].splitlines())
    assert rows["[shiny]"] == "missing (no othermissing): pip install 'robustbench-nlp[shiny]'"
    assert rows["[fine]"] == "installed"
    assert "no nosuchpackage" in rows["broken"]
    assert "is not >=99" in rows["broken"]


def test_fetch(capsys: pytest.CaptureFixture[str], isolated_cache: Path) -> None:
    assert main(["fetch"]) == 0
    assert re.search(r"^mr +about .* not fetched ", capsys.readouterr().out, re.MULTILINE)
    assert main(["fetch", "mr"]) == 0
    first = capsys.readouterr().out
    assert re.search(r"^mr: verified, 1.0 MB, sha256 [0-9a-f]{12}$", first, re.MULTILINE)
    assert main(["fetch", "mr", "leet"]) == 0
    assert first.splitlines()[-1] in capsys.readouterr().out
    assert list(isolated_cache.rglob("test.jsonl"))


def test_fetch_goes_on_past_what_cannot_be_had(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, isolated_cache: Path
) -> None:
    def build(device: str = "auto") -> None:
        raise UsageError("no power")

    monkeypatch.setattr(masked_lm_training, "build", build)
    assert main(["fetch", "mlm", "mr"]) == 1
    told = capsys.readouterr()
    assert one_line(told.err) == "mlm: no power"
    assert "mr: verified" in told.out
