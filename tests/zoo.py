"""Tiny models, one a family of layers or a way of building: what every technique must pass through.

`MODELS[name]()` gives (tf_keras.Model, (x, y)): the model has random weights with statistics that differ between channels, as training
makes them; x are 96 samples, y their labels or values.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Made = tuple[Any, tuple[Array, Array]]
MODELS: dict[str, Callable[[], Made]] = {}
SAMPLES = 96
CLASSES = 4
ANY_SIZE = 6
"""Length of the samples along an axis that a model leaves open."""


def member(build: Callable[[], Any]) -> Callable[[], Any]:
    """Put a function that builds a model into the zoo."""

    def make() -> Made:
        import tensorflow as tf

        tf.keras.backend.clear_session()
        seed = zlib.crc32(build.__name__.encode())
        tf.keras.utils.set_random_seed(seed)
        random = np.random.default_rng(seed)
        model = build()
        for layer in model._flatten_layers():
            _unlike_new(layer, random)
        return model, samples(model, random)

    MODELS[build.__name__] = make
    return build


def _unlike_new(layer: Any, random: np.random.Generator) -> None:
    """Factors and statistics that differ between channels; PReLU slopes and biases that are not all zero."""
    for name, low, high in (
        ("gamma", 0.5, 1.5),
        ("beta", -0.3, 0.3),
        ("moving_mean", -0.3, 0.3),
        ("moving_variance", 0.5, 2.0),
        ("alpha", 0.0, 0.3),
        ("bias", -0.1, 0.1),
    ):
        weight = getattr(layer, name, None)
        if hasattr(weight, "assign"):
            weight.assign(random.uniform(low, high, weight.shape))


def samples(model: Any, random: np.random.Generator) -> tuple[Array, Array]:
    """Inputs (96, ...) of a few patterns with noise, and labels; values for a model without softmax or sigmoid at its end.

    For a model that masks steps, three of four sequences end in padding.
    """
    (tensor,) = model.inputs
    shape = tuple(int(n or ANY_SIZE) for n in tensor.shape[1:])
    classes = int(np.prod(model.output_shape[1:]))
    y = np.arange(SAMPLES) % max(classes, 2)
    if tensor.dtype.is_integer:
        x: Array = random.integers(0, 20, (SAMPLES, *shape)).astype(np.int32)
    else:
        patterns = random.random((int(y.max()) + 1, *shape))
        x = (0.7 * patterns[y] + 0.3 * random.random((SAMPLES, *shape))).astype(np.float32)
    if any(type(layer).__name__ == "Masking" or getattr(layer, "mask_zero", False) for layer in model._flatten_layers()):
        for padded in range(4):
            x[padded::4, shape[0] - padded :] = 0
    return x, y


def layers() -> Any:
    """tf_keras.layers."""
    import tensorflow as tf

    return tf.keras.layers


def functional(shape: tuple[int, ...], body: Callable[[Any], Any], **settings: Any) -> Any:
    """A functional model around `body`."""
    import tensorflow as tf

    inputs = tf.keras.Input(shape, **settings)
    return tf.keras.Model(inputs, body(inputs))


def stacked(*parts: Any, name: str | None = None) -> Any:
    """A sequential model."""
    import tensorflow as tf

    return tf.keras.Sequential(list(parts), name=name)


def classes_of(x: Any, number: int = CLASSES) -> Any:
    """The end of a classifier."""
    return layers().Dense(number, activation="softmax", name="classes")(x)


@member
def plain_convolutions() -> Any:
    k = layers()
    return stacked(
        k.Input((12, 12, 3)),
        k.Conv2D(8, 3, activation="relu"),
        k.MaxPooling2D(),
        k.Conv2D(8, 3, padding="same"),
        k.ReLU(),
        k.Flatten(),
        k.Dense(16, activation="relu"),
        k.Dense(CLASSES),
        k.Softmax(),
    )


@member
def sequential_without_input() -> Any:
    k = layers()
    return stacked(k.Dense(16, activation="relu", input_shape=(20,)), k.Dense(CLASSES, activation="softmax"))


@member
def residual() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.Activation("relu")(k.BatchNormalization()(k.Conv2D(8, 3, padding="same", use_bias=False)(x)))
        shortcut = x
        x = k.ReLU()(k.BatchNormalization()(k.Conv2D(8, 3, padding="same")(x)))
        x = k.BatchNormalization()(k.Conv2D(8, 3, padding="same")(x))
        x = k.ReLU()(k.Add()([x, shortcut]))
        return classes_of(k.Flatten()(k.AveragePooling2D(4)(x)))

    return functional((12, 12, 3), body)


@member
def depthwise() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(8, 3, strides=2, use_bias=False)(x)))
        x = k.ReLU(6.0)(k.BatchNormalization()(k.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
        x = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(12, 1, use_bias=False)(x)))
        x = k.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
        x = k.Dropout(0.1)(k.GlobalAveragePooling2D(keepdims=True)(x))
        return k.Activation("softmax")(k.Reshape((CLASSES,))(k.Conv2D(CLASSES, 1)(x)))

    return functional((12, 12, 3), body)


@member
def separable() -> Any:
    k = layers()
    return stacked(
        k.Input((12, 12, 3)),
        k.SeparableConv2D(8, 3, activation="relu"),
        k.BatchNormalization(),
        k.SeparableConv2D(12, 3, strides=2, padding="same", use_bias=False),
        k.BatchNormalization(),
        k.ReLU(),
        k.GlobalAveragePooling2D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def separable_in_one_dimension() -> Any:
    k = layers()
    return stacked(
        k.Input((16, 4)),
        k.SeparableConv1D(8, 3, activation="swish", padding="same"),
        k.SeparableConv1D(8, 3, padding="causal", dilation_rate=2),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def one_dimension() -> Any:
    k = layers()
    return stacked(
        k.Input((16, 4)),
        k.Conv1D(8, 3, activation="relu"),
        k.BatchNormalization(),
        k.MaxPooling1D(),
        k.Conv1D(12, 3, padding="causal", dilation_rate=2),
        k.BatchNormalization(),
        k.ReLU(),
        k.DepthwiseConv1D(3, padding="same"),
        k.Conv1DTranspose(6, 3, strides=2, padding="same", activation="relu"),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def three_dimensions() -> Any:
    k = layers()
    return stacked(
        k.Input((6, 6, 6, 1)),
        k.Conv3D(4, 3, activation="relu", padding="same"),
        k.MaxPooling3D(),
        k.Conv3D(6, 2),
        k.BatchNormalization(),
        k.ReLU(),
        k.Conv3DTranspose(4, 2),
        k.AveragePooling3D(2, strides=1, padding="same"),
        k.Flatten(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def transposed() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
        x = k.ReLU()(k.BatchNormalization()(k.Conv2DTranspose(8, 3, strides=2, padding="same")(x)))
        return classes_of(k.Flatten()(k.Conv2DTranspose(2, 3, padding="same", activation="sigmoid")(x)))

    return functional((12, 12, 1), body)


@member
def grouped_and_dilated() -> Any:
    k = layers()
    return stacked(
        k.Input((12, 12, 4)),
        k.Conv2D(8, 3, groups=2, activation="relu"),
        k.Conv2D(8, 3, groups=4),
        k.BatchNormalization(),
        k.ReLU(),
        k.Conv2D(8, 3, dilation_rate=2, padding="same"),
        k.Flatten(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def normalization_first() -> Any:
    """As in ResNetV2 and DenseNet: BatchNormalization layers that belong to no convolution."""
    k = layers()

    def body(x: Any) -> Any:
        x = k.AveragePooling2D()(k.Conv2D(8, 3, padding="same", use_bias=False)(x))
        for _ in range(2):
            y = k.Activation("relu")(k.BatchNormalization()(x))
            x = k.Concatenate()([x, k.Conv2D(4, 3, padding="same", use_bias=False)(y)])
        return classes_of(k.GlobalAveragePooling2D()(k.ReLU()(k.BatchNormalization()(x))))

    return functional((12, 12, 3), body)


@member
def normalization_with_two_readers() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        convolution = k.Conv2D(6, 3, padding="same")(x)
        x = k.ReLU()(k.Add()([convolution, k.BatchNormalization()(convolution)]))
        return classes_of(k.Flatten()(k.Activation("swish")(k.BatchNormalization()(k.Dense(6)(x)))))

    return functional((12, 12, 3), body)


@member
def dense_normalized() -> Any:
    k = layers()
    return stacked(
        k.Input((20,)),
        k.BatchNormalization(),
        k.Dense(16, use_bias=False),
        k.BatchNormalization(),
        k.ReLU(),
        k.Dense(16, activation="swish"),
        k.Dense(8, activation="gelu"),
        k.Dropout(0.2),
        k.Dense(1, activation="sigmoid"),
    )


@member
def preprocessing_inside() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.Rescaling(2.0, offset=-1.0)(x)
        x = k.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0])(x)
        return classes_of(k.Flatten()(k.Conv2D(8, 3, activation="relu")(x)))

    return functional((12, 12, 3), body)


@member
def adapted_normalization() -> Any:
    k = layers()
    normalization = k.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(3.0, 2.0, (50, 20)))
    return stacked(k.Input((20,)), normalization, k.Dense(16, activation="relu"), k.Dense(CLASSES, activation="softmax"))


@member
def functions_as_layers() -> Any:
    """TFOpLambda and SlicingOpLambda, with constants on both sides, as in MobileNetV3 and RegNet."""
    import tensorflow as tf

    k = layers()

    def body(x: Any) -> Any:
        x = 2.0 * x - 1.0
        x = k.BatchNormalization()(k.Conv2D(8, 3, padding="same", use_bias=False)(x))
        x = x * tf.nn.relu6(x + 3.0) / 6.0
        x = tf.concat([x[..., :4], tf.nn.relu(x[:, :, :, 4:])], axis=-1)
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = k.Conv2D(8, 3)(x) + x[:, 1:-1, 1:-1]
        return classes_of(tf.reduce_mean(x, axis=[1, 2]))

    return functional((12, 12, 3), body)


@member
def squeeze_and_excite() -> Any:
    import tensorflow as tf

    k = layers()

    def body(x: Any) -> Any:
        x = k.Conv2D(8, 3, padding="same", activation="swish")(x)
        y = k.Conv2D(4, 1, activation="relu")(k.GlobalAveragePooling2D(keepdims=True)(x))
        x = k.Multiply()([x, k.ReLU(6.0)(k.Conv2D(8, 1)(y) + 3.0) * (1.0 / 6.0)])
        y = k.Conv2D(8, 1)(x)
        x = k.Average()([k.Subtract()([k.Maximum()([x, y]), y]), k.Minimum()([x, y])])
        return classes_of(k.Flatten()(tf.nn.relu(x)))

    return functional((12, 12, 3), body)


@member
def activations() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.ELU()(k.Conv2D(8, 3)(k.LeakyReLU(0.1)(k.Conv2D(8, 3)(x))))
        x = k.PReLU(shared_axes=[1, 2])(k.Conv2D(8, 3, activation="elu")(x))
        for activation in ("selu", "softplus", "hard_sigmoid", "tanh", "softsign", "exponential"):
            x = k.Conv2D(8, 1, activation=activation)(x)
        x = k.ReLU(max_value=4.0, negative_slope=0.1)(k.ThresholdedReLU(0.1)(k.Dense(8)(x)))
        return k.Softmax()(k.Dense(CLASSES)(k.Flatten()(x)))

    return functional((12, 12, 3), body)


@member
def moved_and_padded() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.UpSampling2D()(k.MaxPooling2D()(k.Conv2D(6, 3, padding="same", activation="relu")(x)))
        x = k.Permute((2, 1, 3))(k.Cropping2D(1)(k.ZeroPadding2D(1)(x)))
        x = k.UpSampling2D(interpolation="bilinear")(x)
        x = k.Dense(8, activation="relu")(k.Reshape((24, 144))(x))
        return classes_of(k.Flatten()(k.UpSampling1D()(k.RepeatVector(3)(k.GlobalMaxPooling1D()(x)))))

    return functional((12, 12, 3), body)


@member
def regularized() -> Any:
    k = layers()
    return stacked(
        k.Input((12, 12, 3)),
        k.GaussianNoise(0.1),
        k.Conv2D(8, 3, activation="relu"),
        k.SpatialDropout2D(0.1),
        k.GaussianDropout(0.1),
        k.Flatten(),
        k.Dense(16, activation="relu", kernel_regularizer="l2", kernel_constraint="max_norm", activity_regularizer="l2"),
        k.ActivityRegularization(l2=0.01),
        k.AlphaDropout(0.1),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def other_normalizations() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.GroupNormalization(2)(k.Conv2D(8, 3)(x))
        x = k.LayerNormalization()(k.Conv2D(8, 3, activation="relu")(x))
        return classes_of(k.Flatten()(k.UnitNormalization()(k.Dense(8)(x))))

    return functional((12, 12, 3), body)


@member
def words_and_lstm() -> Any:
    k = layers()
    return stacked(k.Input((12,), dtype="int32"), k.Embedding(50, 24), k.LSTM(24), k.Dense(1, activation="sigmoid"))


@member
def masked_words() -> Any:
    k = layers()
    return stacked(
        k.Input((12,), dtype="int32"), k.Embedding(50, 8, mask_zero=True), k.LSTM(8), k.Dense(CLASSES, activation="softmax")
    )


@member
def masked_mean() -> Any:
    k = layers()
    return stacked(
        k.Input((12,), dtype="int32"),
        k.Embedding(50, 8, mask_zero=True),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def gru_and_simple_rnn() -> Any:
    k = layers()
    return stacked(k.Input((16, 4)), k.SimpleRNN(8, return_sequences=True), k.GRU(8), k.Dense(CLASSES, activation="softmax"))


@member
def convolution_and_lstm() -> Any:
    k = layers()
    return stacked(
        k.Input((16, 4)),
        k.Conv1D(8, 3, activation="relu"),
        k.LSTM(8, return_sequences=True),
        k.LSTM(8),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def bidirectional() -> Any:
    k = layers()
    return stacked(
        k.Input((16, 4)),
        k.Bidirectional(k.LSTM(8, return_sequences=True)),
        k.TimeDistributed(k.Dense(6, activation="relu")),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def transformer() -> Any:
    import tensorflow as tf

    k = layers()
    inputs = tf.keras.Input((12,), dtype="int32")
    x = k.Embedding(50, 8)(inputs)
    x = k.LayerNormalization()(k.Add()([x, k.MultiHeadAttention(2, 4)(x, x)]))
    x = k.LayerNormalization()(k.Add()([x, k.Dense(8)(k.Dense(16, activation="gelu")(x))]))
    return tf.keras.Model(inputs, classes_of(k.GlobalAveragePooling1D()(x)))


@member
def attention_and_products() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        query, value = k.Dense(8)(x), k.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")(x)
        x = k.Attention(use_scale=True)([query, value])
        return classes_of(k.Flatten()(k.Dot(axes=1)([x, query])))

    return functional((16, 4), body)


@member
def local() -> Any:
    k = layers()
    return stacked(
        k.Input((8, 8, 2)),
        k.LocallyConnected2D(4, 3, activation="relu"),
        k.Reshape((18, 8)),
        k.LocallyConnected1D(4, 3, activation="relu"),
        k.Flatten(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def shared_dense() -> Any:
    k = layers()
    twice, once = k.Dense(20, activation="relu"), k.Dense(20, activation="relu")
    return functional((20,), lambda x: classes_of(once(twice(twice(x)))))


@member
def shared_convolution_and_normalization() -> Any:
    k = layers()
    convolution, normalization = k.Conv2D(3, 3, padding="same"), k.BatchNormalization()

    def body(x: Any) -> Any:
        x = k.ReLU()(normalization(convolution(x)))
        return classes_of(k.Flatten()(k.ReLU()(normalization(convolution(x)))))

    return functional((12, 12, 3), body)


@member
def nested() -> Any:
    """A model in a model in a model; BatchNormalization is told to stay as it is."""
    k = layers()
    block = stacked(k.Input((12, 12, 4)), k.Conv2D(4, 3, padding="same"), k.BatchNormalization(), k.ReLU(), name="block")
    backbone = functional((12, 12, 3), lambda x: block(k.Conv2D(4, 1, name="stem")(x)))
    backbone._name = "backbone"
    return functional((12, 12, 3), lambda x: classes_of(k.Flatten()(backbone(x, training=False))))


@member
def nested_and_shared() -> Any:
    """Siamese: one inner model, called on two halves of the input."""
    import tensorflow as tf

    k = layers()
    tower = stacked(
        k.Input((12, 6, 3)),
        k.Conv2D(4, 3),
        k.BatchNormalization(),
        k.ReLU(),
        k.GlobalAveragePooling2D(),
        k.Dense(8),
        name="tower",
    )

    def body(x: Any) -> Any:
        left, right = tower(x[:, :, :6]), tower(x[:, :, 6:])
        return classes_of(k.Concatenate()([tf.abs(left - right), left]))

    return functional((12, 12, 3), body)


@member
def nested_with_two_outputs() -> Any:
    import tensorflow as tf

    k = layers()
    inner_input = tf.keras.Input((12, 12, 3))
    x = k.Conv2D(4, 3, activation="relu", name="first")(inner_input)
    inner = tf.keras.Model(inner_input, [x, k.GlobalAveragePooling2D()(x)], name="inner")

    def body(x: Any) -> Any:
        maps, means = inner(x)
        return classes_of(k.Concatenate()([k.Flatten()(maps), means * 0.5]))

    return functional((12, 12, 3), body)


@member
def model_at_each_step() -> Any:
    k = layers()
    inner = stacked(k.Input((6, 6, 1)), k.Conv2D(4, 3, activation="relu"), k.Flatten(), k.Dense(8), name="inner")
    return stacked(k.Input((5, 6, 6, 1)), k.TimeDistributed(inner), k.GRU(6, unroll=True), k.Dense(CLASSES, activation="softmax"))


@member
def regression() -> Any:
    k = layers()
    return stacked(k.Input((20,)), k.Dense(16, activation="relu"), k.Dense(1))


@member
def unusual_names() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.Conv2D(6, 3, padding="same", name="conv.2d_a")(x)
        x = k.ReLU(name="relu-x")(k.BatchNormalization(name="my_bn.1")(x))
        return k.Dense(CLASSES, activation="softmax", name="kernel")(k.Flatten()(x))

    return functional((12, 12, 3), body)


@member
def many_branches() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        parts = [k.Conv2D(3, 1, activation="relu")(x) for _ in range(7)]
        pooled = k.Conv2D(4, 1)(k.MaxPooling2D(3, 1, padding="same")(x))
        x = k.Concatenate()([k.Concatenate()(parts), k.Add()(parts[:3]), pooled])
        return classes_of(k.Flatten()(x))

    return functional((8, 8, 3), body)


@member
def fixed_ranges_joined() -> Any:
    """Operators of one scale (Concatenate, Maximum, Minimum, where) that read tanh, whose range is fixed, beside a ReLU."""
    import tensorflow as tf

    k = layers()

    def body(x: Any) -> Any:
        a, b = k.Conv2D(4, 3, activation="relu")(x), k.Conv2D(4, 3, activation="tanh")(x)
        x = k.Concatenate()([k.Maximum()([a, b]), k.Minimum()([a, b]), tf.where(a > 0.1, a, b)])
        x = k.Concatenate()([k.Flatten()(x), k.Flatten()(a), k.Flatten()(b)])
        return classes_of(x)

    return functional((8, 8, 3), body)


@member
def floats_and_slices_joined() -> Any:
    """As in CSP networks, and beside them what no integer operator gives, moved by nothing but layers that the file does without."""
    import tensorflow as tf

    k = layers()

    def body(x: Any) -> Any:
        left, right = tf.split(k.Conv2D(8, 3, activation="relu")(x), 2, axis=-1)
        wave = tf.sin(k.Conv2D(4, 3)(x))
        curve = k.Cropping2D(1)(k.Conv2D(3, 1, activation="elu")(x))
        x = k.Concatenate()([left, k.Conv2D(4, 1)(right), wave, k.Dropout(0.1)(wave), tf.transpose(tf.transpose(left)), curve])
        x = k.Conv2D(6, 3, activation="relu")(k.Concatenate()([x, x[..., :4]]))
        return classes_of(k.Flatten()(x))

    return functional((8, 8, 3), body)


@member
def frozen() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.Conv2D(6, 3, trainable=False)(x)
        x = k.ReLU()(k.BatchNormalization(trainable=False)(x))
        return classes_of(k.Flatten()(x))

    return functional((8, 8, 3), body)


@member
def half_precision() -> Any:
    import tensorflow as tf

    k = layers()
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        x = inputs = tf.keras.Input((8, 8, 3))
        x = k.ReLU()(k.BatchNormalization()(k.Conv2D(6, 3)(x)))
        x = tf.cast(k.LayerNormalization()(x), tf.float32)
        return tf.keras.Model(inputs, k.Dense(CLASSES, activation="softmax", dtype="float32")(k.Flatten()(x)))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


@member
def fixed_batch_with_state() -> Any:
    """The state of a stateful layer has the shape of one batch; a dropout within the loop keeps masks that cannot be listed."""
    k = layers()
    return stacked(
        k.Input(batch_shape=(16, 6, 4)),
        k.LSTM(6, stateful=True, recurrent_dropout=0.1, unroll=True, return_sequences=True),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def attention_over_pictures() -> Any:
    k = layers()

    def body(x: Any) -> Any:
        x = k.LayerNormalization()(k.Conv2D(8, 2, strides=2)(x))
        return classes_of(k.GlobalAveragePooling2D()(x + k.MultiHeadAttention(2, 4)(x, x)))

    return functional((8, 8, 3), body)


@member
def encoder_and_decoder() -> Any:
    """The decoder begins at the state that the encoder ends with, and each of its steps looks at all of the encoder's."""
    k = layers()

    def body(x: Any) -> Any:
        steps, *states = k.LSTM(6, return_sequences=True, return_state=True)(x)
        decoded = k.LSTM(6, return_sequences=True)(k.Dense(4)(x), initial_state=states)
        return classes_of(k.Flatten()(k.Concatenate()([decoded, k.Attention()([decoded, steps])])))

    return functional((8, 4), body)


