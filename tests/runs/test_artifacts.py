from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from optimizer.errors import RunError
from optimizer.runs.artifacts import hand_over, take_in
from optimizer.runs.objects import Objects

TFLITE = b"\x1c\x00\x00\x00TFL3rest of it"


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(TFLITE)
    artifact = {"name": "model.tflite", "sha256": hashlib.sha256(TFLITE).hexdigest(), "bytes": len(TFLITE)}
    (folder / "report.json").write_text(json.dumps({"result": {}, "artifacts": [artifact]}))
    return folder


def test_every_file_of_a_good_result_is_stored(objects: Objects, out: Path) -> None:
    hashes, report = take_in(objects, out)

    assert sorted(hashes) == ["model.tflite", "report.json"]
    assert objects.read(hashes["model.tflite"]) == TFLITE
    assert report["result"] == {}


def refused(objects: Objects, out: Path) -> str:
    with pytest.raises(RunError) as caught:
        take_in(objects, out)
    assert caught.value.code == "BAD_RESULT"
    return caught.value.line


def test_a_link_to_a_file_outside_is_not_followed(objects: Objects, out: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the person's own file")
    (out / "scores.npz").symlink_to(tmp_path / "secret")
    assert "scores.npz" in refused(objects, out)


def test_pipes_and_folders_are_no_results(objects: Objects, out: Path) -> None:
    os.mkfifo(out / "model.keras")
    assert "model.keras" in refused(objects, out)
    (out / "model.keras").unlink()
    (out / "variables").mkdir()
    assert "variables" in refused(objects, out)


def test_a_file_that_is_not_what_the_report_says_is_refused(objects: Objects, out: Path) -> None:
    (out / "model.tflite").write_bytes(TFLITE + b"!")
    assert "model.tflite" in refused(objects, out)
    (out / "model.tflite").unlink()
    assert "model.tflite" in refused(objects, out)


def test_a_tflite_must_be_one(objects: Objects, out: Path) -> None:
    (out / "b.tflite").write_bytes(b"MZ")
    assert "no .tflite file" in refused(objects, out)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"artifacts": 3}', "[" * 100_000])
def test_a_report_that_is_none_is_refused(objects: Objects, out: Path, text: str) -> None:
    (out / "report.json").write_text(text)
    assert "report.json" in refused(objects, out)


@pytest.mark.parametrize("name", [".hidden", "UPPER.bin", "a b", "x" * 65, "..."])
def test_a_strange_name_is_refused(objects: Objects, out: Path, name: str) -> None:
    (out / name).write_text("x")
    refused(objects, out)


def test_a_missing_report_is_refused(objects: Objects, out: Path) -> None:
    (out / "report.json").unlink()
    refused(objects, out)


@pytest.mark.parametrize(
    "hostile",
    ['"\\ud800"', "1e999", "-1e999", '{"\\udfff": 1}', "[" * 100 + "]" * 100],
    ids=["half", "inf", "-inf", "key", "deep"],
)
def test_a_report_that_the_store_cannot_write_down_is_refused(objects: Objects, out: Path, hostile: str) -> None:
    (out / "report.json").write_text('{"result": {"a": ' + hostile + "}}")
    assert "report.json" in refused(objects, out)


def test_a_result_handed_over_leaves_nothing_of_an_earlier_one(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    for name in ("model.keras", "promises.json", "model.tflite", "notes of a person.txt"):
        (target / name).write_text("earlier")

    hand_over(out, target)

    assert sorted(path.name for path in target.iterdir()) == ["model.tflite", "notes of a person.txt", "report.json"]
    assert (target / "model.tflite").read_bytes() == TFLITE
