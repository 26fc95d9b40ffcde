"""Every bad input is refused with its code, its place and its limit; nothing in it runs, and no bomb unpacks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import corpus_data  # noqa: F401
import corpus_exports  # noqa: F401
import corpus_keras  # noqa: F401
import pytest
from corpus_case import CASES, MEGABYTE, Case
from good_files import GOOD
from reader_process import Answer, ReaderProcess

MAX_GROWTH = 100 * MEGABYTE


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderProcess]:
    process = ReaderProcess(tmp_path_factory.mktemp("reader"))
    yield process
    process.close()


def refuse(case: Case, folder: Path, reader: ReaderProcess) -> Answer:
    with warnings.catch_warnings():
        # zipfile warns where a duplicate name is written, which is the point.
        warnings.simplefilter("ignore", UserWarning)
        path = case.make(folder)
    return reader.read(path, case.kind, case.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_bad_input_is_refused(case: Case, tmp_path: Path, reader: ReaderProcess) -> None:
    answer = refuse(case, tmp_path, reader)
    assert answer.outcome == "refused", answer.detail or answer
    error = answer.error
    assert error["code"] == case.code, error["line"]
    assert error["place"], error["line"]
    assert case.place in error["place"], error["line"]
    assert case.received in error["received"], error["line"]
    assert bool(error["limit"]) >= case.limit, error["line"]
    assert error["line"].isprintable()
    assert not (tmp_path / "canary").exists()
    if case.bomb:
        assert answer.growth < MAX_GROWTH, f"{answer.growth / MEGABYTE:.0f} MB"


def test_the_corpus_has_every_row_of_the_safety_facts() -> None:
    # Row 15 are files that are fine: the next test reads them.
    assert {case.number for case in CASES} | {"15"} >= {str(number) for number in range(1, 35)}


@pytest.mark.parametrize("name", GOOD)
def test_the_good_files_that_the_bad_ones_are_made_from_pass(name: str, tmp_path: Path, reader: ReaderProcess) -> None:
    kind, file_name, make = GOOD[name]
    answer = reader.read(make(tmp_path / file_name), kind)
    assert answer.code == "READ", answer


def test_names_from_strangers_stay_text_on_one_line(tmp_path: Path, reader: ReaderProcess) -> None:
    for case in CASES:
        if case.number == "34":
            line = refuse(case, tmp_path, reader).error["line"]
            assert not set(line) & set("\n\0\u202e")
            assert len(line) < 1_000
