"""AWS's managed layer with pandas, pyarrow and awswrangler, in the version that the scraper is tested with.

awswrangler 3.16.1, pandas 3.0.3, pyarrow 22.0.0 for Python 3.13 on x86_64, the versions in requirements.txt.
The layer of awswrangler 3.17.0 dies of a segmentation fault on datetime64 (aws-sdk-pandas issue 3393).
Source: aws-sdk-pandas, "AWS Lambda Managed Layers", release 3.16.1.
"""

from aws_cdk import Aws, CfnMapping
from aws_cdk.aws_lambda import Architecture, Runtime
from constructs import Construct

RUNTIME = Runtime.PYTHON_3_13
ARCHITECTURE = Architecture.X86_64

UNZIPPED_MB = 204
"""Size of the layer, unzipped, in MiB (aws-sdk-pandas issue 3331)."""

FUNCTION_LIMIT_MB = 250
"""What a function and its layers may have together, unzipped, in MiB (Lambda quotas)."""

_PUBLISHER = "336392948345"

_VERSIONS = {
    "af-south-1": (_PUBLISHER, 11),
    "ap-east-1": ("839552336658", 10),
    "ap-northeast-1": (_PUBLISHER, 12),
    "ap-northeast-2": (_PUBLISHER, 12),
    "ap-northeast-3": (_PUBLISHER, 12),
    "ap-south-1": (_PUBLISHER, 12),
    "ap-south-2": ("246107603503", 10),
    "ap-southeast-1": (_PUBLISHER, 12),
    "ap-southeast-2": (_PUBLISHER, 12),
    "ap-southeast-3": ("258944054355", 10),
    "ap-southeast-4": ("945386623051", 10),
    "ca-central-1": (_PUBLISHER, 12),
    "ca-west-1": ("941713567376", 2),
    "cn-north-1": ("406640652441", 9),
    "cn-northwest-1": ("406640652441", 9),
    "eu-central-1": (_PUBLISHER, 12),
    "eu-central-2": ("956415814219", 10),
    "eu-north-1": (_PUBLISHER, 12),
    "eu-south-1": ("774444163449", 10),
    "eu-south-2": ("982086096842", 10),
    "eu-west-1": (_PUBLISHER, 12),
    "eu-west-2": (_PUBLISHER, 12),
    "eu-west-3": (_PUBLISHER, 12),
    "il-central-1": ("263840725265", 10),
    "me-central-1": ("593833071574", 10),
    "sa-east-1": (_PUBLISHER, 12),
    "us-east-1": (_PUBLISHER, 12),
    "us-east-2": (_PUBLISHER, 12),
    "us-west-1": (_PUBLISHER, 12),
    "us-west-2": (_PUBLISHER, 12),
}
"""Publishing account and version of the layer in each region."""


def layer_of(region: str) -> str | None:
    """ARN of the layer in a region; None where AWS publishes none."""
    layer = _VERSIONS.get(region)
    return layer and _arn(region, *layer)


def pandas_layer_arn(scope: Construct) -> str:
    """ARN of the layer in the region that the stack is deployed to, looked up there: synth knows no region.

    In a region that has none the deployment stops at the mapping `AWSSDKPandasLayerOfRegion`; the setting
    `pandas_layer_arn` then names a layer of one's own.
    """
    mapping = CfnMapping(
        scope,
        "LayerOfRegion",
        mapping={region: {"Arn": layer_of(region)} for region in _VERSIONS},
    )
    mapping.override_logical_id("AWSSDKPandasLayerOfRegion")
    return mapping.find_in_map(Aws.REGION, "Arn")


def _arn(region: str, account: str, version: int) -> str:
    partition = "aws-cn" if region.startswith("cn-") else "aws"
    return f"arn:{partition}:lambda:{region}:{account}:layer:AWSSDKPandas-Python313:{version}"
