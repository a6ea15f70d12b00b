"""What a network is trained with: stages, batch size and seed, as `params.yaml` or a hyperparameter says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAMS: Final = Path(__file__).parents[1] / "params.yaml"


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one resolution.

    Attributes:
        size: Side of the pictures, in pixels.
        epochs: At most.
        learning_rate: Its peak; see `warmup_then_cosine`.
        train_samples: Pictures an epoch.
        freeze_until_block: Inverted-residual blocks of the backbone up to this one stay as they are; None trains
            what follows the backbone alone.
        patience: Epochs without a better validation score before the stage ends.
        plain: Share of pictures that the detector sees as serving does.
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
    """What a run is trained with.

    Attributes:
        stages: In order.
        batch: Pictures a step.
        seed: Of everything that is drawn.
        bare_face_weights: By how much more than their number says the bare faces of a source are drawn, by its name.
    """

    stages: tuple[Stage, ...]
    batch: int
    seed: int
    bare_face_weights: Mapping[str, float] = field(default_factory=dict)


def plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as it comes back from JSON."""
    return dict(json.loads(json.dumps(asdict(recipe))))


def read_recipe(path: Path, network: str, start: str) -> Recipe:
    """The recipe in a `params.yaml`.

    Args:
        path: Of the file.
        network: `classifier` or `detector`.
        start: `imagenet` or `release`: the weights that training begins with.

    Raises:
        TrainingError: The file does not say what is needed, or says something else besides.
    """
    try:
        result = yaml.safe_load(path.read_text())[network]
        recipe = recipe_from(result[f"from_{start}"], result["batch"], result["seed"])
        weights = {
            str(source): float(weight) for source, weight in result.get("bare_face_weights", {}).items()
        }
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path}: not the parameters of a training: {error!r}") from error
    if min(weights.values(), default=1) <= 0:
        raise TrainingError(f"{path}: {network}.bare_face_weights must be above 0: {weights}")
    return replace(recipe, bare_face_weights=weights)


def recipe_from(stages: Sequence[Mapping[str, Any]], batch: int, seed: int) -> Recipe:
    """A recipe from what JSON or YAML can say.

    Raises:
        TrainingError: A stage has an unknown key or lacks one, or a number is not one to train with.
    """
    try:
        recipe = Recipe(tuple(Stage(**stage) for stage in stages), batch, seed)
        for stage in recipe.stages:
            numbers = (stage.epochs, stage.learning_rate, stage.patience, stage.train_samples)
            if not 32 <= stage.size <= 1024 or stage.size % 32 or min(numbers) <= 0:
                raise TrainingError(f"cannot train so: {stage}; a size is a multiple of 32, up to 1024")
    except TypeError as error:
        raise TrainingError(f"stages {stages}: {error}") from error
    if not recipe.stages or batch < 1 or seed < 0:
        raise TrainingError(f"cannot train so: {len(stages)} stages, batch {batch}, seed {seed}")
    return recipe
