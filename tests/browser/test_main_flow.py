"""The main job as a person does it: a model and data in, two sliders, two runs, a look at both, a .tflite out that runs."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from web_server import Server

from optimizer.runs.run import RunKind, RunState
from optimizer.runs.store import Store

LOOK_MS = 60_000
RUN_MS = 240_000
MAKE_FILES = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np, tf_keras
from sklearn.datasets import load_digits
digits = load_digits()
order = np.random.default_rng(1).permutation(len(digits.target))
x, y = (digits.images[order, ..., None] / 16).astype("float32"), digits.target[order]
np.savez(sys.argv[2], x_train=x[:1200], y_train=y[:1200], x_test=x[1200:], y_test=y[1200:])
tf_keras.utils.set_random_seed(0)
layers = tf_keras.layers
model = tf_keras.Sequential([
    layers.Input((8, 8, 1)), layers.Conv2D(12, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
    layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x[:1200], y[:1200], epochs=15, batch_size=32, verbose=0)
model.save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A trained tf-keras model and an .npz, made in a process of their own."""
    folder = tmp_path_factory.mktemp("files")
    model, data = folder / "own digits.keras", folder / "own data.npz"
    subprocess.run(
        [sys.executable, "-c", MAKE_FILES, str(model), str(data)],
        check=True,
        timeout=300,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return model, data


def open_page(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.goto(address, timeout=LOOK_MS)
    return page


def upload(page: Page, box: str, file: Path) -> None:
    region = page.get_by_role("region", name=box, exact=True)
    page.locator("[data-testid=stFileUploader]", has=region).locator("input[type=file]").set_input_files(file)


def slider(page: Page, label: str) -> Locator:
    return page.locator("[data-testid=stSlider]", has_text=label)


def rest(page: Page) -> None:
    """Wait until no script of the page runs: while one does, what it has drawn anew can stand beside what it replaces."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_have_count(1, timeout=LOOK_MS)


def move(page: Page, label: str, key: str, shows: str, recipe: str) -> None:
    """Move a slider by the keyboard, as someone without a mouse does, until it and the recipe in words say so."""
    shown = slider(page, label).locator("[data-testid=stSliderThumbValue]")
    for _ in range(30):
        rest(page)
        expect(shown).to_have_count(1, timeout=LOOK_MS)
        before = shown.inner_text()
        if shows in before:
            break
        slider(page, label).get_by_role("slider").press(key)
        with contextlib.suppress(AssertionError):
            expect(shown).not_to_have_text(before, timeout=3000, use_inner_text=True)
    expect(shown).to_contain_text(shows)
    expect(page.locator("[data-testid=stMarkdown]", has_text=recipe).first).to_be_visible(timeout=LOOK_MS)


def add_step(page: Page, name: str) -> None:
    page.get_by_role("button", name="Add a step").click()
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator("[data-testid=stMarkdown]", has_text=re.compile(rf"\d\s+\w+: {name}"))).to_be_visible(timeout=LOOK_MS)
    rest(page)


def run_as(page: Page, name: str, *, clicks: int = 1) -> None:
    fold = page.get_by_text("Name and note (optional)")
    if not page.get_by_label("Name", exact=True).is_visible():
        fold.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Run", exact=True).click(click_count=clicks)
    expect(page.get_by_text(f"Queued 1 run: {name}")).to_be_visible(timeout=LOOK_MS)


def bring_files(page: Page, model: Path, data: Path) -> None:
    page.get_by_role("button", name="Bring your model").click()
    expect(page.get_by_role("heading", name="Model & Data")).to_be_visible(timeout=LOOK_MS)
    upload(page, "Model", model)
    expect(page.get_by_text("architecture and weights are both there")).to_be_visible(timeout=LOOK_MS)
    upload(page, "Data", data)
    expect(page.get_by_text("Task: classification into 10 classes")).to_be_visible(timeout=LOOK_MS)


def test_a_model_and_data_become_two_compared_runs_and_a_tflite_that_gives_the_shown_accuracy(
    chromium: Browser, server: Server, home: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    page = open_page(chromium, server.url)
    bring_files(page, *files)
    page.get_by_role("button", name="Experiment").click()
    expect(page.get_by_role("heading", name="Experiment")).to_be_visible(timeout=LOOK_MS)
    add_step(page, "Magnitude pruning")
    add_step(page, "Post-training quantization")
    move(page, "Final sparsity", "ArrowRight", "60 %", "prune 60 % → int8")
    run_as(page, "sixty")
    move(page, "Final sparsity", "ArrowRight", "80 %", "prune 80 % → int8")
    move(page, "Weights", "ArrowRight", "4 bit", "prune 80 % → int4")
    run_as(page, "eighty")
    page.get_by_role("button", name="Compare").click()

    table = page.locator(".st-key-compare-table")
    for name in ("baseline", "sixty", "eighty"):
        expect(table.locator(f"[class*=st-key-series-] >> text={name}")).to_be_visible(timeout=RUN_MS)
    runs = {run.name: run for run in Store(home).runs(kinds=(RunKind.EXPERIMENT,))}
    assert runs["eighty"].recipe is not None
    steps = runs["eighty"].recipe["steps"]
    assert (steps[0]["final_sparsity"], steps[1]["weights"]) == (0.8, "int4")
    for name, run in runs.items():
        check_download(page, run.id, files[1], tmp_path / f"{name}.tflite")
    page.close()


def check_download(page: Page, run_id: str, data: Path, target: Path) -> None:
    """Download a run's .tflite from its row; LiteRT must give the accuracy that the row shows."""
    with page.expect_download(timeout=LOOK_MS) as download:
        page.locator(f".st-key-files-{run_id}").get_by_role("button", name=".tflite").click()
    download.value.save_as(target)
    assert re.search(r"-[0-9a-f]{8}\.tflite$", download.value.suggested_filename)
    row = page.locator("[data-testid=stHorizontalBlock]", has=page.locator(f".st-key-files-{run_id}")).last
    assert f"{accuracy(target, data) * 100:.1f} %" in row.inner_text()


def accuracy(model: Path, data: Path) -> float:
    from ai_edge_litert.interpreter import Interpreter

    with np.load(data) as arrays:
        x, y = arrays["x_test"], arrays["y_test"]
    interpreter = Interpreter(model_content=model.read_bytes())
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    return float((interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).argmax(-1) == y).mean())


def test_killing_the_web_server_in_the_middle_of_a_run_loses_nothing(chromium: Browser, server: Server, home: Path) -> None:
    page = open_page(chromium, server.url + "experiment")
    expect(page.get_by_role("heading", name="Experiment")).to_be_visible(timeout=LOOK_MS)
    page.get_by_role("button", name="Balanced", exact=True).click()
    expect(page.get_by_text("Quantization-aware training").first).to_be_visible(timeout=LOOK_MS)
    run_as(page, "survivor")
    store = Store(home)
    (run,) = store.runs(search="survivor")
    expect(page.locator("[data-testid=stSidebar]").get_by_text("survivor")).to_be_visible(timeout=LOOK_MS)
    server.kill()
    page.close()
    server.start()
    page = open_page(chromium, server.url + "compare")
    expect(page.locator(".st-key-compare-table").locator("[class*=st-key-series-] >> text=survivor")).to_be_visible(
        timeout=RUN_MS
    )
    assert store.run(run.id).state is RunState.SUCCEEDED
    assert store.count_runs(search="survivor") == 1
    page.close()


def test_two_tabs_show_the_same_and_a_closed_one_changes_nothing(chromium: Browser, server: Server, home: Path) -> None:
    second = open_page(chromium, server.url + "runs")
    expect(second.get_by_role("heading", name="Runs", exact=True)).to_be_visible(timeout=LOOK_MS)
    first = open_page(chromium, server.url + "experiment")
    expect(first.get_by_role("heading", name="Experiment")).to_be_visible(timeout=LOOK_MS)
    first.get_by_role("button", name="Balanced", exact=True).click()
    expect(first.get_by_text("Quantization-aware training").first).to_be_visible(timeout=LOOK_MS)
    run_as(first, "seen twice", clicks=2)
    store = Store(home)
    (run,) = store.runs(search="seen twice")
    for page in (first, second):
        expect(job_of(page, "seen twice")).to_be_visible(timeout=LOOK_MS)
    # Each tab asks again every second or two: they agree as long as a stage lasts.
    for _ in range(100):
        told = [job_of(page, "seen twice").inner_text() for page in (first, second)]
        if told[0] == told[1]:
            break
        second.wait_for_timeout(100)
    assert told[0] == told[1]
    assert not store.run(run.id).state.is_final

    first.close()
    expect(job_of(second, "seen twice")).to_have_count(0, timeout=RUN_MS)
    second.goto(f"{server.url}runs?run={run.id}", timeout=LOOK_MS)
    third = open_page(chromium, f"{server.url}runs?run={run.id}")
    for page in (second, third):
        expect(page.get_by_text(re.compile("^succeeded, .*took"))).to_be_visible(timeout=RUN_MS)
        page.close()
    assert store.run(run.id).state is RunState.SUCCEEDED
    assert store.count_runs(search="seen twice") == 1
    store.close()


def job_of(page: Page, name: str) -> Locator:
    """A run under way, in the sidebar."""
    return page.locator("[data-testid=stSidebar] [data-testid=stProgress]", has_text=name)


def test_a_hostile_name_runs_nothing_in_the_browser(
    chromium: Browser, server: Server, files: tuple[Path, Path], tmp_path: Path
) -> None:
    hostile = tmp_path / "<img src=x onerror=document.title='owned'>.keras"
    hostile.write_bytes(files[0].read_bytes())
    page = open_page(chromium, server.url)
    page.get_by_role("button", name="Bring your model").click()
    expect(page.get_by_role("heading", name="Model & Data")).to_be_visible(timeout=LOOK_MS)
    upload(page, "Model", hostile)
    expect(page.get_by_text("<img src=x onerror=document.title='owned'>.keras").first).to_be_visible(timeout=LOOK_MS)
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0
    page.close()


def test_an_upload_leaves_the_memory_of_the_web_process_at_once(chromium: Browser, server: Server, tmp_path: Path) -> None:
    large = tmp_path / "large.npz"
    large.write_bytes(b"PK" + os.urandom(100 * 1024 * 1024))
    page = open_page(chromium, server.url + "model_and_data")
    expect(page.get_by_role("heading", name="Model & Data")).to_be_visible(timeout=LOOK_MS)
    before = server.resident_mb()
    for _ in range(2):
        upload(page, "Data", large)
        expect(page.get_by_text("Not accepted: large.npz").or_(page.get_by_text("Reading large.npz")).first).to_be_visible(
            timeout=LOOK_MS
        )
    for _ in range(30):
        if server.resident_mb() - before < 60:
            break
        page.wait_for_timeout(1000)
    assert server.resident_mb() - before < 60
    assert server.resident_mb() < 400
    page.close()
