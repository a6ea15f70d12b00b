"""Expand template.yaml to what CloudFormation gets, for linters, which do not follow includes.

`python -m infra.expand FOLDER` writes one file per variant: includes inlined, SAM transformed, conditions evaluated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.local.template import parameter_values, resolve, transformed_template, true_conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE: Final = Path(__file__).parents[1] / "template.yaml"
# Parameters that together give every condition both values. Not every variant could be deployed.
VARIANTS: Final[dict[str, dict[str, str]]] = {
    "defaults": {},
    "options": {
        "AlarmEmail": "operator@example.org",
        "AlertEmail": "guard@example.org",
        "ApiGatewayLogRole": "existing",
        "AddressRate": "2000",
        "MonthlyBudget": "0",
        "PermissionsBoundary": "maskwatch-boundary-dev",
        "PromotionRole": "arn:aws:iam::123456789012:role/maskwatch-execute-dev",
        "ProvisionedConcurrency": "1",
        "ReservedConcurrency": "5",
        "RetrainEveryDays": "30",
        "RetrainPipeline": "maskwatch-dev-classifier",
        "RollbackAlarms": "version",
        "SnapStart": "enabled",
    },
    "no-alerts": {"Alerts": "disabled"},
}


def expand(path: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a SAM template as plain CloudFormation, with only the parts whose conditions hold.

    Raises:
        TemplateError: A parameter has no value, or SAM refuses the template.
    """
    template = transformed_template(path, parameters)
    conditions = true_conditions(template, parameter_values(template, parameters))
    decided = {key: value for key, value in template.items() if key != "Conditions"}
    decided["Parameters"] = {
        name: {**parameter, **({"Default": parameters[name]} if name in parameters else {})}
        for name, parameter in template["Parameters"].items()
    }
    for section in ("Resources", "Outputs"):
        decided[section] = {
            name: resolve({key: part for key, part in item.items() if key != "Condition"}, {}, conditions)
            for name, item in template.get(section, {}).items()
            if conditions.get(item.get("Condition"), True)
        }
    return decided


def main(folder: Path) -> None:
    """Write each variant of template.yaml to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, parameters in VARIANTS.items():
        (folder / f"{name}.json").write_text(
            json.dumps(expand(TEMPLATE, parameters), indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
