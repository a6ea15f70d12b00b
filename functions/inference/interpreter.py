"""Runs a network of a release in LiteRT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # the older runtime has the same API
    from tflite_runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from functions.inference.release import Network


class Runner:
    """An interpreter with a network, whose input has `size` pixels a side. Not thread-safe."""

    def __init__(self, network: Network, threads: int) -> None:
        self.size = network.size
        self._interpreter = Interpreter(model_content=network.file, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        # The converter does not keep the order of the outputs, so they are sorted by width.
        outputs = sorted(self._interpreter.get_output_details(), key=lambda output: int(output["shape"][-1]))
        self._outputs = [output["index"] for output in outputs]

    @property
    def output_count(self) -> int:
        """The number of outputs."""
        return len(self._outputs)

    def run(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs for RGB (size, size, 3), without their batch axis, the narrowest first."""
        self._interpreter.set_tensor(self._input, pixels[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output)[0] for output in self._outputs]
