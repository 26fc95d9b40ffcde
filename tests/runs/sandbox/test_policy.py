"""Where the kernel lacks a layer: uploads are refused unless they are trusted, and then a warning stays. The kernel's lack is real."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.errors import InputError
from optimizer.runs import requests
from optimizer.runs.run import RunState
from optimizer.runs.sandbox import policy
from optimizer.runs.sandbox.confinement import LAYERS
from optimizer.runs.sandbox.probe import _trial, probe
from optimizer.runs.store import Store
from tests.runs.sandbox.trials import ROOT, with_poor_kernel
from tests.runs.surroundings import wait_for

# It holds the runner's lock: a runner that the page started would outlive the test, with TensorFlow in its workers.
BANNER = """
from optimizer.runs.home import Home, default_home
from optimizer.runs.launch import take_lock
lock = take_lock(Home(default_home()))
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=60).run()
print([error.value for error in page.error])
"""


def poor(layer: str, *arguments: str, trusted: bool = False, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LITESMITH_HOME": str(home), **({policy.TRUST_VARIABLE: "1"} if trusted else {})}
    command = with_poor_kernel(layer, [sys.executable, *arguments])
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A stranger's model: the sample with one byte more, which zip archives bear."""
    path = tmp_path / "stranger.keras"
    path.write_bytes(requests.SAMPLE_MODEL.read_bytes() + b"\0")
    return path


def test_this_machine_holds_every_layer() -> None:
    found = probe()
    assert (found.missing, found.problem) == ((), "")
    assert found.landlock_abi >= 1
    assert len(found.denied) == 6
    assert all(found.denied.values())


def test_a_trial_that_could_not_be_made_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _trial.cache_clear()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert probe().missing == LAYERS
    assert "did not work" in probe().problem
    monkeypatch.undo()
    assert (probe().missing, probe().problem) == ((), "")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_command_line_refuses_a_file_that_it_cannot_sandbox(layer: str, model: Path, tmp_path: Path) -> None:
    done = poor(layer, "-m", "optimizer", "inspect", str(model), home=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"without {layer}" in line
    assert line.endswith("[NO_SANDBOX]")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_sample_needs_no_trust(layer: str, tmp_path: Path) -> None:
    done = poor(layer, "-m", "optimizer", "inspect", str(requests.SAMPLE_MODEL), "--json", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["verdict"] == "accepted"


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_a_file_that_is_trusted_is_read_with_a_warning(how: str, tmp_path: Path) -> None:
    import shutil

    tf_free = tmp_path / "copy.keras"
    shutil.copyfile(requests.SAMPLE_MODEL, tf_free)
    with tf_free.open("r+b") as file:  # Another comment at the archive's end makes it another file.
        file.seek(-2, os.SEEK_END)
        file.write(b"\1\0!")
    flag = ["--trust-uploads"] if how == "flag" else []
    done = poor("landlock", "-m", "optimizer", "inspect", str(tf_free), *flag, trusted=how == "environment", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: Files are opened without a full sandbox: this machine lacks landlock.")


@pytest.mark.parametrize("layer", LAYERS)
def test_doctor_says_which_layer_is_missing(layer: str, tmp_path: Path) -> None:
    found = json.loads(poor(layer, "-m", "optimizer", "doctor", "--json", home=tmp_path).stdout)["sandbox"]
    assert found[layer] == "no"
    assert all(found[other].startswith("yes") for other in LAYERS if other != layer)
    assert found["uploads"].startswith("refused")
    trusted = json.loads(poor(layer, "-m", "optimizer", "doctor", "--json", trusted=True, home=tmp_path).stdout)["sandbox"]
    assert trusted["uploads"].startswith("ACCEPTED WITHOUT")


def test_the_banner_stays_while_untrusted_files_are_trusted(tmp_path: Path) -> None:
    assert "without a full sandbox" in poor("seccomp", "-c", BANNER, trusted=True, home=tmp_path / "a").stdout
    assert poor("seccomp", "-c", BANNER, home=tmp_path / "b").stdout == "[]\n"


def test_the_runner_refuses_an_upload_and_runs_the_sample(model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.create_project("test")
    options = ["--home", str(store.home), "--slots", "0", "--spares", "0", "--idle-exit-s", "600"]
    runner = subprocess.Popen(with_poor_kernel("landlock", [sys.executable, "-m", "optimizer.runs.runner", *options]), cwd=ROOT)
    try:
        stranger = requests.bring_model(store, project.id, io.BytesIO(model.read_bytes()), model.name)
        sample = requests.bring_model(store, project.id, io.BytesIO(requests.SAMPLE_MODEL.read_bytes()), "digits_cnn.keras")
        refused = wait_for(lambda: (run := store.run(stranger.id)).state.is_final and run, within_s=30)
        assert refused.state is RunState.FAILED
        assert refused.error is not None
        assert refused.error["code"] == "NO_SANDBOX"
        read = wait_for(lambda: (run := store.run(sample.id)).state.is_final and run, within_s=30)
        assert read.state is RunState.SUCCEEDED, read.error
    finally:
        runner.kill()
        runner.wait()
        store.close()


def test_what_counts_as_an_upload() -> None:
    sample = {"sha256": policy._sample_sha256(), "name": "digits_cnn.keras"}
    stranger = {"sha256": "0" * 64, "name": "x.h5"}
    assert not policy.holds_upload({"model": sample, "data": {"bundled": "digits"}})
    assert not policy.holds_upload({"data": {"bundled": "mnist"}})
    assert policy.holds_upload({"model": stranger, "data": {"bundled": "digits"}})
    assert policy.holds_upload({"model": sample, "data": stranger})
    assert policy.holds_upload({"model": sample, "data": {"bundled": "digits", "test": stranger}})
    assert policy.holds_upload({"model": sample, "second_model": stranger, "data": {"bundled": "digits"}})
    policy.require_sandbox(["landlock"], trusted=True)
    with pytest.raises(InputError) as caught:
        policy.require_sandbox(["landlock"], trusted=False)
    assert caught.value.code == "NO_SANDBOX"
