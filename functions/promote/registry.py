"""Model packages in SageMaker's Model Registry, and the conclusions of promotions in their metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

APPROVED: Final = "Approved"
PENDING: Final = "PendingManualApproval"
REJECTED: Final = "Rejected"
_MAX_DESCRIPTION: Final = 1024  # characters, SageMaker's limit
# Names of metadata, whose values may only contain letters, digits, spaces and _.:/=+-@.
_CONCLUSION, _APPROVED_AT, _CONCLUDED_AT = "promotion", "promotion_approved_at", "promotion_concluded_at"


class Conclusion(StrEnum):
    """How an approval ended."""

    PROMOTED = "promoted"
    SUPERSEDED = "superseded"  # by a later approval
    REFUSED = "refused"  # its release must not serve
    ROLLED_BACK = "rolled-back"  # after traffic began to shift
    WITHDRAWN = "withdrawn"  # by a person, after the stack was changed or the approval was superseded

    @property
    def is_final(self) -> bool:
        """Whether the release must be approved again before another attempt."""
        return self in {Conclusion.REFUSED, Conclusion.ROLLED_BACK, Conclusion.WITHDRAWN}


@dataclass(frozen=True)
class Package:
    """A model package of the Model Registry.

    Attributes:
        arn: ARN of the package.
        group: Name of its package group.
        number: Number of the package in its group, from 1.
        status: Approval status.
        created: When it was registered.
        modified: When it was last changed.
        release: s3://bucket/models/<version>/; empty if the package names none.
        digest: SHA-256 of the release's manifest in hexadecimal; empty if the package has none.
        metadata: Custom metadata by name.
        description: Description of the approval.
    """

    arn: str
    group: str
    number: int
    status: str
    created: datetime
    modified: datetime
    release: str
    digest: str
    metadata: Mapping[str, str]
    description: str

    @property
    def conclusion(self) -> Conclusion | None:
        """The conclusion of its last approval; None if it has no approval or one without a conclusion yet."""
        if _CONCLUSION not in self.metadata:
            return None
        conclusion = Conclusion(self.metadata[_CONCLUSION])
        return None if conclusion.is_final and self.status == APPROVED else conclusion

    @property
    def attempt(self) -> str:
        """Identifies the current approval; it changes when an approval is concluded."""
        return f"{self.arn} {self.metadata.get(_CONCLUDED_AT, '')}"

    @property
    def is_noted(self) -> bool:
        """Whether the metadata has the time of an approval without a conclusion; see `note_approval`."""
        return self.metadata.get(_APPROVED_AT, "") > self.metadata.get(_CONCLUDED_AT, "")  # both in UTC

    @property
    def approved_at(self) -> datetime:
        """When it was approved."""
        is_kept = self.conclusion or self.is_noted
        return datetime.fromisoformat(self.metadata[_APPROVED_AT]) if is_kept else self.modified


def read_package(arn: str, sagemaker: Any) -> Package:
    """Return the current state of a package."""
    response = sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = response.get("CustomerMetadataProperties", {})
    # May be missing if registered by hand.
    containers = response.get("InferenceSpecification", {}).get("Containers", [])
    sources = (container.get("ModelDataSource", {}).get("S3DataSource", {}) for container in containers)
    created = response["CreationTime"]
    return Package(
        arn=arn,
        group=response["ModelPackageGroupName"],
        number=response["ModelPackageVersion"],
        status=response["ModelApprovalStatus"],
        created=created,
        modified=response.get("LastModifiedTime", created),
        release=next((source["S3Uri"] for source in sources if source), ""),
        digest=metadata.get("manifest_sha256", ""),
        metadata=metadata,
        description=response.get("ApprovalDescription", ""),
    )


def note_approval(package: Package, sagemaker: Any) -> Package:
    """Keep the time of a new approval in the metadata, because any change of the package changes `modified`.

    The time of an approval that was withdrawn before it was concluded is deleted.
    """
    is_approved = package.status == APPROVED
    if package.conclusion or package.is_noted == is_approved:
        return package
    metadata = {name: value for name, value in package.metadata.items() if name != _APPROVED_AT}
    if is_approved:
        metadata[_APPROVED_AT] = package.modified.astimezone(UTC).isoformat()
    sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        ModelApprovalStatus=package.status,  # moto drops what is not given
        ApprovalDescription=package.description,
        CustomerMetadataProperties=metadata,
        **({} if is_approved else {"CustomerMetadataPropertiesToRemove": [_APPROVED_AT]}),
    )
    return replace(package, metadata=metadata)


def newer_approval(package: Package, sagemaker: Any) -> Package | None:
    """Return a package of the group that was approved later, whether it was promoted already or not; None if none."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=package.group,
        ModelApprovalStatus=APPROVED,
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            other = read_package(summary["ModelPackageArn"], sagemaker)
            if (other.approved_at, other.number) > (package.approved_at, package.number):
                return other
    return None


def write_conclusion(package: Package, conclusion: Conclusion, text: str, sagemaker: Any) -> None:
    """Write the conclusion of an approval into its package; set the status to rejected if the conclusion is final.

    The text, which is for people, is appended to the description.
    """
    fields = {_CONCLUSION: conclusion.value, _CONCLUDED_AT: datetime.now(UTC).isoformat()}
    sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        ModelApprovalStatus=REJECTED if conclusion.is_final else APPROVED,
        ApprovalDescription=f"{package.description} {text}".strip()[-_MAX_DESCRIPTION:],
        CustomerMetadataProperties={**package.metadata, **fields},  # moto drops what is not given
    )
