"""Every layer class of Keras 3 that the preflight accepts: its translation agrees, or it is refused with a reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from optimizer.errors import InputError
from optimizer.sources.keras_3.agreement import Agreement
from optimizer.sources.preflight import allowlist

ROWS, SEQUENCE, PICTURE, VOLUME, INDICES = (6,), (5, 4), (8, 8, 3), (4, 4, 4, 2), (5,)

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Dense": (ROWS, {"units": 3, "activation": "relu"}),
    "EinsumDense": (SEQUENCE, {"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"}),
    "Embedding": (INDICES, {"input_dim": 7, "output_dim": 3}),
    "ReversibleEmbedding": (INDICES, {"input_dim": 7, "output_dim": 3}),
    "Activation": (ROWS, {"activation": "gelu"}),
    "Identity": (ROWS, {}),
    "Masking": (SEQUENCE, {}),
    "ActivityRegularization": (ROWS, {"l1": 0.1}),
    "Conv1D": (SEQUENCE, {"filters": 3, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}),
    "Conv2D": (PICTURE, {"filters": 6, "kernel_size": 3, "groups": 3, "activation": "swish", "kernel_regularizer": "l2"}),
    "Conv3D": (VOLUME, {"filters": 3, "kernel_size": 2, "strides": 2}),
    "Conv1DTranspose": (SEQUENCE, {"filters": 3, "kernel_size": 2, "strides": 2}),
    "Conv2DTranspose": (PICTURE, {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"}),
    "Conv3DTranspose": (VOLUME, {"filters": 3, "kernel_size": 2}),
    "DepthwiseConv1D": (SEQUENCE, {"kernel_size": 2, "depth_multiplier": 2}),
    "DepthwiseConv2D": (PICTURE, {"kernel_size": 3, "depth_multiplier": 2, "depthwise_regularizer": "l1"}),
    "SeparableConv1D": (SEQUENCE, {"filters": 3, "kernel_size": 2}),
    "SeparableConv2D": (PICTURE, {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}),
    **{f"{kind}Pooling{n}D": (s, {"pool_size": 2}) for kind in ("Max", "Average") for n, s in ((1, SEQUENCE), (2, PICTURE), (3, VOLUME))},
    **{f"Global{kind}Pooling{n}D": (s, {}) for kind in ("Max", "Average") for n, s in ((1, SEQUENCE), (2, PICTURE), (3, VOLUME))},
    "AdaptiveAveragePooling1D": ((6, 2), {"output_size": 3}),
    "AdaptiveAveragePooling2D": (PICTURE, {"output_size": (4, 2)}),
    "AdaptiveAveragePooling3D": (VOLUME, {"output_size": 2}),
    "AdaptiveMaxPooling1D": ((6, 2), {"output_size": 3}),
    "AdaptiveMaxPooling2D": (PICTURE, {"output_size": (4, 2)}),
    "AdaptiveMaxPooling3D": (VOLUME, {"output_size": 2}),
    "BatchNormalization": (PICTURE, {"epsilon": 0.01, "synchronized": True}),
    "LayerNormalization": (SEQUENCE, {"axis": [1, 2], "epsilon": 0.01}),
    "GroupNormalization": (PICTURE, {"groups": 3}),
    "RMSNormalization": (SEQUENCE, {"epsilon": 0.01}),
    "UnitNormalization": (SEQUENCE, {}),
    "Normalization": (ROWS, {"mean": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "variance": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}),
    "ReLU": (ROWS, {"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.2}),
    "LeakyReLU": (ROWS, {"negative_slope": 0.2}),
    "PReLU": (PICTURE, {"shared_axes": [1, 2]}),
    "ELU": (ROWS, {"alpha": 0.5}),
    "Softmax": (SEQUENCE, {"axis": 1}),
    "Dropout": (ROWS, {"rate": 0.3, "seed": 1}),
    "SpatialDropout1D": (SEQUENCE, {"rate": 0.3}),
    "SpatialDropout2D": (PICTURE, {"rate": 0.3}),
    "SpatialDropout3D": (VOLUME, {"rate": 0.3}),
    "GaussianDropout": (ROWS, {"rate": 0.3}),
    "GaussianNoise": (ROWS, {"stddev": 0.3}),
    "AlphaDropout": (ROWS, {"rate": 0.3}),
    "Flatten": (PICTURE, {}),
    "Reshape": (PICTURE, {"target_shape": (-1, 3)}),
    "Permute": (PICTURE, {"dims": (3, 1, 2)}),
    "RepeatVector": (ROWS, {"n": 3}),
    "Cropping1D": (SEQUENCE, {"cropping": (1, 2)}),
    "Cropping2D": (PICTURE, {"cropping": ((1, 2), (0, 1))}),
    "Cropping3D": (VOLUME, {"cropping": 1}),
    "UpSampling1D": (SEQUENCE, {"size": 2}),
    "UpSampling2D": (PICTURE, {"size": 2, "interpolation": "bilinear"}),
    "UpSampling3D": (VOLUME, {"size": 2}),
    "ZeroPadding1D": (SEQUENCE, {"padding": (1, 2)}),
    "ZeroPadding2D": (PICTURE, {"padding": ((0, 1), (2, 0))}),
    "ZeroPadding3D": (VOLUME, {"padding": 1}),
    "LSTM": (SEQUENCE, {"units": 3, "return_sequences": True, "dropout": 0.1, "seed": 3}),
    "GRU": (SEQUENCE, {"units": 3, "go_backwards": True}),
    "SimpleRNN": (SEQUENCE, {"units": 3, "unroll": True}),
    "ConvLSTM1D": ((3, 6, 2), {"filters": 2, "kernel_size": 2}),
    "ConvLSTM2D": ((3, 6, 6, 2), {"filters": 2, "kernel_size": 2, "return_sequences": True}),
    "ConvLSTM3D": ((2, 4, 4, 4, 1), {"filters": 2, "kernel_size": 2}),
    "CenterCrop": (PICTURE, {"height": 5, "width": 4}),
    "Discretization": (ROWS, {"bin_boundaries": [0.2, 0.5, 0.9]}),
    "Rescaling": (PICTURE, {"scale": [0.1, 0.2, 0.3], "offset": [1.0, 2.0, 3.0]}),
    "Resizing": (PICTURE, {"height": 5, "width": 12, "interpolation": "nearest"}),
    "RandomFlip": (PICTURE, {"mode": "horizontal", "seed": 1}),
    "RandomRotation": (PICTURE, {"factor": 0.1}),
    "RandomTranslation": (PICTURE, {"height_factor": 0.1, "width_factor": (-0.1, 0.2)}),
    "RandomZoom": (PICTURE, {"height_factor": 0.1}),
    "RandomContrast": (PICTURE, {"factor": 0.1}),
    "RandomBrightness": (PICTURE, {"factor": 0.1}),
    "AugMix": (PICTURE, {"value_range": (0, 255)}),
    "CutMix": (PICTURE, {}),
    "MixUp": (PICTURE, {}),
    "RandAugment": (PICTURE, {"value_range": (0, 255)}),
    "RandomColorDegeneration": (PICTURE, {"factor": 0.2, "value_range": (0, 255)}),
    "RandomColorJitter": (PICTURE, {"value_range": (0, 255), "brightness_factor": 0.2}),
    "RandomElasticTransform": (PICTURE, {"value_range": (0, 255)}),
    "RandomCrop": (PICTURE, {"height": 8, "width": 8}),
    "RandomErasing": (PICTURE, {}),
    "RandomGaussianBlur": (PICTURE, {}),
    "RandomGrayscale": (PICTURE, {}),
    "RandomHue": (PICTURE, {"factor": 0.2, "value_range": (0, 255)}),
    "RandomInvert": (PICTURE, {}),
    "RandomPerspective": (PICTURE, {}),
    "RandomPosterization": (PICTURE, {"factor": 4}),
    "RandomSaturation": (PICTURE, {"factor": 0.2, "value_range": (0, 255)}),
    "RandomSharpness": (PICTURE, {"factor": 0.2, "value_range": (0, 255)}),
}  # fmt: skip
"""Input shape and settings that differ from the defaults where they can."""

REFUSED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "AutoContrast": (PICTURE, {"value_range": (0, 255)}),
    "ContrastLimitedAdaptiveHistogramEqualization": (PICTURE, {"value_range": (0, 255)}),
    "MelSpectrogram": ((2048,), {}),
    "STFTSpectrogram": ((2048, 1), {}),
    "RandomCrop": (PICTURE, {"height": 5, "width": 4}),
    "Solarization": (PICTURE, {"value_range": (0, 255)}),
}
"""Layers that tf-keras has no counterpart of."""

ELSEWHERE = {
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "Bidirectional", "TimeDistributed", "RNN",
    "StackedRNNCells", "LSTMCell", "GRUCell", "SimpleRNNCell", "SpectralNormalization", "Attention", "AdditiveAttention",
    "MultiHeadAttention", "GroupedQueryAttention", "InputLayer", "Pipeline", "HashedCrossing", "MaxNumBoundingBoxes",
    "Equalization", "RandomShear", "CategoryEncoding", "Hashing",
}  # fmt: skip
"""Layers with several inputs or with layers inside, tested in test_composite_layers.py; some that a model of numbers or a .tflite cannot
hold; and two that Keras 3.15 itself cannot put into a model or load again."""


def model_of(keras: Any, name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, getattr(keras.layers, name)(**settings)(inputs))


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_the_same_after_translation(name: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    found = agreement(model_of(keras, name, *CASES[name]))
    assert found.relative is not None, found.reason
    assert found.relative < 1e-5


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_without_counterpart_is_refused_by_name(name: str, keras: Any, refused: Callable[..., InputError]) -> None:
    error = refused(model_of(keras, name, *REFUSED[name]))
    assert name in error.what
    assert "layer " in error.place
    assert error.fix


def test_every_layer_of_keras_3_is_in_one_of_the_lists(keras: Any) -> None:
    classes = {
        value.__name__
        for value in vars(keras.layers).values()
        if inspect.isclass(value) and issubclass(value, keras.layers.Layer) and value.__name__ in allowlist.KERAS_3.classes
    }
    assert classes - set(CASES) - set(REFUSED) - ELSEWHERE == set()


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_resized_bytes_are_rounded(kind: str, interpolation: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    inputs, layer = keras.Input((8, 8, 3), dtype="uint8"), keras.layers.Resizing(5, 12, interpolation=interpolation)
    scaled = keras.layers.Rescaling(1 / 255)
    model = keras.Sequential([inputs, layer, scaled]) if kind == "Sequential" else keras.Model(inputs, scaled(layer(inputs)))
    found = agreement(model)
    assert found.relative is not None, found.reason
    assert found.relative < 1e-6


@pytest.mark.parametrize("layer", ["RandomCrop", "RandomErasing"])
def test_bytes_that_training_alone_changes_are_floats_afterwards(
    layer: str, keras: Any, agreement: Callable[..., Agreement]
) -> None:
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    settings = {"height": 8, "width": 8} if layer == "RandomCrop" else {}
    found = agreement(keras.Model(inputs, getattr(keras.layers, layer)(**settings)(inputs) / 3))
    assert found.relative is not None, found.reason
    assert found.relative < 1e-6


@pytest.mark.parametrize("extension", ["keras", "h5"])
def test_functions_and_initializers_of_tensorflow_itself(extension: str, keras: Any, agreement: Callable[..., Agreement]) -> None:
    import tensorflow as tf

    activations = (tf.nn.relu, tf.nn.swish, tf.nn.softmax, tf.tanh)
    starts = (tf.zeros_initializer(), tf.constant_initializer(0.1), tf.random_normal_initializer())
    layers = [keras.layers.Dense(4, activation=function) for function in activations]
    layers += [keras.layers.Dense(4, bias_initializer=start) for start in starts]
    found = agreement(keras.Sequential([keras.layers.Input((4,)), *layers]), extension)
    assert found.relative is not None, found.reason
    assert found.relative < 1e-6
