from __future__ import annotations

import dataclasses
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.recipe import Recipe, recipe_from_json
from optimizer.runs import requests
from optimizer.runs.claims import Claims, Outcome
from optimizer.runs.run import Project, RunKind, RunState
from optimizer.runs.store import Store
from tests.runs.samples import DIGITS, INSPECTION_KINDS, SUMMARY, take


@pytest.fixture
def recipe() -> Recipe:
    return requests.presets()["Balanced"]


@pytest.fixture
def ready(store: Store, claims: Claims, project: Project) -> Project:
    """A project whose model and data were brought and found good."""
    model = requests.bring_model(store, project.id, io.BytesIO(b"a model"), "kws.h5")
    take(claims, *INSPECTION_KINDS)
    claims.finish(model.id, Outcome(state=RunState.SUCCEEDED, project={"model": {**SUMMARY.to_json(), **model.inputs["model"]}}))
    data = requests.bring_bundled_data(store, project.id, "digits")
    take(claims, *INSPECTION_KINDS)
    changes = {"data": {"task": "classification"}, "data_source": data.inputs["data"]}
    claims.finish(data.id, Outcome(state=RunState.SUCCEEDED, project=changes))
    return store.project(project.id)


def kinds(store: Store, project: Project) -> list[str]:
    return [run.name for run in reversed(store.runs(project.id, kinds=[RunKind.BASELINE, RunKind.EXPERIMENT]))]


class TestSample:
    def test_one_click_queues_everything_and_a_second_click_nothing_more(self, store: Store) -> None:
        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(lambda _: requests.try_sample(store), range(2))

        assert first.id == second.id
        assert kinds(store, first) == ["baseline", "Safe", "Balanced", "Tiny"]
        assert store.count_runs(kinds=INSPECTION_KINDS) == 2
        assert requests.try_sample(store).id == first.id
        assert store.count_runs() == 6

    def test_a_later_click_queues_again_what_was_lost(self, store: Store) -> None:
        project = requests.try_sample(store)
        lost = next(run for run in store.runs(project.id) if run.name == "Tiny")
        store.request_cancel(lost.id)

        requests.try_sample(store)
        assert [run.state for run in store.runs(project.id) if run.name == "Tiny"] == [RunState.QUEUED, RunState.CANCELLED]
        assert store.count_runs() == 7

    def test_its_runs_need_nothing_from_the_project(self, store: Store) -> None:
        project = requests.try_sample(store)
        model, *_ = {run.inputs["model"]["sha256"] for run in store.runs(project.id, kinds=[RunKind.EXPERIMENT])}
        assert store.read_object(model) == requests.SAMPLE_MODEL.read_bytes()


class TestBringing:
    def test_a_model_is_stored_and_its_inspection_queued(self, store: Store, project: Project) -> None:
        run = requests.bring_model(store, project.id, io.BytesIO(b"x"), "../../<img src=x>.h5", "second_model", key="k")

        assert run.kind is RunKind.INSPECT_MODEL
        assert run.inputs["role"] == "second_model"
        assert run.inputs["model"]["name"] == "../../<img src=x>.h5"
        assert store.read_object(run.inputs["model"]["sha256"]) == b"x"
        assert store.project(project.id).model is None

    def test_data_can_be_one_file_or_two_or_bundled(self, store: Store, project: Project) -> None:
        test = (io.BytesIO(b"test"), "test.csv")
        run = requests.bring_data(store, project.id, io.BytesIO(b"train"), "train.csv", label="species", test=test)
        source = run.inputs["data"]
        assert (source["name"], source["label"], source["test"]["name"]) == ("train.csv", "species", "test.csv")
        assert store.read_object(source["test"]["sha256"]) == b"test"

        assert requests.bring_bundled_data(store, project.id, "digits").inputs == {"data": DIGITS}

    def test_a_wrong_role_is_a_mistake_of_the_caller(self, store: Store, project: Project) -> None:
        with pytest.raises(ValueError, match="role"):
            requests.bring_model(store, project.id, io.BytesIO(b"x"), "a.h5", "teacher")


