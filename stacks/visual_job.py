"""The Glue job in visual mode: a custom resource, as `AWS::Glue::Job` has no property for the graph.

The resource's properties are the whole CreateJob request, node by node, so that `cdk diff` shows what of the
graph changes. Its function is `lambda_src/visual_job`.
CloudFormation coverage roadmap, issue 1922.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Arn, ArnComponents, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk.aws_glue import IJob, Job
from aws_cdk.aws_iam import PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import Code, Function
from aws_cdk.aws_logs import LogGroup, RetentionDays
from aws_cdk.aws_s3 import Bucket
from constructs import Construct

from stacks.config import REPOSITORY
from stacks.layers import ARCHITECTURE, RUNTIME
from stacks.nag import acknowledge
from stacks.storage import VISUAL_FOLDER

OWNER = REPOSITORY / "lambda_src" / "visual_job"


class VisualJob(Construct):
    """A visual job, and the function that creates, updates and deletes it for CloudFormation.

    Args:
        name: The job's name, fixed, as the function's permissions are on this job alone.
        definition: What a CreateJob request has beside name, mode, role, command, graph and tags.
        nodes: The graph, as `CodeGenConfigurationNodes`.
        job_role: The role of the job.
        script_bucket: Where Glue may write the script that it makes of the graph.
        tags: The job's tags, which the CDK cannot give to a custom resource.
        log_retention: How long the function's logs are kept.

    Attributes:
        job: The job.
        owner_role: The role of the function that owns it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        definition: Mapping[str, object],
        nodes: Mapping[str, object],
        job_role: Role,
        script_bucket: Bucket,
        tags: Mapping[str, str],
        log_retention: RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        # A key of the job's own: no other job and no deployment ever writes or deletes it
        script_key = f"{VISUAL_FOLDER}/{name}.py"
        script_arn = script_bucket.arn_for_objects(script_key)
        job_role.add_to_policy(PolicyStatement(actions=["s3:GetObject"], resources=[script_arn]))
        function = self._build_function(name, job_role, script_arn, log_retention)
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::VisualGlueJob",
            service_token=function.function_arn,
            # Longer than the function has with Lambda's two retries, shorter than CloudFormation's hour
            service_timeout=Duration.minutes(15),
            properties={
                "Name": name,
                "JobMode": "VISUAL",
                "Role": job_role.role_arn,
                "Command": {
                    "Name": "glueetl",
                    "PythonVersion": "3",
                    "ScriptLocation": script_bucket.s3_url_for_object(script_key),
                },
                **definition,
                "CodeGenConfigurationNodes": nodes,
                "Tags": tags,
            },
        )
        resource.node.add_dependency(job_role)
        self.job: IJob = Job.from_job_attributes(self, "Job", job_name=resource.ref)

    def _build_function(
        self, name: str, job_role: Role, script_arn: str, log_retention: RetentionDays
    ) -> Function:
        log_group = LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        self.owner_role = role = Role(
            self,
            "Role",
            assumed_by=ServicePrincipal("lambda.amazonaws.com"),
            description="Owns the refine job in visual mode for CloudFormation",
        )
        log_group.grant_write(role)
        job_arn = Arn.format(
            ArnComponents(service="glue", resource="job", resource_name=name), Stack.of(self)
        )
        role.add_to_policy(
            PolicyStatement(
                actions=[
                    "glue:CreateJob",
                    "glue:GetJob",
                    "glue:UpdateJob",
                    "glue:DeleteJob",
                    "glue:GetTags",
                    "glue:TagResource",
                    "glue:UntagResource",
                ],
                resources=[job_arn],
            )
        )
        role.add_to_policy(
            PolicyStatement(
                actions=["iam:PassRole"],
                resources=[job_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}},
            )
        )
        # AWS does not say with whose permissions Glue stores the script that it generates; its policy for
        # people who make jobs has these (Glue, "Attach a policy to users or groups that access Glue")
        role.add_to_policy(
            PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resources=[script_arn]
            )
        )
        function = Function(
            self,
            "Function",
            description="Creates, updates and deletes the refine job in visual mode for CloudFormation",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=Code.from_asset(str(OWNER), exclude=["__pycache__"]),
            handler="index.handler",
            timeout=Duration.minutes(3),
            memory_size=256,
            role=role,
            log_group=log_group,
        )
        acknowledge(
            function,
            finding="AwsSolutions-L1",
            reason="All functions run on one Python, which the pinned layer of the scraper is built for.",
        )
        return function
