"""The targets of `make fuzz` for a second each, and every input that once broke one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fuzz
import fuzz_targets
import pytest
from fuzz_given import TARGETS, Given
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ONCE_BROKEN: dict[str, tuple[bytes, ...]] = {
    # a name that is no UTF-8: tables could not hold it
    "reports": (
        b"\xff" + bytes(59) + b"\x01",
        b"\xff" * 60 + b"\x1eX\\n" + bytes(56) + b"\x01",
        b"\xff" * 60 + b"\x03",
    ),
    # records of sound checksums without an id, with labels that are lists, of headers without a defense
    "run_folders": (
        b',\\."}"g.,[5[o .\\{{g:"}5 d =\\ao',
        b"\xbd\x07\xb6\xae\xa8\x99>\xffH\x9cn\xa8\xbf\x1f\xe34\xcd\xdb\x84\xac\xe7\x8d\x12",
        b".d51: }\n]{{o,\\d]  -o5, ao']{\"{\"5oa5]'',.",
        b"\xff\xf0\xc9-,-dataa",  # and a name that is no UTF-8 behind the first ones
        b"\x15\xf7\xd2\xb3\x02\xc2\x17d\xa2\xeb1\t*\x10\xab\x99O\xb3\xda0j\x8b\xbf;\n\xa4\x0bfg6k",
    ),
    # an archive whose index points before its beginning, one that is no bzip2 although it says so
    "archives_reader": (
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x18\xb3y]\xa6?N\xd2\x08\x00\x00\x00$\x00\x00\x00\x0b\x00\x00\x00in/good.txtK\xcf\xcfOI'\x80\x01PK\x01\x02\x14\x03\x14\x00\x00\x00\x0c\x00\x18\xb3y]\xa6?N\xd2\x08\x00\x00\x00$\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00in/good.txtPK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x009\x00\x00\x001\x00\x00\x00 \x00\x01",
        b"P\x03\x04K\x14\x00\x00\x00\x08\x00\xda\xb1y]\xa6?\xcf\xcfOI\xff\xff\x01PK\x01\x02\x14\x03\x14\x00\x00\x00\x08\x00\xda"
        b"\xb1y]\xa6?N\xd2\x08\x00\x00\x00$\x00\x00\x00\x0b\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00in"
        b"/good.txtPK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x009\x00\x00\x001\x00\x00\x00\x00\x00\x01",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    for content in (*fuzz_targets.SEEDS.get(name, ()), *ONCE_BROKEN.get(name, ())):
        TARGETS[name](Given(content))

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
    def holds(content: bytes) -> None:
        TARGETS[name](Given(content))

    holds()


def test_targets_and_seeds_have_one_list() -> None:
    assert set(fuzz_targets.SEEDS) | set(ONCE_BROKEN) | set(fuzz_targets.SHARES) <= set(TARGETS)


def test_the_record_says_when_each_row_was_made_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "version", lambda _: "3.0.0")
    old = fuzz.Fuzzed("selectors", "Told.", 1200, 45.0, 28, 0, "2026-11-25 at 140706a")
    fuzz.write([old, old._replace(target="gone")], tmp_path)
    assert fuzz.kept(tmp_path, {"csv_reader"}) == [old]
    assert fuzz.kept(tmp_path, {"selectors"}) == []
    assert "| 1,200 | 45 | 28 | 0 | 2026-11-25 at 140706a |" in (tmp_path / "README.md").read_text("utf-8")


def test_slow_targets_get_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ran(line: list[str], **_: object) -> SimpleNamespace:
        asked.extend(word for word in line if word.startswith("-max_total_time="))
        return SimpleNamespace(
            returncode=0, stdout="#9 DONE cov: 28\nstat::number_of_executed_units: 1200\n", stderr=""
        )

    monkeypatch.setattr(fuzz, "measured_at", lambda: "2026-11-29 at 447dd81")
    monkeypatch.setattr(fuzz.subprocess, "run", ran)
    made = [fuzz.fuzz(name, 10, tmp_path) for name in ("selectors", "reports")]
    assert asked == ["-max_total_time=10", f"-max_total_time={10 * fuzz_targets.SHARES['reports']}"]
    assert [(row.inputs, row.edges, row.findings, row.measured) for row in made] == [
        (1200, 28, 0, "2026-11-29 at 447dd81")
    ] * 2


def test_the_script_says_what_is_missing_or_unknown() -> None:
    script = Path(fuzz_targets.__file__).with_name("fuzz.py")
    done = subprocess.run([sys.executable, str(script), "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "make fuzz" in done.stderr or "no target 'nothing'; known: escapes" in done.stderr
