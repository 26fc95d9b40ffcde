"""Models of several inputs or outputs: which array feeds which input, and which output the labels are for."""

from __future__ import annotations

from dataclasses import replace

from optimizer.conversion import argument_name, plain_name
from optimizer.errors import InputError
from optimizer.sources.dataset import Dataset, Split
from optimizer.sources.joined import InputSpec, JoinedSamples
from optimizer.sources.matching import in_words
from optimizer.sources.naming import scope_name
from optimizer.sources.sample_shapes import agreed_shape, require_word_numbers
from optimizer.sources.scaling import rows_of_input
from optimizer.sources.summary import ModelSummary
from optimizer.sources.targets import SPLITS


def match_inputs(dataset: Dataset, summary: ModelSummary) -> tuple[Dataset, tuple[InputSpec, ...], tuple[str, ...]]:
    """The data with their arrays in the order of the model's inputs, a description of each input, and notes.

    For a model of one input the data come back as they are, without descriptions.

    Raises:
        InputError: DATA_MODEL_MISMATCH, UNSUPPORTED_MODEL for several inputs of a .tflite that are of any size.
    """
    samples = dataset.train.x
    count = len(summary.input_shapes)
    if count == 1 and not isinstance(samples, JoinedSamples):
        return dataset, (), ()
    given = samples.arrays if isinstance(samples, JoinedSamples) else {}
    places = _places(list(given), summary)
    if places is None:
        raise _wrong_inputs(dataset, summary, given)
    _require_fixed_sizes(summary)
    specs, notes = [], []
    for place, name in enumerate(places):
        known = summary.input_names[place]
        where = f"{dataset.name}, input {known}"
        shape, changes = agreed_shape(given[name].shape[1:], summary.input_shapes[place][1:], where)
        specs.append(InputSpec(name=known, argument=_argument(known, summary), shape=shape, dtype=handed_over_as(summary, place)))
        notes += [f"Input {known}: {change}" for change in changes]
        _check_vocabulary(dataset, summary, place, name)
    notes.append("The model has several inputs: their values are taken as they are stored, without scaling.")
    return _ordered(dataset, places), tuple(specs), tuple(notes)


def handed_over_as(summary: ModelSummary, place: int) -> str:
    """The dtype that samples are handed over in; a quantized input is given real values, which the file quantizes by its own scale."""
    dtype = summary.input_dtypes[place]
    whole = dtype.startswith(("int", "uint", "bool")) and not any(summary.input_quantization[place : place + 1])
    return dtype if whole else "float32"


def _argument(name: str, summary: ModelSummary) -> str:
    if summary.format == "tflite":
        return name
    return argument_name(name) if summary.format == "saved_model" else plain_name(name)


def _require_fixed_sizes(summary: ModelSummary) -> None:
    """Raises InputError UNSUPPORTED_MODEL for a .tflite of several inputs that leaves axes open."""
    if summary.format != "tflite":
        return
    for name, shape in zip(summary.input_names, summary.input_shapes, strict=True):
        if None in shape[1:]:
            raise InputError(
                "A .tflite of several inputs must say how large each of them is",
                code="UNSUPPORTED_MODEL",
                place=f"{summary.name}, input {name}",
                received=in_words(shape[1:]),
                fix="Convert it again with inputs of fixed shape.",
            )


def _places(given: list[str], summary: ModelSummary) -> list[str] | None:
    """For each input of the model the name of its array: the input's own name, as it was or as TensorFlow takes it, or its number.

    None where they do not match.
    """
    names = [name.lower() for name in summary.input_names]
    numbers = [str(number) for number in range(len(names))]
    for wanted in (names, numbers):
        if sorted(wanted) == sorted(given):
            return wanted
    taken = {scope_name(name): name for name in given}
    return [taken[name] for name in names] if len(taken) == len(given) and sorted(taken) == sorted(names) else None


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
    rows = rows_of_input(summary, place)
    if not rows:
        return
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
    for place, name in enumerate(summary.output_names):
        if wanted == name.lower():
            return place
    for place, layer in enumerate(summary.output_layers):
        if wanted in (layer.lower(), layer.lower().split("/")[0], layer.lower().split("/")[-1], str(place)):
            return place
    raise InputError(
        "The labels name an output that the model does not have",
        code="DATA_MODEL_MISMATCH",
        place=f"{dataset.name} with {summary.name}",
        expected="one of " + ", ".join(f"y_train_{name}" for name in summary.names_of_outputs),
        received=f"y_train_{wanted}",
    )


def output_note(summary: ModelSummary, output: int) -> tuple[str, ...]:
    """What is said of a model of several outputs."""
    names = summary.names_of_outputs
    if len(names) == 1:
        return ()
    others = ", ".join(name for place, name in enumerate(names) if place != output)
    if not summary.is_keras:
        return (f"The output {names[output]} is measured; the others ({others}) stay in the file.",)
    return (
        f"The output {names[output]} is trained with the labels and measured; training holds the others ({others}) near "
        "what the original gives.",
    )
