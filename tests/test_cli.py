"""The command line as a script sees it: exit status, one line on standard error, JSON on standard output."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optimizer.cli import main

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "assets" / "models" / "digits_cnn.keras"
RECIPE = {"version": 1, "seed": 0, "steps": [{"technique": "post_training_quantization"}]}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(RECIPE))
    return path


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run a command that must be refused: exit 2, nothing on standard output, one line on standard error."""
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert status == 2, captured.err
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    return captured.err


def test_techniques_prints_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["techniques", "--json"]) == 0
    names = [entry["technique"] for entry in json.loads(capsys.readouterr().out)]
    assert set(names) >= {
        "magnitude_pruning",
        "weight_clustering",
        "quantization_aware_training",
        "knowledge_distillation",
        "post_training_quantization",
    }
    assert main(["techniques"]) == 0
    text = capsys.readouterr().out
    assert "final_sparsity" in text
    assert "0 to 0.98" in text


def test_inspect_tells_layers_and_verdicts_without_tensorflow() -> None:
    code = (
        "import sys; from optimizer.cli import main; status = main(['inspect', sys.argv[1], '--json']);"
        "print('tensorflow' in sys.modules, status, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(SAMPLE)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "False 0"
    summary = json.loads(done.stdout)
    assert summary["verdict"] == "accepted"
    assert summary["parameters"] == sum(layer["parameters"] for layer in summary["layers"])
    assert summary["macs"] > 0
    assert {finding["verdict"] for finding in summary["techniques"]["magnitude_pruning"]} <= {
        "works",
        "left as it is",
        "impossible",
    }


def test_doctor_says_what_the_machine_offers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESMITH_HOME", str(tmp_path / "not" / "there"))
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings["machine"]["cores"] >= 1
    assert findings["store"]["journal mode"] in ("wal", "delete")
    assert findings["store"]["runner"].startswith("not running")
    assert findings["store"]["free bytes"] > 0
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run"], "USAGE"),
        (["nonsense"], "USAGE"),
        (["inspect", "nowhere.h5"], "NOT_FOUND"),
        (["bench", "nowhere.tflite"], "NOT_FOUND"),
    ],
    ids=str,
)
def test_a_wrong_command_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], code: str) -> None:
    assert code in refused(capsys, arguments)


def test_bad_files_are_refused_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path, recipe: Path) -> None:
    text = tmp_path / "model.h5"
    text.write_text("not a model")
    empty = tmp_path / "empty.keras"
    empty.touch()
    out = str(tmp_path / "out")
    base = ["run", "--data", "digits", "--recipe", str(recipe), "--out", out]
    assert "[NOT_A_MODEL]" in refused(capsys, [*base, "--model", str(text)])
    assert "[EMPTY]" in refused(capsys, [*base, "--model", str(empty)])
    assert "[NOT_FOUND]" in refused(capsys, [*base, "--model", str(tmp_path / "missing.h5")])
    assert not list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else True
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    run = ["run", "--model", str(SAMPLE), "--data", "digits", "--out", out, "--recipe"]
    assert "[BAD_JSON]" in refused(capsys, [*run, str(broken)])
    broken.write_bytes(b"\xff\xfe{\x00")
    assert "[BAD_JSON]" in refused(capsys, [*run, str(broken)])
    broken.write_text(json.dumps({"steps": [{"technique": "magnitude_pruning", "final_sparsity": 1.2}]}))
    assert refused(capsys, [*run, str(broken)]) == (
        "error: broken.json, step 1: `final_sparsity` of magnitude_pruning must be in [0.0, 0.98]. Received: 1.2. "
        "The default is 0.5. [BAD_SETTING]\n"
    )
    assert "[BAD_OUT]" in refused(capsys, [*run[:-2], str(SAMPLE), "--recipe", str(recipe)])


