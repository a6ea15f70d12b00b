"""Model packages: what the registry says about a release, and what is written there of its promotion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APPROVED: Final = "Approved"
PENDING: Final = "PendingManualApproval"
REJECTED: Final = "Rejected"
_DESCRIPTION: Final = 1024  # characters that SageMaker keeps
# Among the package's metadata, whose values may have letters, digits, spaces and _.:/=+-@ alone.
_RESULT, _APPROVED_AT, _CONCLUDED_AT = "promotion", "promotion_approved_at", "promotion_concluded_at"


class Result(StrEnum):
    """What became of an approval."""

    PROMOTED = "promoted"
    SUPERSEDED = "superseded"  # by an approval that came after it
    REFUSED = "refused"  # its release must not serve
    ROLLED_BACK = "rolled-back"  # after traffic had begun to move
    WITHDRAWN = "withdrawn"  # by a person, after the stack was changed or another approval was given way to

    @property
    def is_over(self) -> bool:
        """Whether the release must be approved anew before it is tried again."""
        return self in {Result.REFUSED, Result.ROLLED_BACK, Result.WITHDRAWN}


@dataclass(frozen=True)
class Package:
    """A model package of the Model Registry.

    Attributes:
        arn: Of the package.
        group: Of the packages that it is one of.
        number: Of the package in its group, from 1.
        status: Of its approval.
        created: When it was registered.
        modified: When somebody changed it last.
        release: s3://bucket/models/<version>/; empty where the package names none.
        digest: SHA-256 of the release's manifest, in hexadecimal; empty where the package does not say.
        metadata: All of it, by name.
        description: What is said about its approval.
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
    def result(self) -> Result | None:
        """What became of its last approval; None where it has none, or one that is to be worked on."""
        if _RESULT not in self.metadata:
            return None
        result = Result(self.metadata[_RESULT])
        return None if result.is_over and self.status == APPROVED else result

    @property
    def attempt(self) -> str:
        """Text that is the same throughout one approval, and another one after an approval that is over."""
        return f"{self.arn} {self.metadata.get(_CONCLUDED_AT, '')}"

    @property
    def approved_at(self) -> datetime:
        """When it was approved; of one that was worked on as it was then, since that changes when it was modified."""
        return datetime.fromisoformat(self.metadata[_APPROVED_AT]) if self.result else self.modified


def read_package(arn: str, sagemaker: Any) -> Package:
    """Return what the registry says about a package now."""
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = found.get("CustomerMetadataProperties", {})
    containers = found.get("InferenceSpecification", {}).get("Containers", [])  # people register by hand, too
    sources = (one.get("ModelDataSource", {}).get("S3DataSource", {}) for one in containers)
    created = found["CreationTime"]
    return Package(
        arn=arn,
        group=found["ModelPackageGroupName"],
        number=found["ModelPackageVersion"],
        status=found["ModelApprovalStatus"],
        created=created,
        modified=found.get("LastModifiedTime", created),
        release=next((source["S3Uri"] for source in sources if source), ""),
        digest=metadata.get("manifest_sha256", ""),
        metadata=metadata,
        description=found.get("ApprovalDescription", ""),
    )


def newer_approval(package: Package, sagemaker: Any) -> Package | None:
    """Return a package of the group that was approved later, whether it serves already or is still to come."""
    for other in _approved(package.group, sagemaker):
        if (other.approved_at, other.number) > (package.approved_at, package.number):
            return other
    return None


def _approved(group: str, sagemaker: Any) -> Iterator[Package]:
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group,
        ModelApprovalStatus=APPROVED,
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    for page in pages:
        for found in page["ModelPackageSummaryList"]:
            yield read_package(found["ModelPackageArn"], sagemaker)


def record(package: Package, result: Result, text: str, sagemaker: Any) -> None:
    """Write into a package what became of its approval; one that is over is taken back.

    Args:
        package: As it was read.
        result: What became of it.
        text: The same for people; it comes behind what is said there already.
        sagemaker: A boto3 client.
    """
    told = {
        _RESULT: result.value,
        _APPROVED_AT: package.approved_at.isoformat(),
        _CONCLUDED_AT: datetime.now(UTC).isoformat(),
    }
    sagemaker.update_model_package(
        ModelPackageArn=package.arn,
        ModelApprovalStatus=REJECTED if result.is_over else APPROVED,
        ApprovalDescription=f"{package.description} {text}".strip()[-_DESCRIPTION:],
        CustomerMetadataProperties={**package.metadata, **told},  # AWS keeps the others, moto drops them
    )
