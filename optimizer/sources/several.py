"""Models of several inputs or outputs: which array feeds which input, and which output the labels are for."""

from __future__ import annotations

from dataclasses import replace

from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset, Split
from optimizer.sources.joined import InputSpec, JoinedSamples
from optimizer.sources.sample_shapes import agreed_shape, require_word_numbers
from optimizer.sources.summary import ModelSummary
from optimizer.sources.targets import SPLITS


def match_inputs(dataset: Dataset, summary: ModelSummary) -> tuple[Dataset, tuple[InputSpec, ...], tuple[str, ...]]:
    """The data with their arrays in the order of the model's inputs, a description of each input, and notes.

    For a model of one input the data come back as they are, without descriptions.

    Raises:
        InputError: DATA_MODEL_MISMATCH, UNSUPPORTED_MODEL for several inputs or outputs of a SavedModel or .tflite.
    """
    samples = dataset.train.x
    count = len(summary.input_shapes)
    if not summary.is_keras and max(count, len(summary.output_shapes)) > 1:
        raise InputError(
            f"The model has {count} inputs and {len(summary.output_shapes)} outputs; several of them are understood in Keras models only",
            code="UNSUPPORTED_MODEL",
            place=summary.name,
            expected="one input and one output",
            fix="Bring the Keras model that the file was made from.",
        )
    if count == 1 and not isinstance(samples, JoinedSamples):
        return dataset, (), ()
    given = samples.arrays if isinstance(samples, JoinedSamples) else {}
    places = _places(list(given), summary)
    if places is None:
        raise _wrong_inputs(dataset, summary, given)
    specs, notes = [], []
    for place, name in enumerate(places):
        where = f"{dataset.name}, input {summary.input_names[place]}"
        shape, changes = agreed_shape(given[name].shape[1:], summary.input_shapes[place][1:], where)
        dtype = summary.input_dtypes[place]
        specs.append(
            InputSpec(
                name=summary.input_names[place],
                shape=shape,
                dtype=dtype if dtype.startswith(("int", "uint", "bool")) else "float32",
            )
        )
        notes += [f"Input {summary.input_names[place]}: {change}" for change in changes]
        _check_vocabulary(dataset, summary, place, name)
    notes.append("The model has several inputs: their values are taken as they are stored, without scaling.")
    return _ordered(dataset, places), tuple(specs), tuple(notes)


def _places(given: list[str], summary: ModelSummary) -> list[str] | None:
    """For each input of the model the name of its array: the input's own name, or its number; None where they do not match."""
    names = [name.lower() for name in summary.input_names]
    numbers = [str(number) for number in range(len(names))]
    for wanted in (names, numbers):
        if sorted(wanted) == sorted(given):
            return wanted
    return None


def _wrong_inputs(dataset: Dataset, summary: ModelSummary, given: object) -> InputError:
    names = summary.input_names
    single = len(summary.input_shapes) == 1
    listed = ", ".join(f"x_train_{name}" for name in names)
    return InputError(
        "The data do not have one array for each of the model's inputs",
        code="DATA_MODEL_MISMATCH",
        place=f"{dataset.name} with {summary.name}",
        expected="one input: x_train" if single else f"an .npz with {listed} (or x_train_0, x_train_1, ... in that order)",
        received=", ".join(f"x_train_{name}" for name in given) if isinstance(given, dict) and given else "one array of samples",
        fix=""
        if single
        else "Save it with np.savez_compressed, one array of samples an input; likewise x_test_... for a test part.",
    )


def _ordered(dataset: Dataset, places: list[str]) -> Dataset:
    def ordered(part: Split) -> Split:
        return Split(x=JoinedSamples({name: part.x.arrays[name] for name in places}), y=part.y)

    return replace(
        dataset,
        train=ordered(dataset.train),
        calibration=ordered(dataset.calibration),
        validation=ordered(dataset.validation),
        test=ordered(dataset.test),
    )


def _check_vocabulary(dataset: Dataset, summary: ModelSummary, place: int, name: str) -> None:
    """An input that an Embedding reads takes whole numbers below its `input_dim`."""
    readers = [
        layer for layer in summary.layers if summary.input_names[place] in layer.inbound and layer.class_name == "Embedding"
    ]
    if not readers:
        return
    rows = min(int(layer.config.get("input_dim", 0)) for layer in readers)
    for split in SPLITS:
        require_word_numbers(getattr(dataset, split).x.arrays[name], rows, f"{dataset.name}, {split}, input {name}")


def chosen_output(dataset: Dataset, summary: ModelSummary) -> int:
    """Position of the output that the labels are for: the one that they name (y_train_price), else the first.

    Raises:
        InputError: DATA_MODEL_MISMATCH for a name that no output has.
    """
    wanted = dataset.output_name
    if not wanted:
        return 0
    for place, layer in enumerate(summary.output_layers):
        if wanted in (layer.lower(), layer.lower().split("/")[0], layer.lower().split("/")[-1], str(place)):
            return place
    raise InputError(
        "The labels name an output that the model does not have",
        code="DATA_MODEL_MISMATCH",
        place=f"{dataset.name} with {summary.name}",
        expected="one of " + ", ".join(f"y_train_{layer}" for layer in summary.output_layers),
        received=f"y_train_{wanted}",
    )


def output_note(summary: ModelSummary, output: int) -> tuple[str, ...]:
    """What is said of a model of several outputs."""
    if len(summary.output_layers) == 1:
        return ()
    others = ", ".join(layer for place, layer in enumerate(summary.output_layers) if place != output)
    return (
        f"The output {summary.output_layers[output]} is trained with the labels and measured; training holds the others ({others}) near "
        "what the original gives.",
    )
