"""Training recipes: stages, batch size and seed, from `params.yaml` or hyperparameters."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAMS: Final = Path(__file__).parents[1] / "params.yaml"
BLOCKS: Final = 16  # inverted-residual blocks of MobileNetV2 after the first


@dataclass(frozen=True)
class Stage:
    """A stage of training, at one resolution.

    Attributes:
        size: Side of the pictures, in pixels.
        epochs: Maximum number of epochs.
        learning_rate: Peak learning rate; see `warmup_then_cosine`.
        train_samples: Pictures per epoch.
        freeze_until_block: Freeze the backbone's inverted-residual blocks up to this one; None freezes the whole
            backbone.
        patience: Epochs of no higher rank before the stage ends.
        plain: Share of the detector's pictures without augmentation, as serving sees them.
    """

    size: int
    epochs: int
    learning_rate: float
    train_samples: int
    freeze_until_block: int | None
    patience: int = 100
    plain: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """The recipe of a run.

    Attributes:
        stages: The stages, in order.
        batch: Pictures per step.
        seed: Seed of all random numbers.
        bare_face_weights: Factors on the sampling weight of `no_mask` pictures, by source.
    """

    stages: tuple[Stage, ...]
    batch: int
    seed: int
    bare_face_weights: Mapping[str, float] = field(default_factory=dict)


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON types."""
    return dict(json.loads(json.dumps(asdict(recipe))))


def read_recipe(path: Path, network: str, start: str) -> Recipe:
    """Read a recipe from a `params.yaml`.

    Args:
        path: The file.
        network: `classifier`, `detector` or `leave_one_out`.
        start: The starting weights, `imagenet` or `release`.

    Raises:
        TrainingError: A parameter is missing, unknown or invalid.
    """
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))[network]
        if unknown := sorted(
            set(params) - {"seed", "batch", "bare_face_weights", "from_imagenet", "from_release"}
        ):
            raise TrainingError(f"{path}: {network} has unknown parameters: {', '.join(unknown)}")
        recipe = recipe_from(params[f"from_{start}"], params["batch"], params["seed"])
        weights = {
            str(source): float(weight) for source, weight in params.get("bare_face_weights", {}).items()
        }
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path}: invalid training parameters: {error!r}") from error
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise TrainingError(f"{path}: {network}.bare_face_weights must be above 0: {weights}")
    return replace(recipe, bare_face_weights=weights)


def recipe_from(stages: Sequence[Mapping[str, Any]], batch: int, seed: int) -> Recipe:
    """Build a recipe from JSON or YAML types.

    Raises:
        TrainingError: A stage has a missing, unknown or invalid value.
    """
    try:
        recipe = Recipe(tuple(Stage(**stage) for stage in stages), batch, seed)
    except TypeError as error:
        raise TrainingError(f"stages {stages}: {error}") from error
    _require_numbers({"batch": batch, "seed": seed})
    if not recipe.stages or batch < 1 or seed < 0:
        raise TrainingError(f"these values cannot be used: {len(stages)} stages, batch {batch}, seed {seed}")
    for stage in recipe.stages:
        _require_numbers({name: value for name, value in asdict(stage).items() if value is not None})
        positive = (stage.epochs, stage.learning_rate, stage.patience, stage.train_samples // batch)
        blocks = stage.freeze_until_block or 0
        if not 32 <= stage.size <= 1024 or stage.size % 32 or min(positive) <= 0 or not 0 <= blocks <= BLOCKS:
            raise TrainingError(
                f"these values cannot be used: {stage}; a size is a multiple of 32, up to 1024,"
                f" train_samples is at least the batch, {batch}, and there are {BLOCKS} blocks"
            )
    return recipe


def _require_numbers(parameters: Mapping[str, Any]) -> None:
    """Refuse text, which `4e-4` is in YAML, and fractions of what is counted."""
    for name, value in parameters.items():
        whole = name not in {"learning_rate", "plain"}
        if type(value) not in ((int,) if whole else (int, float)) or not math.isfinite(value):
            required = "a whole number" if whole else "a number, such as 4.0e-4"
            raise TrainingError(f"{name} is {value!r}; it must be {required}")
