"""What `sam build` calls the images, by the function in template.yaml."""

IMAGES = {
    "PredictFunction": "predictfunction:predict",
    "BatchFunction": "batchfunction:batch",
    "PortalFunction": "portalfunction:portal",
    "DriftFunction": "driftfunction:drift",
}
