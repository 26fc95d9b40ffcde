"""Train the sample model: a small CNN for scikit-learn's digits (8x8 grey, x in [0, 1]).

Run from the project's root: `python assets/models/make_digits_cnn.py`. It trains on the train split of seed 0 only, chooses the
best epoch on the validation split, prints the accuracy on the untouched test split, and writes assets/models/digits_cnn.keras.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import tf_keras  # noqa: E402
from tf_keras import layers  # noqa: E402

from optimizer.job import DataSource  # noqa: E402
from optimizer.sources.readers import read_dataset  # noqa: E402


def build() -> tf_keras.Model:
    """Two convolution blocks and a dense classifier: input (8, 8, 1) float32, output 10 softmax probabilities."""
    inputs = layers.Input((8, 8, 1), name="image")
    x = inputs
    for number, filters in ((1, 16), (2, 32)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(32, activation="relu", name="dense")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    return tf_keras.Model(inputs, layers.Dense(10, activation="softmax", name="digit")(x), name="digits_cnn")


def main() -> None:
    """Train, print the test accuracy, save."""
    tf_keras.utils.set_random_seed(0)
    data = read_dataset(DataSource(name="digits"), seed=0)
    model = build()
    model.compile(tf_keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = tf_keras.callbacks.EarlyStopping("val_loss", patience=10, restore_best_weights=True)
    model.fit(
        data.train.x, data.train.y, batch_size=32, epochs=60, verbose=0,
        validation_data=(data.validation.x, data.validation.y), callbacks=[best],
    )  # fmt: skip
    _, accuracy = model.evaluate(data.test.x, data.test.y, verbose=0)
    # Compiled anew with plain SGD: no momenta to store, so the file is a third of the size.
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(Path(__file__).with_name("digits_cnn.keras"))
    sys.stdout.write(f"test accuracy {accuracy:.4f}, {model.count_params():,} parameters\n")


if __name__ == "__main__":
    main()
