"""The capacity model agrees with itself, and with what must hold for any such model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.capacity import CARDS, MODELS, USUAL, load_of, most_typists, serial_answer_ms

CARD, MODEL = CARDS["H100 SXM"], MODELS["Qwen2.5-Coder 7B bf16"]


def test_one_typist_pays_a_weight_read_for_each_token_shown() -> None:
    alone = replace(USUAL, keys_s=1e-6, hit=1.0)
    weights_ms = MODEL.parameters_g * MODEL.bytes_per_parameter / (CARD.read_gb_s * CARD.read_share) * 1e3
    load = load_of(1, CARD, MODEL, alone, round_trip_ms=10.0)
    assert load.step_ms == pytest.approx(weights_ms, rel=1e-3)
    assert load.answer_ms == pytest.approx(10.0 + USUAL.shown * weights_ms, rel=1e-3)


def test_the_closed_form_is_where_step_time_and_requests_in_flight_agree() -> None:
    load = load_of(100, CARD, MODEL, USUAL, 0.0)
    read_s = CARD.read_gb_s * CARD.read_share * 1e9
    token_s = 2 * MODEL.parameters_g * 1e9 / (CARD.product_tflop_s * CARD.product_share * 1e12)
    prefill = load.requests_s * USUAL.prompt * (1 - USUAL.hit) * token_s
    step_s = 0.0
    for _ in range(500):  # the fixed point, by going there
        in_flight = load.requests_s * USUAL.decoded * step_s
        weights = MODEL.parameters_g * 1e9 * MODEL.bytes_per_parameter
        step_s = (weights + in_flight * USUAL.prompt * MODEL.kv_bytes) / read_s / (1 - prefill)
    assert load.step_ms == pytest.approx(step_s * 1e3, rel=1e-6)


def test_more_people_wait_longer_until_the_card_cannot_keep_up() -> None:
    answers = [load_of(n, CARD, MODEL, USUAL, 10.0).answer_ms for n in (1, 10, 100, 300, 100_000)]
    assert answers == sorted(answers)
    assert math.isinf(answers[-1])


def test_the_most_is_the_last_number_that_fits() -> None:
    most = most_typists(CARD, MODEL, USUAL, 80.0, 10.0)
    assert most.typists > 0 and most.answer_ms <= 80.0 and most.fits_memory
    more = load_of(most.typists + 1, CARD, MODEL, USUAL, 10.0)
    assert more.answer_ms > 80.0 or not more.fits_memory


def test_a_cold_prefix_cache_costs_most_of_the_people() -> None:
    warm = most_typists(CARD, MODEL, USUAL, 80.0, 10.0)
    cold = most_typists(CARD, MODEL, replace(USUAL, hit=0.0), 80.0, 10.0)
    assert cold.typists < warm.typists / 10


def test_a_serial_server_waits_as_its_queue_does() -> None:
    quiet = serial_answer_ms(1, 100.0, 30.0, replace(USUAL, keys_s=1e-6))
    assert quiet == pytest.approx(30.0, abs=0.01)
    half_busy = replace(USUAL, keys_s=5.0, asked=1.0)
    assert serial_answer_ms(1, 100.0, 30.0, half_busy) == pytest.approx(30.0 + 100.0 * 0.5 / (2 * 0.5))
    assert math.isinf(serial_answer_ms(2, 100.0, 30.0, half_busy))
