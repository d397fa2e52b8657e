"""What AWS's refusals mean, in a line that says what to do."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

_NO_CREDENTIALS = (
    "No AWS credentials were found. Set AWS_PROFILE, run `aws sso login` or `aws configure`, or export what "
    "`python -m sandbox up` prints."
)
_NO_BUCKET = (
    "There is no bucket {}. Name the stack by --stack or STACK_NAME, or the raw bucket, an output of the "
    "stack, by --bucket or RAW_BUCKET."
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken"})

# S3 may keep the action to itself, and its operations are called otherwise
_S3_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
}
_ACTION = re.compile(r"not authorized to perform: (\S+)")


def explained(error: BotoCoreError | ClientError, bucket: str) -> str:
    """An error of AWS in words.

    Args:
        error: The error.
        bucket: The raw bucket, if the user has named it.
    """
    if isinstance(error, NoCredentialsError):
        return _NO_CREDENTIALS
    if not isinstance(error, ClientError):
        return f"s3://{bucket}: {error}" if bucket else str(error)
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code == "NoSuchBucket":
        return _NO_BUCKET.format(error.response["Error"].get("BucketName", bucket))
    if code in _DENIED:
        named = _ACTION.search(message)
        action = named[1] if named else _S3_ACTIONS.get(error.operation_name, error.operation_name)
        return f"Not allowed: {action}. Let these credentials do it, or use others. AWS said: {message}"
    if code in _EXPIRED:
        return (
            f"The AWS credentials have expired: run `aws sso login`, or export new ones. AWS said: {message}"
        )
    is_of_s3 = error.operation_name in _S3_ACTIONS
    return f"s3://{bucket}: {error}" if bucket and is_of_s3 else str(error)
