"""What is said when AWS refuses: S3's words, and what to do when it is the raw bucket's policy."""

from __future__ import annotations

from botocore.exceptions import ClientError

from scraper.b3.errors import message_of


def refused(reason: str) -> ClientError:
    message = f"User: arn:aws:iam::111122223333:role/x is not authorized to perform: s3:PutObject {reason}"
    return ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "PutObject")


def test_a_refusal_by_the_bucket_s_policy_says_what_to_do() -> None:
    told = message_of(refused("with an explicit deny in a resource-based policy"))
    assert "AccessDenied" in told
    assert "setting `operators`" in told
    assert "--via lambda" in told


def test_any_other_error_is_told_as_it_is() -> None:
    error = refused("because no identity-based policy allows the s3:PutObject action")
    assert message_of(error) == str(error)
