"""Export a network once, and convert it to int8 TFLite."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


@contextmanager
def exported(graph: keras.Model) -> Iterator[str]:
    """Export a graph for inference to a temporary SavedModel, once for all formats, since that takes longest."""
    archive = keras.export.ExportArchive()
    archive.track(graph)
    inputs = [
        keras.InputSpec(dtype=tensor.dtype, shape=tensor.shape, name=tensor.name) for tensor in graph.inputs
    ]
    archive.add_endpoint("serve", partial(graph, training=False), inputs)
    with TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        yield folder


def quantized(saved: str, pictures: Sequence[NDArray[np.uint8]]) -> bytes:
    """Convert an exported graph with one uint8 input to int8 TFLite; its dense layers and softmax stay in float."""

    def representative() -> Iterator[list[NDArray[np.uint8]]]:
        for picture in pictures:
            yield [picture[np.newaxis]]

    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # The head is a thousandth of the computation; in float, its probabilities are not limited to steps of 1/256.
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=["FULLY_CONNECTED", "SOFTMAX"])
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=representative, debug_options=options
    )
    return bytes(debugger.get_nondebug_quantized_model())