class TestRunning:
    def test_a_recipe_needs_a_model_and_data(self, store: Store, project: Project, recipe: Recipe) -> None:
        with pytest.raises(InputError, match="no model yet"):
            requests.run_recipe(store, project.id, recipe)

    def test_one_baseline_is_queued_before_the_experiments(self, store: Store, ready: Project, recipe: Recipe) -> None:
        for number in range(3):
            requests.run_recipe(store, ready.id, recipe, name=f"run {number}", key=f"k{number}")
        assert kinds(store, ready) == ["baseline", "run 0", "run 1", "run 2"]

    def test_steps_that_train_are_refused_for_a_tflite_before_anything_is_queued(
        self, store: Store, claims: Claims, ready: Project, recipe: Recipe
    ) -> None:
        inspection = requests.bring_model(store, ready.id, io.BytesIO(b"another"), "kws.tflite")
        take(claims, *INSPECTION_KINDS)
        brought = {**SUMMARY.to_json(), "format": "tflite", **inspection.inputs["model"]}
        claims.finish(inspection.id, Outcome(state=RunState.SUCCEEDED, project={"model": brought}))
        with pytest.raises(InputError) as caught:
            requests.run_recipe(store, ready.id, recipe)
        assert caught.value.code == "NEEDS_KERAS_MODEL"
        assert kinds(store, ready) == []

    def test_another_seed_has_another_baseline(self, store: Store, ready: Project, recipe: Recipe) -> None:
        for seed in (0, 1, 1):
            requests.run_recipe(store, ready.id, dataclasses.replace(recipe, seed=seed), name=f"seed {seed}")
        assert kinds(store, ready) == ["baseline", "seed 0", "baseline", "seed 1", "seed 1"]

    def test_a_lost_baseline_is_measured_again(self, store: Store, ready: Project, recipe: Recipe) -> None:
        requests.run_recipe(store, ready.id, recipe, name="a")
        baseline = store.runs(ready.id, kinds=[RunKind.BASELINE])[0]
        store.request_cancel(baseline.id)
        requests.run_recipe(store, ready.id, recipe, name="b")
        assert kinds(store, ready) == ["baseline", "a", "baseline", "b"]

    def test_an_experiment_without_a_name_is_called_by_its_recipe(self, store: Store, ready: Project, recipe: Recipe) -> None:
        run = requests.run_recipe(store, ready.id, recipe)
        assert run.name == run.recipe_in_words == recipe.in_words()

    def test_the_same_click_is_one_run(self, store: Store, ready: Project, recipe: Recipe) -> None:
        with ThreadPoolExecutor(4) as threads:
            made = set(threads.map(lambda _: requests.run_recipe(store, ready.id, recipe, key="click").id, range(8)))
        assert len(made) == 1
        assert len(kinds(store, ready)) == 2

    def test_a_start_brings_its_own_model_and_data(self, store: Store, ready: Project, recipe: Recipe, claims: Claims) -> None:
        parent = requests.run_recipe(store, ready.id, recipe)
        inspection = requests.bring_model(store, ready.id, io.BytesIO(b"another"), "other.h5")
        take(claims, *INSPECTION_KINDS)
        changes = {"model": {**SUMMARY.to_json(), **inspection.inputs["model"]}}
        claims.finish(inspection.id, Outcome(state=RunState.SUCCEEDED, project=changes))

        child = requests.run_recipe(store, ready.id, recipe, parent_id=parent.id)
        assert child.inputs["model"] == parent.inputs["model"]
        assert child.parent_id == parent.id

    def test_a_start_of_another_seed_is_refused(self, store: Store, ready: Project, recipe: Recipe) -> None:
        parent = requests.run_recipe(store, ready.id, recipe)
        with pytest.raises(InputError, match="seed"):
            requests.run_recipe(store, ready.id, dataclasses.replace(recipe, seed=5), parent_id=parent.id)

    def test_a_start_that_left_no_keras_model_is_refused(
        self, store: Store, ready: Project, recipe: Recipe, claims: Claims
    ) -> None:
        parent = requests.run_recipe(store, ready.id, recipe)
        claims.finish(take(claims).id, Outcome(state=RunState.SUCCEEDED))
        claims.finish(take(claims).id, Outcome(state=RunState.SUCCEEDED, artifacts={"model.tflite": "0" * 64}))
        with pytest.raises(InputError, match="left no Keras model"):
            requests.run_recipe(store, ready.id, recipe, parent_id=parent.id)

    def test_run_again_repeats_recipe_inputs_and_start(self, store: Store, ready: Project, recipe: Recipe) -> None:
        first = requests.run_recipe(store, ready.id, recipe, name="a", note="b")
        again = requests.run_again(store, first.id, key="again")

        assert again.id != first.id
        same = ("kind", "name", "note", "recipe", "seed", "inputs", "parent_id")
        assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
        assert requests.run_again(store, first.id, key="again").id == again.id


class TestSweep:
    def sweep(self, store: Store, project: Project, recipe: Recipe, *arguments: Any) -> list[Any]:
        made = requests.run_sweep(store, project.id, recipe, *arguments)
        return [recipe_from_json(run.recipe).steps[0] for run in made]

    def test_one_run_is_queued_for_each_value(self, store: Store, ready: Project, recipe: Recipe) -> None:
        steps = self.sweep(store, ready, recipe, 0, "final_sparsity", [0.5, 0.7, 0.9], "sweep")
        assert [step.final_sparsity for step in steps] == [0.5, 0.7, 0.9]
        self.sweep(store, ready, recipe, 0, "final_sparsity", [0.5, 0.7, 0.9], "sweep")
        assert len(kinds(store, ready)) == 1 + 3

    @pytest.mark.parametrize(
        ("step", "setting", "values"),
        [(0, "final_sparsity", [0.5, 7.0]), (0, "colour", [1]), (9, "final_sparsity", [0.5])],
    )
    def test_nothing_is_queued_when_one_value_is_wrong(
        self, store: Store, ready: Project, recipe: Recipe, step: int, setting: str, values: list[float]
    ) -> None:
        with pytest.raises(InputError):
            requests.run_sweep(store, ready.id, recipe, step, setting, values, "sweep")
        assert kinds(store, ready) == []


def test_the_presets_are_offered_from_mild_to_strong() -> None:
    assert list(requests.presets()) == ["Safe", "Balanced", "Tiny"]
