"""Every family of layers goes through the techniques: nothing raises, the file agrees, and the check says beforehand what happens.

A slice that CI can afford; `python benchmarks/zoo_matrix.py` runs all of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import zoo
from cells import RECIPES, TOLERANCE, Cell, Member

from optimizer.kernel_location import locate_parts
from optimizer.kernels import kernels_by_layer
from optimizer.litert_file import LiteRTFile
from optimizer.promises import KernelPromise, StoredType
from optimizer.sources.summary import Finding, Verdict
from optimizer.sources.wiring import wiring_of
from optimizer.stored_types import loops_over_time
from optimizer.surgery.describing import wiring_of_keras
from optimizer.techniques.quantization.quantization_aware_training import findings
from optimizer.techniques.sharing.weight_clustering import TORN

# Each model with the training for integers, which touches every layer, and with one other recipe in turn.
OTHERS = [recipe for recipe in RECIPES if recipe not in ("as it is", "train")]
# The calibration of recurrent layers takes the converter ten times as long as anything else.
SLOW = ("bidirectional", "convolution_and_lstm", "encoder_and_decoder", "masked_words", "masked_steps")
RECURRENT = (
    *SLOW, "words_and_lstm", "gru_and_simple_rnn", "fixed_batch_with_state", "state_and_steps_of_one_layer", "mask_dropped_on_the_way",
    "recurrent_dropout",
)  # fmt: skip
CELLS = {name: ("int8 weights" if name in SLOW else OTHERS[number % len(OTHERS)],) for number, name in enumerate(zoo.MODELS)}
TRAINED = (
    "depthwise", "separable", "separable_in_one_dimension", "one_dimension", "transposed", "normalization_first", "dense_normalized",
    "functions_as_layers", "squeeze_and_excite", "activations", "masked_mean", "convolution_and_lstm", "transformer", "nested_and_shared",
    "shared_convolution_and_normalization", "local", "three_dimensions", "fixed_ranges_joined", "floats_and_slices_joined",
)  # fmt: skip
# What broke once in another recipe than the one that a member gets in turn.
ONCE_BROKEN = (
    ("frozen", "cluster"), ("shared_convolution_and_normalization", "cluster, train"), ("half_precision", "int8 x int16"),
    ("fixed_batch_with_state", "prune"), ("attention_over_pictures", "int8 x int16"),
    ("encoder_and_decoder", "as it is"), ("kernel_of_one_weight", "int8"), ("words_as_one_hot", "int8"), ("words_as_one_hot", "train"),
    ("input_joined_again", "train"), ("layers_as_activations", "train"), ("volumes_of_any_size", "as it is"),
)  # fmt: skip
for broken, again in ONCE_BROKEN:
    CELLS[broken] = (*dict.fromkeys((*CELLS[broken], again)),)
ALL = [(name, recipe) for name, recipes in CELLS.items() for recipe in (*recipes, *(("train",) if name in TRAINED else ()))]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Member]:
    """Models that were made, kept from one cell to the next of the same model."""
    return {}


@pytest.mark.parametrize(("name", "recipe"), ALL)
def test_a_cell_of_the_zoo(name: str, recipe: str, members: dict[str, Member], tmp_path: Path) -> None:
    if name not in members:
        members.clear()
        members[name] = Member(name, tmp_path)
    member = members[name]
    cell = member.cell(recipe)
    assert cell.difference <= TOLERANCE[recipe]
    assert all(result.holds is not False for result in cell.promises)
    if len(RECIPES[recipe]) == 1:
        held_against_the_check(member, recipe, cell)


@pytest.mark.parametrize("name", RECURRENT)
def test_what_loops_over_time_is_known_beforehand(name: str, tmp_path: Path) -> None:
    member = Member(name, tmp_path)
    operators = {operator.name for operator in LiteRTFile(member.cell("as it is").model.content).operators}
    assert loops_over_time(member.summary) == ("WHILE" in operators)


def held_against_the_check(member: Member, recipe: str, cell: Cell) -> None:
    """What was done to each layer is what the check had said of it."""
    (step,) = member.steps(recipe)
    said = {finding.layer: finding for finding in step.check(member.summary)}
    works = {name for name, finding in said.items() if finding.verdict is Verdict.WORKS}
    kernels = kernels_by_layer(cell.model.keras)
    if step.name in ("magnitude_pruning", "weight_clustering"):
        treated = layers_of(cell, kernels)
        uncertain = {name for name in works if said[name].reason.startswith(TORN)}
        assert treated <= works & kernels.keys() <= treated | uncertain
    elif step.name == "quantization_aware_training":
        held_against_the_layout(said, member, cell)
    elif step.name == "post_training_quantization":
        file = LiteRTFile(cell.model.content)
        for name, found in kernels.items():
            stored = {tensor.dtype for kernel in found.values() for tensor in locate_parts(file, kernel.numpy())}
            # A verdict that says "may" leaves it to the converter; a kernel that was not found in the file says nothing.
            if stored and (name in works or "may" not in said[name].reason):
                assert ("FLOAT32" not in stored) == (name in works), (said[name], stored)


def layers_of(cell: Cell, kernels: dict[str, dict[str, object]]) -> set[str]:
    """Layers of the kernels that were promised something."""
    keys = {key for promise in cell.model.promises if isinstance(promise, KernelPromise) for key in promise.kernels}
    return {name for name, found in kernels.items() if keys & found.keys()}


def held_against_the_layout(said: dict[str, Finding], member: Member, cell: Cell) -> None:
    """The model in memory is judged like its file; what is said to work and has a kernel is stored in int8; what stays float is named."""
    in_memory = {finding.layer: finding for finding in findings(wiring_of_keras(member.original.keras), ())}
    assert in_memory == said
    (promise,) = (promise for promise in cell.model.promises if isinstance(promise, StoredType))
    kernels = kernels_by_layer(cell.model.keras)
    stored = {name for name, found in kernels.items() if set(promise.kernels) & found.keys()}
    rounded = {name for name, finding in said.items() if finding.verdict is Verdict.WORKS and name in kernels}
    assert stored <= rounded
    assert {name for name in rounded - stored if not any(name in note for note in cell.notes)} <= {"p_re_lu"}
    left = {name for name, finding in said.items() if finding.verdict is Verdict.LEFT}
    assert {name for name in left if not any(name in note for note in cell.notes)} == set()


def test_the_wiring_of_a_file_is_that_of_the_model_in_memory(tmp_path: Path) -> None:
    member = Member("normalization_first", tmp_path)
    assert wiring_of(member.summary).inbound.keys() == wiring_of_keras(member.original.keras).inbound.keys()