def test_a_run_writes_a_file_that_scores_what_its_report_says(tmp_path: Path, recipe: Path) -> None:
    random = np.random.default_rng(0)
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = random.permutation(len(raw.images))
    # Stored as 0 to 255 without a channel axis: the scaling and the shape that the model wants must be found.
    x, y = np.round(raw.images[order] / 16 * 255).astype(np.uint8), raw.target[order]
    np.savez(tmp_path / "data.npz", x_train=x[:1300], y_train=y[:1300], x_test=x[1300:], y_test=y[1300:])
    out = tmp_path / "out"
    command = [sys.executable, "-m", "optimizer", "run", "--model", str(SAMPLE), "--data", str(tmp_path / "data.npz")]
    done = subprocess.run(
        [*command, "--recipe", str(recipe), "--out", str(out), "--json"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((out / "report.json").read_text())
    assert report["data"]["input_scaling"]["name"] == "x / 255"
    assert report["recipe"] == json.loads((out / "recipe.json").read_text())
    content = (out / "model.tflite").read_bytes()
    artifact = next(a for a in report["artifacts"] if a["name"] == "model.tflite")
    assert (artifact["sha256"], artifact["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert report["result"]["size_bytes"] == len(content)
    assert report["result"]["accuracy"]["value"] == pytest.approx(independent_accuracy(content, x[1300:], y[1300:]))
    assert report["result"]["accuracy"]["n"] == report["data"]["test"] == len(x) - 1300
    bench = subprocess.run(
        [
            sys.executable,
            "-m",
            "optimizer",
            "bench",
            str(out / "model.tflite"),
            str(out / "model.tflite"),
            "--seconds",
            "1",
            "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert 0.5 < json.loads(bench.stdout)["files"][1]["speed"]["ratio"] < 2


def independent_accuracy(content: bytes, x: np.ndarray, y: np.ndarray) -> float:
    """Score a .tflite sample by sample, with nothing of Litesmith."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    right = 0
    for sample, label in zip(x, y, strict=True):
        interpreter.set_tensor(source["index"], (sample.astype(np.float32) / 255).reshape(source["shape"]))
        interpreter.invoke()
        right += int(interpreter.get_tensor(target["index"])[0].argmax() == label)
    return right / len(x)


def test_data_that_do_not_fit_are_refused_in_one_line_and_without_tensorflow(tmp_path: Path, recipe: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((60, 9, 8, 1), np.float32), y=np.arange(60) % 10)
    code = "import sys; from optimizer.cli import main; status = main(sys.argv[1:]); print('tensorflow' in sys.modules, status)"
    arguments = [
        "run",
        "--model",
        str(SAMPLE),
        "--data",
        str(tmp_path / "data.npz"),
        "--recipe",
        str(recipe),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False 2"
    assert done.stderr.count("\n") == 1
    assert "[DATA_MODEL_MISMATCH]" in done.stderr


def test_unknown_data_list_the_bundled_sets(capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path) -> None:
    arguments = ["run", "--model", str(SAMPLE), "--data", "nosuchset", "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    line = refused(capsys, arguments)
    assert "nosuchset" in line
    assert "digits, mnist, fashion_mnist, cifar10" in line


@pytest.mark.parametrize("extra", [["--threads", "0"], ["--task", "guess"]])
def test_a_bad_setting_says_how_to_mend_it(
    capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path, extra: list[str]
) -> None:
    arguments = ["run", "--model", str(SAMPLE), "--data", "digits", "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    assert "Leave it out" in refused(capsys, [*arguments, *extra])


def test_an_unknown_scaling_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path
) -> None:
    run = ["run", "--model", str(SAMPLE), "--data", "digits", "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    told = refused(capsys, [*run, "--input-scaling", "x / 3"])
    assert "[UNKNOWN_SCALING]" in told
    assert "Baseline" not in told


def test_a_nearly_full_disk_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    out = str(tmp_path / "out")
    assert main(["run", "--model", str(SAMPLE), "--data", "digits", "--recipe", str(recipe), "--out", out]) == 1
    assert "[DISK_FULL]" in capsys.readouterr().err


def test_a_shell_that_allows_too_little_address_space_is_told_so(recipe: Path, tmp_path: Path) -> None:
    command = f"ulimit -v 2000000; exec {sys.executable} -m optimizer run --model {SAMPLE} --data digits --recipe {recipe} --out {tmp_path / 'out'}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ulimit -v unlimited" in done.stderr
    assert done.stderr.endswith("[OUT_OF_MEMORY]\n")


def test_a_task_that_there_is_not_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], recipe: Path, tmp_path: Path
) -> None:
    arguments = ["run", "--model", str(SAMPLE), "--data", "digits", "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    line = refused(capsys, [*arguments, "--task", "guess"])
    assert "multi_label" in line
    assert "[BAD_SETTING]" in line
