"""Encryption at rest by a key of the customer's own, where the setting `kms_key` asks for one.

Without the setting nothing here applies: S3 and SQS encrypt by keys that they manage, CloudWatch by its own.
With it, every bucket, queue, topic, log group and workgroup of the stack is encrypted by the one key,
whichever construct makes it.
"""

from __future__ import annotations

import jsii
from aws_cdk import Arn, ArnComponents, ArnFormat, Aspects, Aws, IAspect, RemovalPolicy, Stack
from aws_cdk.aws_athena import CfnWorkGroup
from aws_cdk.aws_iam import IGrantable, PolicyStatement, ServicePrincipal
from aws_cdk.aws_kms import IKey, Key
from aws_cdk.aws_logs import CfnLogGroup
from aws_cdk.aws_s3 import CfnBucket
from aws_cdk.aws_sns import CfnTopic
from aws_cdk.aws_sqs import CfnQueue
from constructs import Construct, IConstruct

from stacks.config import CREATE_KEY

USE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
"""What it takes to read and to write what a service keeps encrypted. To write in parts takes both."""

_LOGS_USE_KEY = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
)
_DATA_KEY_SECONDS = 3600
"""For how long SQS uses a data key again: fewer calls of KMS, each of which has its price."""


class Encryption(Construct):
    """The key, and who may use it.

    Args:
        kms_key: The setting of that name: None, `CREATE_KEY`, or the ARN of a key. The policy of a key that
            is not the stack's own has to let AWS's services use it: `stacks.key_policy` writes it.
        removal_policy: What becomes of a key that the stack creates: who keeps the data needs it.

    Attributes:
        key: The key, None without one.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, kms_key: str | None, removal_policy: RemovalPolicy
    ) -> None:
        super().__init__(scope, construct_id)
        self.key: IKey | None = None
        if kms_key == CREATE_KEY:
            self.key = self._build_key(removal_policy)
        elif kms_key is not None:
            self.key = Key.from_key_arn(self, "Key", kms_key)
        if self.key is not None:
            Aspects.of(Stack.of(self)).add(_EncryptAtRest(self.key.key_arn))

    def grant(self, role: IGrantable, *, service: str) -> None:
        """Let a role read and write what a service keeps, and use the key for nothing else.

        Args:
            role: The role, or what has one.
            service: The service through which the key is used, such as `s3`.
        """
        if self.key is not None:
            role.grant_principal.add_to_principal_policy(
                PolicyStatement(
                    actions=list(USE_KEY),
                    resources=[self.key.key_arn],
                    conditions={
                        "StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}
                    },
                )
            )

    def grant_publishers(self) -> None:
        """Let CloudWatch and EventBridge use the key, which publish what they have to tell to a topic.

        Of a key that is not the stack's own, the policy is its owner's to write (`stacks.key_policy`).
        """
        if self.key is None:
            return
        for service, conditions in {
            "cloudwatch": {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            # Of EventBridge SNS does not know the account ("Key management" in its guide): a statement that
            # asks for it drops what a rule publishes, and nobody hears of it
            "events": None,
        }.items():
            self.key.add_to_resource_policy(
                PolicyStatement(
                    principals=[ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=list(USE_KEY),
                    resources=["*"],  # this key
                    conditions=conditions,
                )
            )

    def _build_key(self, removal_policy: RemovalPolicy) -> Key:
        stack = Stack.of(self)
        key = Key(
            self,
            "Key",
            description=f"Encrypts the data and logs of {stack.stack_name}",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        key.add_to_resource_policy(
            PolicyStatement(
                principals=[ServicePrincipal(f"logs.{Aws.REGION}.{Aws.URL_SUFFIX}")],
                actions=list(_LOGS_USE_KEY),
                resources=["*"],  # this key
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": [
                            _log_groups(stack, name)
                            # Those that CloudFormation names, those of the job, that of Spark notebooks
                            for name in (
                                f"{stack.stack_name}-*",
                                f"/aws-glue/jobs/{stack.stack_name}/*",
                                f"/aws-athena/{stack.stack_name}-spark",
                            )
                        ]
                    }
                },
            )
        )
        return key


@jsii.implements(IAspect)
class _EncryptAtRest:
    """Has whatever keeps data encrypted by one key."""

    def __init__(self, key_arn: str) -> None:
        self._key_arn = key_arn

    def visit(self, node: IConstruct) -> None:
        match node:
            case CfnBucket():
                rule = {
                    "BucketKeyEnabled": True,  # one call of KMS for many objects
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": self._key_arn,
                    },
                }
                node.add_property_override("BucketEncryption.ServerSideEncryptionConfiguration", [rule])
            case CfnQueue():
                node.add_property_deletion_override("SqsManagedSseEnabled")
                node.add_property_override("KmsMasterKeyId", self._key_arn)
                node.add_property_override("KmsDataKeyReusePeriodSeconds", _DATA_KEY_SECONDS)
            case CfnTopic():
                node.add_property_override("KmsMasterKeyId", self._key_arn)
            case CfnLogGroup():
                node.add_property_override("KmsKeyId", self._key_arn)
            case CfnWorkGroup():
                node.add_property_override(
                    "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration",
                    {"EncryptionOption": "SSE_KMS", "KmsKey": self._key_arn},
                )


def _log_groups(stack: Stack, pattern: str) -> str:
    return Arn.format(
        ArnComponents(
            service="logs",
            resource="log-group",
            resource_name=pattern,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        ),
        stack,
    )
