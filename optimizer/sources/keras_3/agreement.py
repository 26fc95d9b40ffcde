"""Whether the translated model computes what the original does: both on the same samples."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from optimizer.errors import InputError
from optimizer.lack_of_memory import names_lack_of_memory
from optimizer.quiet import quiet_standard_error
from optimizer.sources.keras_3.samples import random_samples
from optimizer.sources.keras_3.serialized import with_floats
from optimizer.sources.preflight.archive import CONFIG
from optimizer.sources.summary import ModelSummary

LIMIT = 1e-4
"""Largest difference that rounding explains, relative to the largest output of the sample."""
FIX = "This is a fault of Litesmith: please report it. A model saved by tf-keras (TF_USE_LEGACY_KERAS=1) is read as it is."
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the outputs of the translation are from those of the original.

    Args:
        absolute: Largest difference of two values, in the unit of the outputs.
        relative: Largest difference divided by the largest value of that output for that sample; None where nothing was compared.
        samples: Number of samples.
        together: Whether the samples were given at once, for one at a time did not agree.
        rounding: The relative difference in float32, where the others were taken in float64; 0 where all is in float32.
        reason: Why nothing was compared.
    """

    absolute: float = 0.0
    relative: float | None = None
    samples: int = 0
    together: bool = False
    rounding: float = 0.0
    reason: str = ""

    def in_words(self, keras_version: str) -> str:
        """One sentence for the person."""
        if self.relative is None:
            return f"Translated from Keras {keras_version}; not compared with the original: {self.reason}."
        return (
            f"Translated from Keras {keras_version}; largest difference from the original's outputs {self.absolute:.1e} "
            f"({self.relative:.1e} relative) on {self.samples} random samples{' given at once' if self.together else ''}"
            + (f" in float64 (in float32 the model amplifies rounding to {self.rounding:.1e})." if self.rounding else ".")
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for report.json."""
        return {
            "absolute": self.absolute,
            "relative": self.relative,
            "samples": self.samples,
            "together": self.together,
            "rounding": self.rounding,
            "reason": self.reason,
        }


def agreement_record(
    path: Path, summary: ModelSummary, model: Any, *, seed: int, baseline: Path | None, say: Callable[[str], None]
) -> dict[str, Any] | None:
    """What report.json says of a translation: compared where the baseline is made, and taken from there by later runs.

    Args:
        path: The file that `summary` was read from.
        summary: Its summary.
        model: The translation, a tf_keras.Model.
        seed: Of the samples.
        baseline: Folder of a finished baseline of the same model, None where this run makes it.
        say: Called with one sentence for the person.

    Returns:
        absolute, relative, samples, together, rounding, reason, keras_version and text; None for a model that was not translated.

    Raises:
        InputError: TRANSLATION_MISMATCH.
    """
    if not summary.keras_version:
        return None
    if baseline is not None:
        record: dict[str, Any] | None = json.loads((baseline / "report.json").read_text())["model"].get("translation")
        return record
    with quiet_standard_error():
        found = compare_with_original(path, summary, model, seed=seed)
    require_agreement(found, summary)
    text = found.in_words(summary.keras_version)
    say(text)
    return {**found.to_json(), "keras_version": summary.keras_version, "text": text}


def compare_with_original(path: Path, summary: ModelSummary, model: Any, *, seed: int = 0) -> Agreement:
    """Load the original with Keras 3, give both models the same random samples, and compare.

    This does run what Keras 3 makes of the file: only after its preflight, and in a confined process. Both models are in memory
    meanwhile; the original is released before this returns.

    Args:
        path: The file that `summary` was read from.
        summary: Its summary.
        model: The translation, a tf_keras.Model.
        seed: Of the samples.

    Raises:
        InputError: TRANSLATION_MISMATCH where the translation raises an error.
    """
    samples = random_samples(summary, seed)
    if samples is None:
        return Agreement(reason="its inputs are no numbers")
    wanted = _outputs_of_original(path, summary, samples, "float32")
    gc.collect()  # The original goes before more memory is asked for.
    if isinstance(wanted, str):
        return Agreement(reason=wanted)
    received = _outputs(model, samples, summary)
    if isinstance(received, str):
        raise InputError(
            "The translation into tf-keras fails where the original gives outputs",
            code="TRANSLATION_MISMATCH",
            place=summary.name,
            expected=f"outputs for {len(samples[0])} random samples",
            received=received,
            fix=FIX,
        )
    found = _difference(wanted, received, len(samples[0]))
    if found.relative is not None and found.relative > LIMIT:
        return _in_double_precision(path, summary, model, samples, found)
    return found


def _in_double_precision(path: Path, summary: ModelSummary, model: Any, samples: list[Array], found: Agreement) -> Agreement:
    """Compare again in float64: some models, above all untrained ones, amplify the rounding of float32 beyond the limit.

    If that does not help, all samples are given at once: Keras 3 adds (1, n, 1), which any tensor of one sample may be, as if it were (n,).
    """
    samples = [array.astype(np.float64) if array.dtype == np.float32 else array for array in samples]
    try:
        exact = type(model).from_config(with_floats(model.get_config(), "float64"))
    # Not every TensorFlow function that computes in float32 does so in float64; what was found in float32 stands then.
    except Exception as error:
        if names_lack_of_memory(error):
            raise
        return found
    exact.set_weights(model.get_weights())
    for layer in exact._flatten_layers():
        if type(layer).__name__ == "MultiHeadAttention":
            # A query whose keys are all masked: float32 rounds away what is left of its scores beside the mask's -1e9, float64 does not.
            layer._softmax.robust_masking = True
    again = found
    for together in (False, True):
        wanted = _outputs_of_original(path, summary, samples, "float64", together=together)
        received = _outputs(exact, samples, summary, together=together)
        if isinstance(wanted, str) or isinstance(received, str):
            return found
        again = _difference(wanted, received, len(samples[0]))
        if again.relative is not None and again.relative <= LIMIT:
            break
    return dataclasses.replace(again, rounding=found.relative or 0.0, together=together)


def require_agreement(agreement: Agreement, summary: ModelSummary) -> None:
    """Raises InputError TRANSLATION_MISMATCH where outputs differ by more than 1e-4 of the largest."""
    if agreement.relative is not None and not agreement.relative <= LIMIT:
        raise InputError(
            "The translation into tf-keras does not compute what the original does",
            code="TRANSLATION_MISMATCH",
            place=summary.name,
            received=agreement.in_words(summary.keras_version),
            limit=f"{LIMIT:g} relative",
            fix=FIX,
        )


def _outputs(model: Any, samples: list[Array], summary: ModelSummary, *, together: bool = False) -> list[Array] | str:
    """What the translation gives, or the error that it raises: TensorFlow checks some arguments (positions, shapes) only as it computes."""
    import tensorflow as tf

    def answer(part: list[Array]) -> list[Array]:
        inputs = [tf.constant(array) for array in part]
        return [np.asarray(item) for item in tf.nest.flatten(model(inputs[0] if len(inputs) == 1 else inputs, training=False))]

    try:
        return answer(samples) if together else _in_turn(answer, samples, summary)
    # Any layer may raise anything; only a lack of memory says nothing about the translation.
    except Exception as error:
        if names_lack_of_memory(error):
            raise
        return f"{type(error).__name__}: {error}"


def _in_turn(answer: Callable[[list[Array]], list[Array]], samples: list[Array], summary: ModelSummary) -> list[Array]:
    """Each output for all samples, given one at a time: a large model's activations, which are all kept, would need several times the memory.

    Where an input insists on a number of samples, they are given at once.
    """
    if any(shape[0] is not None for shape in summary.input_shapes):
        return answer(samples)
    answers = [answer([array[number : number + 1] for array in samples]) for number in range(len(samples[0]))]
    return [np.stack([one[0] if one.shape[:1] == (1,) else one for one in output]) for output in zip(*answers, strict=True)]


def _outputs_of_original(
    path: Path, summary: ModelSummary, samples: list[Array], dtype: str, *, together: bool = False
) -> list[Array] | str:
    """What the original gives, in its own order of outputs; or why it could not be asked."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    with tempfile.TemporaryDirectory() as folder:
        # Keras goes by the extension, and files in the object store have none.
        named = Path(folder) / f"original.{summary.format}"
        _copy_with_floats(path, named, dtype)
        try:
            # TensorFlow's own functions as activations: Keras 3 writes their names, and does not find them again.
            with keras.saving.custom_object_scope({"softmax_v2": keras.activations.softmax, "swish": keras.activations.silu}):
                model = keras.saving.load_model(named, compile=False, safe_mode=True)

            def answer(part: list[Array]) -> list[Array]:
                inputs = keras.tree.pack_sequence_as(model._inputs_struct, part) if len(part) > 1 else part[0]
                return [np.asarray(item) for item in keras.tree.flatten(model(inputs, training=False))]

            return answer(samples) if together else _in_turn(answer, samples, summary)
        # Keras 3 cannot load all that it has written (a .h5 with operations, files of other versions), in many ways.
        except Exception as error:  # noqa: BLE001
            lines = str(error).strip().splitlines()
            return f"Keras {keras.__version__} could not load or run its own file ({type(error).__name__}: {(lines or [''])[0]:.120})"


def _copy_with_floats(path: Path, target: Path, dtype: str) -> None:
    """Copy a model file; one that computes in half precision is made to compute in float32, as the translation does."""
    if target.suffix != ".keras":
        shutil.copyfile(path, target)
        with h5py.File(target, "r+") as file:
            stored = file.attrs["model_config"]
            text = stored.decode() if isinstance(stored, bytes) else str(stored)
            if "float16" in text or dtype != "float32":
                file.attrs["model_config"] = json.dumps(with_floats(json.loads(text), dtype))
        return
    with zipfile.ZipFile(path) as archive:
        config = archive.read(CONFIG).decode("utf-8")
        if "float16" not in config and dtype == "float32":
            shutil.copyfile(path, target)
            return
        with zipfile.ZipFile(target, "w") as copy:
            for member in archive.infolist():
                with archive.open(member) as source, copy.open(member.filename, "w") as sink:
                    if member.filename == CONFIG:
                        sink.write(json.dumps(with_floats(json.loads(config), dtype)).encode())
                    else:
                        shutil.copyfileobj(source, sink, 1024**2)


def _difference(wanted: list[Array], received: list[Array], samples: int) -> Agreement:
    absolute = relative = 0.0
    if [array.shape for array in wanted] != [array.shape for array in received]:
        return Agreement(absolute=float("inf"), relative=float("inf"), samples=samples)
    for one, other in zip(wanted, received, strict=True):
        one, other = one.astype(np.float64), other.astype(np.float64)
        finite = np.isfinite(one)
        if not np.array_equal(finite, np.isfinite(other)):
            return Agreement(absolute=float("inf"), relative=float("inf"), samples=samples)
        difference = np.abs(np.where(finite, one, 0) - np.where(finite, other, 0))
        size = np.abs(np.where(finite, one, 0))
        rows = len(one) if one.ndim and len(one) == samples else 1
        difference, size = difference.reshape((rows, -1)), size.reshape((rows, -1))
        if difference.size:
            largest = difference.max(axis=1)
            absolute = max(absolute, float(largest.max()))
            relative = max(relative, float((largest / np.maximum(size.max(axis=1), np.finfo(np.float32).tiny)).max()))
    return Agreement(absolute=absolute, relative=relative, samples=samples)
