"""What is said beforehand about speed: by processor, by layers, by zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from optimizer.environment import Host
from optimizer.sources.summary import LayerSummary, ModelSummary
from optimizer.speed import (
    int8_in_words,
    missing_for_sparse_kernels,
    odd_channels_in_words,
    small_model_in_words,
    sparse_kernels_in_words,
)

OLD_X86 = Host(processor="Old Xeon", avx=True, integer_dot_product=False)
NEW_X86 = Host(processor="New EPYC", avx=True, integer_dot_product=True)
ARM = Host(processor="Cortex-A76", avx=False, integer_dot_product=True)


def layer(class_name: str, kernel: tuple[int, ...], channels: int, **config: Any) -> LayerSummary:
    shapes = {"kernel": kernel} if kernel else {}
    shape = (None, 8, 8, channels)
    return LayerSummary(
        name=f"{class_name}_{channels}", class_name=class_name, config=config, weight_shapes=shapes, output_shape=shape
    )


def model(*layers: LayerSummary) -> ModelSummary:
    return ModelSummary(
        name="m.keras",
        sha256="0" * 64,
        format="keras",
        size_bytes=1,
        class_name="Functional",
        layers=layers,
        input_shapes=((None, 8, 8, 3),),
        output_shapes=((None, 10),),
        output_layers=(layers[-1].name,),
    )


STEM = layer("Conv2D", (3, 3, 3, 16), 16, strides=[2, 2])
DEPTHWISE = layer("DepthwiseConv2D", (3, 3, 16, 1), 16)
POINTWISE = layer("Conv2D", (1, 1, 16, 32), 32, strides=[1, 1])
POOL = layer("GlobalAveragePooling2D", (), 32)
DENSE = layer("Dense", (32, 10), 10)
MOBILE = model(STEM, DEPTHWISE, POINTWISE, POOL, DENSE)
DENSE_NET = model(layer("Dense", (10, 12), 12), layer("Dense", (12, 10), 10))


def test_a_mobile_net_pruned_enough_has_all_that_sparse_kernels_need() -> None:
    assert missing_for_sparse_kernels(MOBILE) == []
    told = sparse_kernels_in_words(MOBILE, ARM)
    assert told.startswith("May be faster")
    assert "above two thirds of zeros" in told


def test_on_processors_with_avx_zeros_never_bring_speed() -> None:
    assert "no kernel skips zeros; on ARM they may" in sparse_kernels_in_words(MOBILE, NEW_X86)


def test_each_condition_of_the_sparse_kernels_is_named_where_it_is_missing() -> None:
    assert "a global average pooling at the end" in missing_for_sparse_kernels(model(STEM, POINTWISE, DENSE))
    assert "1x1 convolutions" in sparse_kernels_in_words(model(STEM, POOL, DENSE), ARM)


def test_what_the_recipe_chooses_is_no_lack_of_the_model_and_a_dense_net_hears_nothing_of_3x3() -> None:
    assert "zeros" not in " ".join(missing_for_sparse_kernels(model(STEM, POOL, DENSE)))
    assert missing_for_sparse_kernels(DENSE_NET) == ["1x1 convolutions"]
    for host in (ARM, NEW_X86):
        assert "3x3" not in sparse_kernels_in_words(DENSE_NET, host)


def test_int8_is_doubted_only_where_the_processor_lacks_integer_dot_products() -> None:
    assert int8_in_words(MOBILE, NEW_X86) == []
    (doubt,) = int8_in_words(MOBILE, OLD_X86)
    assert "slower than float32" in doubt
    assert "Old Xeon" in doubt
    assert "Gains less" in int8_in_words(DENSE_NET, OLD_X86)[0]


def test_odd_channel_counts_are_named_but_not_those_of_the_output() -> None:
    assert odd_channels_in_words(MOBILE) == []
    (told,) = odd_channels_in_words(DENSE_NET)
    assert "Dense_12 (12)" in told
    assert "Dense_10" not in told


def test_normalizations_and_attentions_of_few_units_are_doubted_on_any_machine() -> None:
    narrow = layer("LayerNormalization", (), 64)
    (doubt,) = int8_in_words(model(narrow, layer("MultiHeadAttention", (), 64)), NEW_X86)
    assert "each LayerNormalization and each MultiHeadAttention becomes many small operators" in doubt
    assert len(int8_in_words(model(narrow), OLD_X86)) == 2
    assert int8_in_words(model(layer("LayerNormalization", (), 256)), NEW_X86) == []


def test_few_weights_leave_little_to_save() -> None:
    few, many = (replace(STEM, parameters=number) for number in (716, 20_000))
    assert "of 716 weights little can be saved" in small_model_in_words(model(few))[0]
    assert small_model_in_words(model(many)) == []
