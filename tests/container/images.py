"""The image names of `sam build`, by the function in template.yaml."""

IMAGES = {
    "PredictFunction": "predictfunction:inference",
    "BatchFunction": "predictfunction:inference",  # built once, for the first of the two
    "PortalFunction": "portalfunction:portal",
    "AlertsFunction": "portalfunction:portal",  # and so is this one
    "DriftFunction": "driftfunction:drift",
}
