"""Victims behind a URL against a real server on this machine that is slow, stalls, errs, throttles and lies."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_victims import lengths, serving

from robustbench_nlp import posting
from robustbench_nlp.data import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.pace import backoff, retry_after
from robustbench_nlp.plugins import create
from robustbench_nlp.posting import Manners
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.spending import Tariff
from robustbench_nlp.victim import open_victim
from robustbench_nlp.victims.http import HttpVictim

QUICK = 0.01
"""Seconds of a first wait."""
WORDS = ("bad", "good")
TEXTS = [f"{'x' * i}" for i in range(40)]


def rows_of(texts: list[str]) -> np.ndarray:
    return np.array(json.loads(lengths(texts)[1])["probabilities"], np.float32)


def keyword_answers(inputs: list[str]) -> tuple[int, bytes]:
    return 200, json.dumps(KeywordVictim().predict(inputs).tolist()).encode()


# concurrency


def test_requests_go_side_by_side_and_answers_keep_their_order() -> None:
    running = most = 0
    lock = threading.Lock()

    def slow(inputs: list[str]) -> tuple[int, bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05 + 0.002 * (len(inputs[0]) % 7))
        with lock:
            running -= 1
        return lengths(inputs)

    seconds = {}
    with serving(slow) as (url, seen):
        for concurrency in (1, 8):
            victim = open_victim(f"http(concurrency={concurrency},batch=2):{url}")
            start = time.monotonic()
            np.testing.assert_allclose(victim.predict(TEXTS), rows_of(TEXTS), rtol=1e-6)
            seconds[concurrency] = time.monotonic() - start
    assert len(seen) == 2 * 20
    assert 4 <= most <= 8
    assert seconds[1] > 2.5 * seconds[8]


def test_a_failing_input_costs_no_other_ones_answer() -> None:
    asked: list[list[str]] = []

    def picky(inputs: list[str]) -> tuple[int, bytes]:
        asked.append(inputs)
        return (400, b"") if TEXTS[13] in inputs else lengths(inputs)

    with serving(picky) as (url, _):
        answers = Predictor(HttpVictim(url, manners=Manners(concurrency=4, batch=8))).predict(TEXTS)
    assert list(answers.errors) == [13]
    assert "status 400" in str(answers.errors[13])
    good = [i for i in range(40) if i != 13]
    np.testing.assert_allclose(answers.outputs[good], rows_of(TEXTS)[good], rtol=1e-6)
    sound = [text for inputs in asked if TEXTS[13] not in inputs for text in inputs]
    assert sorted(sound) == sorted(TEXTS[i] for i in good)  # each once: an answer that came is not asked for again


def test_nobody_there_is_told_once_and_a_refusal_is_not_halved() -> None:
    with serving(lambda _: (401, b"")) as (url, seen):
        answers = Predictor(HttpVictim(url, manners=Manners(batch=8))).predict(TEXTS)
        assert len(answers.errors) == 40
        assert len(seen) == 5
    with pytest.raises(Unreachable, match="failed 1 times, at last with: ConnectError"):
        HttpVictim(url, manners=Manners(concurrency=3, batch=8, retries=0)).predict(TEXTS)


def test_the_referee_asks_each_claim_alone_and_all_of_a_round_side_by_side() -> None:
    fakes = KeywordVictim()
    sizes: list[int] = []

    def keywords(inputs: list[str]) -> tuple[int, bytes]:
        sizes.append(len(inputs))
        return 200, json.dumps(fakes.predict(inputs).tolist()).encode()

    texts = [("bad awful but fine, film", 0), ("great and good but bad, film", 1), ("good film", 1), ("dull film", 0)]
    examples = [Example(fields={"text": f"{text} {i}"}, label=label) for i in range(4) for text, label in texts]
    with serving(keywords) as (url, _):
        victim = HttpVictim(url, manners=Manners(concurrency=4))
        direct = {r.example_id: r for r in Engine(create("attack", "deepwordbug"), fakes, seed=0).run(examples)}
        calls: list[int] = []
        apart = victim.predict_apart
        victim.predict_apart = lambda inputs: calls.append(len(inputs)) or apart(inputs)  # type: ignore[func-returns-value, method-assign]
        found = {r.example_id: r for r in Engine(create("attack", "deepwordbug"), victim, seed=0).run(examples)}
    assert [r.outcome for r in found.values()].count("success") == 8  # the others' end in a tie, which is none
    assert sum(calls) == sizes.count(1) == 8
    assert max(calls) > 1
    for identity, record in found.items():
        assert replace(record, seconds=0.0) == replace(direct[identity], seconds=0.0)


@pytest.mark.parametrize("attack", ["random-typos", "noise:keyboard", "pwws", "reorder", "input-reduction"])
def test_a_round_that_is_judged_together_gives_the_records_of_one_text_after_the_other(attack: str) -> None:
    texts = [
        ("Bad awful but fine, film", 0),
        ("great and GOOD but bad, film", 1),
        ("good film", 1),
        ("a dull story", 0),
    ]
    examples = [Example(fields={"text": f"{text} {i}"}, label=label) for i in range(3) for text, label in texts]
    records = []
    with serving(keyword_answers) as (url, _):
        for inner in (KeywordVictim(), HttpVictim(url, manners=Manners(concurrency=4, batch=5))):
            victim = Rewritten(inner, str.lower, ["lower"])
            found = Engine(create("attack", attack), victim, seed=1, max_queries=40).run(examples)
            records.append({record.example_id: replace(record, seconds=0.0) for record in found})
    assert records[0] == records[1]
    assert {record.outcome for record in records[0].values()} & {"success", "failed"}


# settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("concurency=3", "no victim setting 'concurency'; did you mean 'concurrency'"),
        ("concurrency=0", "concurrency is 0; give a whole number of at least 1"),
        ("batch='8'", "batch is '8'; give a whole number"),
        ("retries=-1", "retries is -1"),
        ("rate=0", "rate is 0; give requests a second, more than 0"),
        ("rate=True", "rate is True"),
        ("backoff=-1", "backoff is -1"),
        ("price=-0.1", "price is -0.1; give a number above 0"),
        ("price=1,price_per='token'", "price_per is 'token'; give 'input', '1k_characters' or '1k_tokens'"),
        ("budget=5", "a budget needs a price"),
        ("timeout=0", "timeout is 0; give seconds, more than 0"),
    ],
)
def test_settings_that_cannot_be(settings: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_victim(f"http({settings}):http://127.0.0.1:1/")


def test_settings_change_nothing_that_a_record_depends_on() -> None:
    plain = open_victim("https://example.org/p")
    victim = open_victim("https(concurrency=8,rate=20,price=0.0001,budget=5.0,timeout=3)://example.org/p")
    assert isinstance(victim, HttpVictim)
    assert (victim.name, victim.fingerprint) == (plain.name, plain.fingerprint)
    assert victim.name == "http:https://example.org/p"
    assert (victim.manners.concurrency, victim.manners.rate, victim.spending.tariff.budget) == (8, 20, 5.0)


# servers that stall, err and lie


def test_a_stalling_server_is_cut_off_and_asked_again() -> None:
    stalls = [TEXTS[9]]

    def stalling(inputs: list[str]) -> tuple[int, bytes]:
        if stalls and stalls[0] in inputs:
            stalls.pop()
            time.sleep(0.3)
        return lengths(inputs)

    with serving(stalling) as (url, seen):
        victim = HttpVictim(url, timeout=0.15, manners=Manners(concurrency=4, batch=8, backoff=QUICK))
        np.testing.assert_allclose(victim.predict(TEXTS), rows_of(TEXTS), rtol=1e-6)
    assert len(seen) == 6


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (lambda rows: rows[:-1], r"shape \(7, 2\); \(8, 2\) is wanted"),
        (lambda rows: [[*row, 0.0] for row in rows], r"shape \(8, 3\); \(8, 2\) is wanted"),
        (lambda rows: [[float("nan"), 1.0] for _ in rows], "NaN or infinity"),
        (lambda rows: [[9.0, -3.0] for _ in rows], "logits"),
        (lambda rows: [row[:1] for row in rows], r"shape \(8, 1\); \(8, 2\)"),
    ],
)
def test_a_lie_in_one_batch_is_that_batchs_error(lie: object, message: str) -> None:
    def lying(inputs: list[str]) -> tuple[int, bytes]:
        rows = rows_of(inputs).tolist()
        return 200, json.dumps(lie(rows) if TEXTS[20] in inputs else rows).encode()  # type: ignore[operator]

    with serving(lying) as (url, _):
        victim = HttpVictim(url, manners=Manners(concurrency=4, batch=8))
        with pytest.raises(VictimError, match=message):
            victim.predict(TEXTS)
        kept = [text for i, text in enumerate(TEXTS) if not 16 <= i < 24]
    np.testing.assert_allclose(victim.predict(kept), rows_of(kept), rtol=1e-6)  # nobody is there any more


# pace and pauses


def test_no_more_requests_a_second_than_the_rate() -> None:
    arrived: list[float] = []

    def noting(inputs: list[str]) -> tuple[int, bytes]:
        arrived.append(time.monotonic())
        return lengths(inputs)

    with serving(noting) as (url, _):
        open_victim(f"http(concurrency=8,batch=4,rate=25):{url}").predict(TEXTS)
    gaps = np.diff(sorted(arrived))
    assert len(gaps) == 9
    assert sum(gaps) >= 9 / 25 - 0.02  # what a network makes late comes no earlier than it may


def test_a_throttling_server_is_left_alone_for_as_long_as_it_asks() -> None:
    arrived: list[float] = []
    throttle = [0.2]

    def throttling(inputs: list[str]) -> tuple[int, bytes] | tuple[int, bytes, dict[str, str]]:
        arrived.append(time.monotonic())
        return (429, b"", {"Retry-After": str(throttle.pop())}) if throttle else lengths(inputs)

    with serving(throttling) as (url, _):
        victim = HttpVictim(url, manners=Manners(batch=20, backoff=QUICK), tariff=Tariff(price=1.0))
        victim.predict(TEXTS)
    assert len(arrived) == 3
    assert arrived[1] - arrived[0] >= 0.19
    assert victim.spending.inputs == 40  # what was refused is not paid for


def test_throttling_is_no_examples_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a few requests a moment, asked by more at once than it takes."""
    served: list[float] = []
    lock = threading.Lock()

    def limited(inputs: list[str]) -> tuple[int, bytes]:
        with lock:
            now = time.monotonic()
            if sum(now - at < 0.05 for at in served) >= 2:
                return 429, b""
            served.append(now)
        return lengths(inputs)

    with serving(limited) as (url, seen):
        victim = HttpVictim(url, manners=Manners(concurrency=8, batch=4, retries=0, backoff=QUICK))
        np.testing.assert_allclose(victim.predict(TEXTS), rows_of(TEXTS), rtol=1e-6)
        assert len(served) == 10 < len(seen)
        monkeypatch.setattr(posting, "LONGEST_PAUSE", 0.05)
        served += [time.monotonic() + 9] * 2
        with pytest.raises(UsageError, match=r"throttles without end \(status 429\); .* or with a lower rate="):
            victim.predict(["a"])


