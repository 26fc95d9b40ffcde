"""A whole model of Keras 3, nested models and all, as the config that tf-keras would have written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import InputError
from optimizer.sources.keras_3 import augmentation, expressions, operations, special_layers, wrappers  # noqa: F401 (they register translators)
from optimizer.sources.keras_3.calls import plain_call
from optimizer.sources.keras_3.emission import Names, emit
from optimizer.sources.keras_3.layers import translate_layer
from optimizer.sources.keras_3.masking import CarriedMasks, makes_masks, without_mask
from optimizer.sources.keras_3.parts import Arguments, Origin, Part, Parts, SourceLayer, Tensor, flat
from optimizer.sources.keras_3.reading import fault, read_calls, read_ends
from optimizer.sources.keras_3.serialized import dtype_name
from optimizer.sources.limits import MAX_LAYERS, MAX_NAME_LENGTH
from optimizer.sources.naming import snake_case
from optimizer.sources.preflight.allowlist import MODELS
from optimizer.sources.summary import Shape

EXPORTED = {"Model": "Functional", "GroupQueryAttention": "GroupedQueryAttention"}
"""Classes whose public name is not the one that Keras names folders by."""
OPERATION_MODULES = ("keras.src.ops", "keras.ops")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The tf-keras config, where the weights of its layers come from (by full name, "outer/inner"), and notes for the person."""

    config: dict[str, Any]
    origins: Mapping[str, Origin]
    notes: tuple[str, ...]


def translate(config: Mapping[str, Any], place: str) -> Translation:
    """Translate the config of a whole model that Keras 3 wrote ({"class_name", "config", ...}).

    The config must have passed `check_config` with the list of Keras 3; the result is to be held against that of tf-keras.

    Raises:
        InputError: NOT_TRANSLATABLE with the layer's name where tf-keras has nothing that does the same, SUBCLASSED, BAD_CONFIG.
    """
    models = _Models(place, masked=makes_masks(config))
    try:
        record = models.model(config, (), "")
    except InputError:
        raise
    # What a file holds in place of what Keras 3 writes shows as any of these.
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise fault("The architecture is not as Keras 3 writes it", f"{type(error).__name__}: {error}", place) from error
    return Translation(config=record, origins=models.origins, notes=tuple(dict.fromkeys(models.notes)))


