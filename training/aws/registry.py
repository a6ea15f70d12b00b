"""Releases in SageMaker's Model Registry: registered pending approval, listed, approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP: Final = "maskwatch"  # default group of model packages


def register(uri: str, image: str, metadata: Mapping[str, str], registry: Any, group: str) -> dict[str, Any]:
    """Register a published release in the Model Registry, pending approval; return the package's description.

    Args:
        uri: S3 URI of the release.
        image: The training image, which contains the runtime, too.
        metadata: Strings by name, which are cut to 256 characters.
        registry: A boto3 client for SageMaker.
        group: Group of model packages, which is created if missing.
    """
    ensure_group(group, registry)
    created = registry.create_model_package(
        **package_request(uri, image, {key: value[:256] for key, value in metadata.items()}, group),
        ModelPackageDescription=f"MaskWatch {metadata['version']}",
    )
    return dict(registry.describe_model_package(ModelPackageName=created["ModelPackageArn"]))


def package_request(uri: Any, image: str, metadata: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the request of CreateModelPackage; see `register`. The values may be a pipeline's variables."""
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": image, "ModelDataSource": {"S3DataSource": source}}
    return {
        "ModelPackageGroupName": group,
        "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["image/jpeg"]},
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": metadata,
    }


def ensure_group(group: str, registry: Any) -> None:
    """Create a group of model packages if it does not exist."""
    pages = registry.get_paginator("list_model_package_groups").paginate(NameContains=group)
    names = [item["ModelPackageGroupName"] for page in pages for item in page["ModelPackageGroupSummaryList"]]
    if group not in names:
        registry.create_model_package_group(ModelPackageGroupName=group)


def registered(registry: Any, group: str) -> list[dict[str, Any]]:
    """Return the descriptions of a group's registered releases, newest first."""
    pages = registry.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )
    arns = [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
    return [registry.describe_model_package(ModelPackageName=arn) for arn in arns]


def approve(version: str, registry: Any, group: str) -> str:
    """Approve the newest registered release of a version, and return its ARN.

    Raises:
        TrainingError: No release of this version is registered.
    """
    for package in registered(registry, group):
        metadata = package.get("CustomerMetadataProperties", {})  # packages registered by hand have none
        if metadata.get("version") == version:
            arn = str(package["ModelPackageArn"])
            # AWS keeps metadata that the call omits; moto drops it.
            registry.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties=metadata
            )
            return arn
    raise TrainingError(f"no release {version} is registered in {group}")