def test_a_pause_without_end_ends_the_run() -> None:
    told = r"asks for a pause of 3600 s \(status 429\); .* the same command goes on from there later"
    with (
        serving(lambda _: (429, b"", {"Retry-After": "3600"})) as (url, seen),
        pytest.raises(UsageError, match=told),
    ):
        HttpVictim(url).predict(TEXTS[:3])
    assert len(seen) == 1


def test_what_retry_after_says() -> None:
    now = 1_700_000_000.0
    said = {"3": 3.0, " 1.5 ": 1.5, "Tue, 14 Nov 2023 22:13:50 GMT": 30.0, "Tue, 14 Nov 2023 22:13:10 GMT": 0.0}
    for header, seconds in said.items():
        assert retry_after(header, now) == seconds
    for nonsense in (None, "", "-3", "nan", "inf", "soon", "1e9", "Tue, 99 Nov 2023 22:13:50 GMT", "٣", "1" * 400):
        assert retry_after(nonsense, now) == 0.0


@given(st.floats(0.01, 10), st.integers(1, 8), st.integers())
def test_waits_double_give_or_take_a_half(first: float, attempt: int, seed: int) -> None:
    wait = backoff(first, attempt, Random(seed))
    assert 0.5 * first * 2 ** (attempt - 1) <= wait <= 1.5 * first * 2 ** (attempt - 1)
    assert wait == backoff(first, attempt, Random(seed))


def test_a_broken_connection_is_tried_again_and_paid_for() -> None:
    breaks = [b"{", None]

    def breaking(inputs: list[str]) -> tuple[int, bytes | None]:
        return (200, breaks.pop()) if breaks else lengths(inputs)

    with serving(breaking) as (url, seen):
        victim = HttpVictim(url, manners=Manners(backoff=QUICK), tariff=Tariff(price=0.5, budget=10.0))
        with pytest.raises(VictimError, match="no JSON"):
            victim.predict(["a"])
    assert len(seen) == 2
    assert victim.spending.cost == 1.0  # the server may have worked
