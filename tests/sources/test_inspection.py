"""What the Model & Data page shows."""

import base64
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optimizer.errors import InputError
from optimizer.job import DataSource
from optimizer.sources.dataset import Dataset, Split
from optimizer.sources.inspection import class_balance, inspect_data, inspect_model, preview
from optimizer.sources.preflight import read_model_summary

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "models" / "digits_cnn.keras"
RESNET = Path(__file__).resolve().parents[3] / "shared" / "models" / "mlperf_tiny_resnet8.h5"


def test_the_sample_model_and_its_data() -> None:
    found = json.loads(json.dumps(inspect_data(DataSource(name="digits"), SAMPLE, SAMPLE.name, 0)))
    assert found["task"] == "classification"
    assert found["value_range"] == "numbers 0 to 1"
    assert found["splits"]["test"] == 359
    assert [record["class"] for record in found["class_balance"]] == list("0123456789")
    assert sum(record["total"] for record in found["class_balance"]) == 1797
    assert len(found["preview"]) == 24
    assert {record["label"] for record in found["preview"]} == set("0123456789")
    image = Image.open(io.BytesIO(base64.b64decode(found["preview"][0]["image"])))
    assert image.size == (48, 48)
    assert np.asarray(image).max() > 200


def test_the_sample_model() -> None:
    found = json.loads(json.dumps(inspect_model(SAMPLE, SAMPLE.name)))
    assert found["parameters"] == 21_690
    assert found["macs"] == 320_832
    assert "does not say" in found["expects"]


@pytest.mark.skipif(not RESNET.exists(), reason="the shared models lie beside the project only where it is developed")
def test_the_mlperf_resnet_has_the_numbers_of_its_paper() -> None:
    summary = read_model_summary(RESNET, name=RESNET.name)
    assert summary.parameters == 78_666
    assert summary.macs == 12_501_632


def test_a_table_is_shown_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,label\n" + "".join(f"{n},{n}.5,{'yes' if n % 2 else 'no'}\n" for n in range(40)))
    found = inspect_data(DataSource(name="t.csv", path=path), None, "", 0)
    assert found["task"] is None
    assert found["preview"][0]["image"] is None
    assert len(found["preview"][0]["row"]) == 2
    assert {record["label"] for record in found["preview"]} == {"yes", "no"}


def test_data_without_labels_and_large_colour_images(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 255, (20, 300, 200, 3), dtype=np.uint8))
    found = inspect_data(DataSource(name="x.npz", path=path), None, "", 0)
    assert (found["labels"], found["class_balance"]) == ("none", [])
    assert found["preview"][0]["label"] is None
    assert max(Image.open(io.BytesIO(base64.b64decode(found["preview"][0]["image"]))).size) == 256


def test_data_that_do_not_go_with_the_model(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((40, 5)), y=np.arange(40) % 2)
    with pytest.raises(InputError) as caught:
        inspect_data(DataSource(name="x.npz", path=path), SAMPLE, SAMPLE.name, 0)
    assert caught.value.code == "DATA_MODEL_MISMATCH"


def test_labels_of_steps_and_several_inputs_are_shown(tmp_path: Path) -> None:
    y = np.resize([0, 1, 2, -1], (40, 4))
    steps = Split(x=np.zeros((40, 4)), y=y)
    parts = dict.fromkeys(("train", "calibration", "validation", "test"), steps)
    dataset = Dataset(name="d", sha256="", kind="arrays", labels="steps", class_names=("a", "b", "c"), **parts)
    assert [record["train"] for record in class_balance(dataset)] == [40, 40, 40]
    assert preview(dataset)[0]["label"] == "a b c ·"
    labels = replace(dataset, labels="labels", train=Split(x=np.zeros((40, 4)), y=np.resize([1, 0, 1], (40, 3))))
    assert [record["train"] for record in class_balance(labels)] == [40, 0, 40]
    assert preview(labels)[0]["label"] == "a, c"
    np.savez(tmp_path / "two.npz", x_left=np.zeros((40, 2)), x_right=np.ones((40, 3), int), y=np.arange(40) % 2)
    found = inspect_data(DataSource(name="two.npz", path=tmp_path / "two.npz"), None, "", 0)
    assert [(part["name"], part["shape"], part["dtype"]) for part in found["inputs"]] == [
        ("left", [2], "float64"),
        ("right", [3], "int64"),
    ]
    assert found["preview"][0]["row"] == [0, 0, 1, 1, 1]
    assert found["value_range"] == "whole numbers 0 to 0; whole numbers 1 to 1"


def test_inspection_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from pathlib import Path; from optimizer.sources.inspection import inspect_data, inspect_model;"
        "from optimizer.job import DataSource;"
        f"inspect_data(DataSource(name='digits'), Path({str(SAMPLE)!r}), 'a.keras', 0);"
        "sys.exit(any(m.split('.')[0] in ('tensorflow', 'tf_keras', 'keras') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