@member
def mask_dropped_on_the_way() -> Any:
    """A convolution drops the mask: the LSTM behind it is one operator."""
    k = layers()
    return stacked(
        k.Input((12,), dtype="int32"),
        k.Embedding(50, 8, mask_zero=True),
        k.Conv1D(8, 3),
        k.LSTM(8),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def recurrent_dropout() -> Any:
    k = layers()
    return stacked(k.Input((6, 4)), k.LSTM(6, recurrent_dropout=0.1), k.Dense(CLASSES, activation="softmax"))


@member
def state_and_steps_of_one_layer() -> Any:
    """The second layer is given all that the first one has: it reads one layer, and still begins at a state."""
    k = layers()

    def body(x: Any) -> Any:
        steps, *states = k.LSTM(6, return_sequences=True, return_state=True)(x)
        return classes_of(k.LSTM(6)(steps, initial_state=states))

    return functional((8, 4), body)


@member
def kernel_of_one_weight() -> Any:
    """Its bias, and any number in the file, has the same shape."""
    k = layers()

    def body(x: Any) -> Any:
        likeness = k.Dot(axes=1, normalize=True)([k.Dense(8, activation="relu")(x), k.Dense(8)(x)])
        return k.Dense(1, activation="sigmoid")(likeness)

    return functional((20,), body)


@member
def words_as_one_hot() -> Any:
    import tensorflow as tf

    k = layers()

    def body(x: Any) -> Any:
        return classes_of(k.Dense(8, activation="relu")(k.Flatten()(tf.one_hot(x, 20))))

    return functional((6,), body, dtype="int32")


@member
def input_joined_again() -> Any:
    """Wide and deep: a Concatenate and a lone BatchNormalization read the same input."""
    k = layers()

    def body(x: Any) -> Any:
        deep = k.Dropout(0.1)(k.Dense(8, activation="relu")(k.BatchNormalization()(x)))
        return classes_of(k.Concatenate()([deep, x]))

    return functional((20,), body)


@member
def two_rounded_readers_before_attention() -> Any:
    """As after an RMSNormalization with its factors: the converter hands one of the attention's float kernels the integers before it."""
    k = layers()

    def body(x: Any) -> Any:
        x = x * 1.5
        query, value = (k.DepthwiseConv1D(1, use_bias=False)(x) for _ in range(2))
        return classes_of(k.GlobalAveragePooling1D()(k.MultiHeadAttention(2, 4, use_bias=False)(query, value)))

    return functional((6, 8), body)


@member
def masked_steps() -> Any:
    """Layers that know no mask, and one that hands it on, between the Masking and what goes by it."""
    k = layers()
    return stacked(
        k.Input((8, 4)),
        k.Masking(),
        k.Dense(6, activation="relu"),
        k.LSTM(8, return_sequences=True),
        k.GlobalAveragePooling1D(),
        k.Dense(CLASSES, activation="softmax"),
    )


@member
def layers_as_activations() -> Any:
    """The argument `activation` is a layer: one that is a function by another name, or one that no function stands for."""
    k = layers()

    def body(x: Any) -> Any:
        x = k.Conv2D(6, 3, activation=k.LeakyReLU(0.1))(x)
        x = k.DepthwiseConv2D(3, activation=k.ReLU(max_value=4.0, name="relu"))(x)
        x = k.SeparableConv2D(6, 3, activation=k.ELU())(x)
        x = k.Concatenate()([k.Conv2D(4, 1, activation=k.ReLU(6.0))(x), k.Conv2D(4, 1, activation=k.LeakyReLU(0.2))(x)])
        x = k.Dense(8, activation=k.Softmax())(x)
        return classes_of(k.Dense(8, activation=k.ReLU())(k.Flatten()(x)))

    return functional((12, 12, 3), body)


@member
def volumes_of_any_size() -> Any:
    k = layers()
    return stacked(
        k.Input((None, None, None, 2)),
        k.Conv3D(4, 2, activation="relu"),
        k.MaxPooling3D((1, 2, 3), 1, padding="same"),
        k.AveragePooling3D(),
        k.GlobalAveragePooling3D(),
        k.Dense(CLASSES, activation="softmax"),
    )