@dataclass
class _Models:
    """Walks models within models, and gathers what is said about their layers."""

    place: str
    masked: bool = False
    origins: dict[str, Origin] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    layers: int = 0

    def model(self, record: Mapping[str, Any], folders: tuple[tuple[str, str], ...], prefix: str) -> dict[str, Any]:
        config = record.get("config")
        if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list) or not config["layers"]:
            raise fault("A model does not say what layers it has", record.get("class_name"), self.place)
        sources = self._sources(config["layers"])
        if record["class_name"] == "Sequential":
            sources = self._chained(sources, config, record)
            ends: tuple[Any, Any] = (Tensor(layer=sources[0].name), Tensor(layer=sources[-1].name))
        else:
            where = f"{self.place}, layer {config.get('name')}"
            ends = (read_ends(config.get("input_layers"), where), read_ends(config.get("output_layers"), where))
        names = Names(source.name for source in sources)
        translated: list[tuple[SourceLayer, Parts]] = []
        levels: list[tuple[tuple[str, str], ...]] = []
        counts: dict[str, int] = {}
        for source, stored in zip(sources, _padded(config["layers"], sources), strict=True):
            level = (*folders, (_folder(source, counts), source.name))
            translated.append((source, self._parts(source, stored, level, f"{prefix}{names.own(source.name)}/")))
            levels.append(level)
            if names.own(source.name) != source.name:
                self.notes.append(f"The layer {source.name} is called {names.own(source.name)}: TensorFlow takes no such name.")
        if self.masked:
            masks = CarriedMasks.of(translated, fed=bool(prefix))
            translated = [(source, masks.told(source, parts)) for source, parts in translated]
        for (source, parts), level in zip(translated, levels, strict=True):
            names.add(source, parts)
            self._remember(source, parts, level, names, prefix)
        return emit(record, translated, ends, names, self.place)

    def _parts(self, source: SourceLayer, stored: Mapping[str, Any], folders: tuple[tuple[str, str], ...], prefix: str) -> Parts:
        if source.class_name not in MODELS:
            parts = translate_layer(source)
            return without_mask(parts) if self.masked and source.is_operation else parts
        inner = self.model(stored, folders, prefix)
        calls = tuple(_flat_input(plain_call(dataclasses.replace(source, calls=(call,))), stored) for call in source.calls)
        return Parts(parts=(Part(class_name=inner["class_name"], config=inner["config"], calls=calls),))

    def _remember(self, source: SourceLayer, parts: Parts, level: tuple[tuple[str, str], ...], names: Names, prefix: str) -> None:
        if parts.note:
            self.notes.append(f"{source.name}: {parts.note}")
        for part in parts.parts:
            if part.weights is not None:
                self.origins[prefix + names.of(source.name, part.suffix)] = Origin(
                    folders=level, part=part.weights, reshaped=part.reshaped, ignored=parts.ignored, inside=part.inside
                )

    def _sources(self, records: list[Any]) -> list[SourceLayer]:
        found: dict[str, SourceLayer] = {}
        for record in records:
            self.layers += 1
            if not isinstance(record, Mapping) or not isinstance(record.get("class_name"), str):
                raise fault("A layer is not an object with a class", record, self.place)
            config = record.get("config")
            if not isinstance(config, Mapping):
                raise fault("A layer's config is not an object", config, self.place)
            name = record.get("name") or config.get("name") or f"layer_{self.layers}"
            if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or self.layers > MAX_LAYERS:
                raise fault("A layer has no usable name", name, self.place)
            if name in found:
                raise fault("Two layers have one name", name, self.place)
            found[name] = self._source(name, record, config)
        return list(found.values())

    def _source(self, name: str, record: Mapping[str, Any], config: Mapping[str, Any]) -> SourceLayer:
        place = f"{self.place}, layer {name}"
        module = record.get("module")
        return SourceLayer(
            name=name,
            class_name=record["class_name"],
            config=config,
            calls=read_calls(record.get("inbound_nodes", []), place),
            place=place,
            module=module if isinstance(module, str) else "",
            # A .h5 names no modules; only layers have a dtype and can be trained.
            is_operation=module.startswith(OPERATION_MODULES)
            if isinstance(module, str)
            else "trainable" not in config
            and record["class_name"] in operations.OPERATIONS
            and record["class_name"] != "InputLayer",
            build_shape=_build_shape(record),
        )

    def _chained(self, sources: list[SourceLayer], config: Mapping[str, Any], record: Mapping[str, Any]) -> list[SourceLayer]:
        """The layers of a Sequential with the calls that it makes, its input in front."""
        if sources[0].class_name != "InputLayer":
            shape = config.get("build_input_shape") or (record.get("build_config") or {}).get("input_shape")
            settings = {"batch_shape": shape, "dtype": dtype_name(sources[0].config.get("dtype"), sources[0])}
            if sources[0].class_name == "Embedding":
                settings["dtype"] = "float32"
            names = {source.name for source in sources}
            name = next(n for n in (f"{sources[0].name}_input", *(f"input_{i}" for i in range(len(names) + 1))) if n not in names)
            first = SourceLayer(name=name, class_name="InputLayer", config=settings, calls=(), place=self.place)
            sources = [first, *sources]
        chained = sources[:1]
        for source in sources[1:]:
            before = chained[-1]
            known = before.config if before.class_name == "InputLayer" else {}
            shape = known.get("batch_shape")
            dtype = dtype_name(known.get("dtype"), before)
            tensor = Tensor(layer=before.name, shape=source.build_shape or (tuple(shape) if shape else None), dtype=dtype)
            chained.append(dataclasses.replace(source, calls=(Arguments(args=(tensor,)),)))
        return chained


def _padded(records: list[Any], sources: list[SourceLayer]) -> list[Any]:
    """The stored records beside the layers: the input that was put in front of a Sequential has none."""
    return [{}] * (len(sources) - len(records)) + records


def _folder(source: SourceLayer, counts: dict[str, int]) -> str:
    """The folder of a layer's weights: its class in snake case, numbered from the second. Operations have none."""
    if source.is_operation:
        return ""
    kind = snake_case(EXPORTED.get(source.class_name, source.class_name))
    number = counts.get(kind, 0)
    counts[kind] = number + 1
    return f"{kind}_{number}" if number else kind


def _build_shape(record: Mapping[str, Any]) -> Shape | None:
    build = record.get("build_config")
    shape = build.get("input_shape") if isinstance(build, Mapping) else None
    if isinstance(shape, list) and shape and all(n is None or (isinstance(n, int) and not isinstance(n, bool)) for n in shape):
        return tuple(shape)
    return None


def _inputs(stored: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """What a model takes, as its record says it (a dictionary, or anything else), and the names of its inputs in order."""
    config = stored["config"]
    if stored["class_name"] == "Sequential":
        first = config["layers"][0]
        return None, [str(first["config"].get("name"))]
    structure = config["input_layers"]
    return structure, [tensor.layer for tensor in flat(read_ends(structure, str(config.get("name"))))]


def _flat_input(call: Arguments, stored: Mapping[str, Any]) -> Arguments:
    """A nested model's inputs as one tensor or a list, in the order in which the translated model takes them.

    Where Keras 3 gets a dictionary for inputs that are none, it looks each up by its name. Of more tensors than inputs it takes the first.
    """
    value = call.args[0]
    structure, names = _inputs(stored)
    by_name = isinstance(value, Mapping) and not isinstance(structure, Mapping) and set(names) <= set(value)
    items = [value[name] for name in names] if by_name else flat(value)[: len(names)]
    kwargs = {key: item for key, item in call.kwargs.items() if key != "mask" or isinstance(item, Tensor)}
    return Arguments(args=(items[0] if len(items) == 1 else items,), kwargs=kwargs)
