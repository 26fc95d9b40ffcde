"""Post-training quantization: lower precision without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optimizer.context import RunContext
from optimizer.conversion import (
    FEWEST_WEIGHTS,
    configure_int8_weights,
    configure_trained,
    convert,
    is_sequence_model,
    loops,
    representative_dataset,
    set_granularity,
)
from optimizer.environment import Host
from optimizer.errors import InputError, RunError
from optimizer.integer_files import int8_file, int16_file
from optimizer.kernel_location import locate
from optimizer.kernels import kernel_variables, kernels_by_layer, unwrapped
from optimizer.litert_file import LiteRTFile
from optimizer.litert_quantization import (
    FULLY_INTEGER_OPERATORS,
    quantize_int4,
    quantize_int8_weights,
    quantize_tflite,
)
from optimizer.litert_refusal import TAKE_INT8, TRAINED_FOR_INT8, tflite_refusal, trained_for_int8
from optimizer.model import Model
from optimizer.promises import Promise, StoredKernels, StoredType
from optimizer.size_estimate import SizeEstimate
from optimizer.sources.summary import Finding, LayerSummary, ModelSummary, Verdict
from optimizer.speed import counted_layers, depthwise_layers, int8_in_words, small_model_in_words
from optimizer.stored_types import INT4_LAYERS, QUANTIZED_LAYERS, StoredTypes, loops_over_time
from optimizer.technique import Refusal, Stage, Technique, layer_findings, param, technique

CALIBRATION_SAMPLES = 256
BITS = {"float32": 32, "float16": 16, "int16": 16, "int8": 8, "int4": 4}
STORED_TYPES = {"float16": ("FLOAT16",), "int8": ("INT8",), "int4": ("INT4",)}
FLOAT16_LAYERS = INT4_LAYERS | {"DepthwiseConv2D", "Conv2DTranspose"}
LOOPS = "a model that loops over time cannot take and give int8"
UNROLL = "Set input_output and activations to float32, or save the recurrent layers with unroll=True."


@technique("post_training_quantization", family="quantization")
class PostTrainingQuantization(Technique):
    """Store weights, and if wanted compute activations, in fewer bits; nothing is trained.

    Use it first: int8 weights with int8 activations make most files four times smaller within a minute. The ranges of activations come from
    the calibration split. Jacob et al. 2018, arXiv 1712.05877; int4 ranges by OCTAV (Sakr et al. 2022, arXiv 2206.06501).
    float16 and int8 files are made by TensorFlow's converter, int4 and int8 weights with float32 activations by litert-quantizer.
    """

    produces = Stage.LITERT

    weights: str = param(
        "int8",
        choices=("float16", "int8", "int4"),
        primary=True,
        help="Bits of a stored weight. int4 halves int8 once more, at a cost in accuracy; depthwise kernels then keep int8.",
    )
    activations: str = param(
        "int8",
        choices=("float32", "int16", "int8"),
        primary=True,
        help="Numbers that operators compute with. int8 runs on microcontrollers and is usually fastest; int16 is for accuracy, and slow.",
    )
    granularity: str = param(
        "auto",
        choices=("auto", "per_channel", "per_tensor"),
        help="One scale for each output channel or one for the whole kernel. Auto takes per channel, but per tensor where an earlier "
        "clustering promised shared values, which scales of single channels would tear apart.",
    )
    input_output: str = param(
        "float32",
        choices=("float32", "int8"),
        help="What the file takes and gives. int8 needs int8 activations and saves two conversions on the device.",
    )

    def in_words(self) -> str:
        """The step in a few words."""
        if self.weights == "float16":
            return "float16"
        words = {"float32": f"{self.weights} weights", "int16": f"{self.weights} × int16", "int8": f"{self.weights}"}[
            self.activations
        ]
        return words if self.activations != "int8" or self.weights == "int8" else f"{self.weights} × int8"

    def estimate(self, size: SizeEstimate) -> SizeEstimate:
        """The chosen bits a weight."""
        return replace(size, stored_bits=BITS[self.weights], activation_bits=BITS[self.activations])

    def validate(self) -> None:
        """Refuse pairs that no kernel computes."""
        if self.weights == "float16" and self.activations != "float32":
            raise InputError(
                f"post_training_quantization cannot combine float16 weights with {self.activations} activations: "
                "no LiteRT kernel multiplies floating-point weights with integers",
                code="IMPOSSIBLE_PAIR",
                fix="Set activations to float32, or weights to int8.",
            )
        if self.input_output == "int8" and self.activations != "int8":
            raise InputError(
                f"post_training_quantization cannot give an int8 input and output to a graph of {self.activations} activations",
                code="IMPOSSIBLE_PAIR",
                fix="Set activations to int8, or input_output to float32.",
            )

    def refusal_after(self, earlier: Sequence[Technique]) -> str:
        """A model trained for int8 is converted to int8."""
        if any(step.name == "quantization_aware_training" for step in earlier) and (self.weights, self.activations) != (
            "int8",
            "int8",
        ):
            return "the model was trained for int8 weights and activations; set both to int8, or leave this step out"
        return ""

    def refusal_of(self, model: ModelSummary) -> Refusal | None:
        """A SavedModel is converted as a Keras model is; a .tflite can be quantized where it is float still."""
        if model.format == "tflite":
            return tflite_refusal(model, self.activations)
        if not model.is_keras and (self.weights, self.activations) != ("int8", "int8") and trained_for_int8(model):
            return Refusal(code="ALREADY_QUANTIZED", reason=TRAINED_FOR_INT8, fix=TAKE_INT8)
        if self.input_output == "int8" and loops_over_time(model):
            return Refusal(code="LOOP_NOT_QUANTIZABLE", reason=LOOPS, fix=UNROLL)
        return None

    def check(self, model: ModelSummary) -> list[Finding]:
        """Kernels of convolutions, dense and embedding layers are stored in fewer bits."""
        if model.format == "tflite":
            return list(layer_findings(model, self._tflite_finding))
        return list(layer_findings(model, StoredTypes.of(model, weights=self.weights, activations=self.activations).finding))

    def _tflite_finding(self, layer: LayerSummary) -> Finding:
        """What litert-quantizer does with one operator."""
        if self.activations == "float32":
            treated = FLOAT16_LAYERS if self.weights == "float16" else INT4_LAYERS
            left = f"stays float32: litert-quantizer stores kernels of {', '.join(sorted(treated))} alone as {self.weights}"
        else:
            treated = QUANTIZED_LAYERS
            left = "litert-quantizer decides; it may stay float"
        if layer.kind not in treated:
            return Finding(layer=layer.name, verdict=Verdict.LEFT, reason=left)
        int8 = self.weights == "int4" and layer.kind not in INT4_LAYERS
        reason = "there is no int4 kernel for this operator; it gets int8" if int8 else ""
        return Finding(layer=layer.name, verdict=Verdict.WORKS, reason=reason)

    def cautions(self, model: ModelSummary, host: Host) -> list[str]:
        """Which kernels compute with the chosen types, and which only unpack them."""
        if self.weights == "float16":
            return [
                "Not faster on a CPU: the weights are widened to float32 when the file is loaded. GPUs compute with them as they are."
            ]
        found = small_model_in_words(model)
        if self.weights == "int4" and any(layer.kind != "Dense" and layer.kind in INT4_LAYERS for layer in model.layers):
            found.append(
                "Not faster than int8 in convolutions, which unpack int4 weights at every call; dense layers compute with them."
            )
        if self.activations == "int16":
            found.append(
                "Not faster: int16 activations run on reference kernels, often ten times slower than float32. They are for accuracy."
            )
        elif self.activations == "int8":
            found += int8_in_words(model, host)
        elif depthwise_layers(model):
            found.append(
                f"Slower than float32 as a rule: {counted_layers(depthwise_layers(model))} depthwise, and with float activations their "
                "kernels are unpacked while computing. Take int8 activations, or float16."
            )
        return found

    def apply(self, model: Model, context: RunContext) -> Model:
        """Convert with the chosen types, calibrating on the calibration split."""
        if model.litert is not None:
            return self._on_tflite(model, model.litert, context)
        if self.activations != "float32" and not model.quantization_aware and loops(model.convertible):
            return self._with_float_activations(model, context)
        per_tensor = self._per_tensor(model, context)
        if model.quantization_aware:
            integers = self.input_output == "int8"
            content = convert(
                model.keras, lambda converter: configure_trained(converter, per_tensor=per_tensor, integer_input_output=integers)
            )
        elif self.weights == "int4":
            content = self._int4(model, context, per_tensor=per_tensor)
        elif (self.weights, self.activations) == ("int8", "float32"):
            content = self._int8_weights(model, per_tensor=per_tensor)
        elif self.activations == "float32":
            content = self._converted(model, context, per_tensor=per_tensor)
        else:
            content = self._integers(model, context, per_tensor=per_tensor)
        return model.changed(litert=content, promises=(self._promise_of(content, model, context),))

    def _promise_of(self, content: bytes, model: Model, context: RunContext) -> Promise:
        """The promise for those kernels that the file holds as wanted: between operators that stay float, converters leave some float."""
        promise, file = self._promise(model), LiteRTFile(content)
        if not isinstance(promise, StoredType) or promise.check_litert(file, model.keras).holds is not False:
            return promise
        stored = {key: locate(file, variable.numpy()) for key, variable in kernel_variables(model.keras).items()}
        left = [key for key in promise.kernels if (tensor := stored[key]) is not None and tensor.dtype not in promise.dtypes]
        context.note(f"{', '.join(left)}: left as float, since the operators around stay float.")
        return replace(promise, kernels=tuple(key for key in promise.kernels if key not in left))

    def _on_tflite(self, model: Model, content: bytes, context: RunContext) -> Model:
        """By litert-quantizer alone; `refusal_of` has seen to it that the file is float."""
        result = quantize_tflite(
            content,
            weights=self.weights,
            activations=self.activations,
            samples=None if self.activations == "float32" else self._samples(context),
            sample_shape=context.data.input_shape,
            per_tensor=self.granularity == "per_tensor",
            integer_input_output=self.input_output == "int8",
        )
        return model.changed(litert=result, promises=(self._promise(model),))

    def _with_float_activations(self, model: Model, context: RunContext) -> Model:
        """What can be done for a graph with a loop: TensorFlow's calibrator crashes on one, and litert-quantizer's refuses it."""
        if self.input_output == "int8":
            raise RunError(
                LOOPS.capitalize(),
                code="LOOP_NOT_QUANTIZABLE",
                place=self.name,
                fix=UNROLL,
            )
        context.note("The model loops over time, and ranges inside a loop cannot be calibrated: its activations stay float32.")
        return replace(self, activations="float32").apply(model, context)

    def _per_tensor(self, model: Model, context: RunContext) -> bool:
        if self.granularity != "auto":
            return self.granularity == "per_tensor"
        if model.shares_values and self.weights != "float16":
            context.note("Kernels get one scale each instead of one a channel, so that shared values stay shared.")
        return model.shares_values

    def _samples(self, context: RunContext) -> Any:
        inputs = context.data.inputs(context.data.dataset.calibration.x[:CALIBRATION_SAMPLES])
        if not context.data.joined:
            return inputs
        return {spec.argument: part for spec, part in zip(context.data.joined, inputs, strict=True)}

    def _configure(self, converter: Any, model: Model, context: RunContext, *, per_tensor: bool) -> None:
        """Types and representative dataset of TensorFlow's converter."""
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if self.weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
            return
        set_granularity(converter, per_tensor=per_tensor)
        converter.representative_dataset = representative_dataset(model.convertible, self._samples(context))
        builtins = tf.lite.OpsSet.TFLITE_BUILTINS
        if self.activations == "int16":
            int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [int16, builtins]
            return
        # TFLITE_BUILTINS beside INT8: an operator without an integer kernel stays float instead of failing the whole conversion.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, builtins]
        if self.input_output == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8

    def _converted(self, model: Model, context: RunContext, *, per_tensor: bool) -> bytes:
        """By TensorFlow's converter."""
        return convert(model.convertible, lambda converter: self._configure(converter, model, context, per_tensor=per_tensor))

    def _integers(self, model: Model, context: RunContext, *, per_tensor: bool) -> bytes:
        """int8 weights with activations of integers."""

        def converted() -> bytes:
            return self._converted(model, context, per_tensor=per_tensor)

        samples = self._samples(context)
        if self.activations == "int16":
            return int16_file(model.convertible, converted, samples, context.note, per_tensor=per_tensor)
        integers = self.input_output == "int8"
        return int8_file(
            model.convertible, converted, samples, context.note, per_tensor=per_tensor, integer_input_output=integers
        )

    def _int8_weights(self, model: Model, *, per_tensor: bool) -> bytes:
        """By litert-quantizer; where embeddings or recurrent layers hold the weights, by TensorFlow's converter, which knows those too."""
        if not is_sequence_model(model.convertible):
            return quantize_int8_weights(convert(model.convertible), per_tensor=per_tensor)
        return convert(model.convertible, lambda converter: configure_int8_weights(converter, per_tensor=per_tensor))

    def _int4(self, model: Model, context: RunContext, *, per_tensor: bool) -> bytes:
        return quantize_int4(
            convert(model.convertible),
            activations=self.activations,
            samples=None if self.activations == "float32" else self._samples(context),
            per_tensor=per_tensor,
            integer_input_output=self.input_output == "int8",
        )

    def _fewest_weights(self, model: Model) -> int:
        """Kernels of fewer weights may stay float."""
        dynamic = (self.weights, self.activations) == ("int8", "float32")
        return FEWEST_WEIGHTS if dynamic and model.litert is None and is_sequence_model(model.convertible) else 0

    def _promise(self, model: Model) -> Promise:
        """What is stored in fewer bits: the kernels of the layers that every path treats."""
        if model.keras is None:
            few = self.weights == "int4" or (self.weights == "int8" and self.activations == "float32")
            operators = ("CONV_2D", "FULLY_CONNECTED") if few else ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
            fewest = self._fewest_weights(model)
            return StoredKernels(
                technique=self.name, operators=operators, dtypes=STORED_TYPES[self.weights], fewest_weights=fewest
            )
        kinds = {layer.name: type(layer).__name__ for layer in map(unwrapped, model.keras.layers)}
        wanted = INT4_LAYERS - {"Embedding"} if self.weights == "int4" else frozenset({"Conv2D", "Dense", "DepthwiseConv2D"})
        if self.activations == "float32" and self.weights != "float16":
            wanted = wanted & FULLY_INTEGER_OPERATORS
        kernels = [
            item for name, found in kernels_by_layer(model.keras).items() if kinds[name] in wanted for item in found.items()
        ]
        keys = tuple(key for key, kernel in kernels if kernel.shape.num_elements() >= self._fewest_weights(model))
        return StoredType(technique=self.name, kernels=keys, dtypes=STORED_TYPES[self.weights])
