"""Weights are calibrated on real source text that every installation has."""

from __future__ import annotations

import inspect

import pytest

from completer.models.calibration import CURSOR, calibration_texts


def test_the_texts_are_code_of_several_languages_without_the_cursors_mark() -> None:
    texts = list(calibration_texts())
    assert len(texts) >= 8
    assert not any(CURSOR in text for text in texts)
    everything = "\n".join(texts)
    assert all(word in everything for word in ("def ", "func ", "fn ", "const "))


def test_they_are_the_same_each_time() -> None:
    assert list(calibration_texts()) == list(calibration_texts())


def test_without_the_sources_of_the_standard_library_the_samples_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    n_all = len(list(calibration_texts()))

    def missing(_: object) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "getsource", missing)
    assert 0 < len(list(calibration_texts())) < n_all
