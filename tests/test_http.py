"""Victims behind a URL against a real server on this machine that is slow, stalls, errs, throttles and lies."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
from test_victims import lengths, serving

from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.posting import Manners
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.victim import open_victim
from robustbench_nlp.victims.http import HttpVictim

QUICK = 0.01
"""Seconds of a first wait."""
TEXTS = [f"{'x' * i}" for i in range(40)]


def rows_of(texts: list[str]) -> np.ndarray:
    return np.array(json.loads(lengths(texts)[1])["probabilities"], np.float32)


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
    assert seconds[1] > 2 * seconds[8]


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
        ("price=1,price_per='token'", "price_per is 'token'; give 'input' or '1k_characters'"),
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
