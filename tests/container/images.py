"""What `sam build` calls the images, by the function in template.yaml."""

IMAGES = {"PredictFunction": "predictfunction:predict", "PortalFunction": "portalfunction:portal"}
