"""What AWS refuses, in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from operating.refusals import explained

_GLUE = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: glue:GetJobRuns on resource: "
    "arn:aws:glue:us-east-1:123456789012:job/refine because no identity-based policy allows the "
    "glue:GetJobRuns action"
)


def refusal(code: str, message: str, operation: str, **more: str) -> ClientError:
    said: Any = {"Code": code, "Message": message, **more}
    return ClientError({"Error": said}, operation)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal("AccessDeniedException", _GLUE, "GetJobRuns"), "Not allowed: glue:GetJobRuns. "),
        # S3 may say no more than this, and to a HEAD nothing at all
        (refusal("AccessDenied", "Access Denied", "ListObjectsV2"), "Not allowed: s3:ListBucket. "),
        (refusal("403", "Forbidden", "HeadObject"), "Not allowed: s3:GetObject. "),
        (refusal("AccessDenied", "No.", "DescribeStacks"), "Not allowed: DescribeStacks. "),
        (refusal("ExpiredTokenException", "Expired", "GetJob"), "The AWS credentials have expired: run "),
        (refusal("NoSuchBucket", "None", "ListObjectsV2", BucketName="b"), "There is no bucket b. Name "),
        (refusal("SlowDown", "Reduce", "PutObject"), "s3://raw: An error occurred (SlowDown) when calling"),
        (refusal("ThrottlingException", "Rate", "GetJobRuns"), "An error occurred (ThrottlingException) "),
        (NoCredentialsError(), "No AWS credentials were found. Set AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="http://x"), "s3://raw: Could not connect to the endpoint"),
    ],
)
def test_a_refusal_says_what_was_refused_and_what_to_do(error: ClientError, words: str) -> None:
    assert explained(error, "raw").startswith(words)


def test_what_aws_said_stays_in_the_message() -> None:
    assert explained(refusal("AccessDeniedException", _GLUE, "GetJobRuns"), "").endswith(_GLUE)
