"""`python -m stacks.key_policy`: what the policy of a key that you bring as `kms_key` has to allow.

The statements are those that the stack gives a key of its own (`-c kms_key=create`), without the one that
makes the key its account's, which yours has: without the one for logs the deployment stops at a log group,
without those for CloudWatch and EventBridge no alarm is ever delivered, and nothing says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from aws_cdk import App

from stacks.bovespa_stack import BovespaStack
from stacks.config import CREATE_KEY, Config, context_of


def statements(stack_name: str, *, account: str, region: str, partition: str = "aws") -> list[dict[str, Any]]:
    """The statements for a key in an account and region, as JSON has them."""
    app = App()
    config = Config.from_context(context_of([f"stack_name={stack_name}", f"kms_key={CREATE_KEY}"]))
    BovespaStack(app, stack_name, config=config)
    template = app.synth().get_stack_by_name(stack_name).template
    (key,) = (one for one in template["Resources"].values() if one["Type"] == "AWS::KMS::Key")
    names = {
        "AWS::AccountId": account,
        "AWS::Region": region,
        "AWS::Partition": partition,
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
    }
    _of_account, *of_services = _resolved(key["Properties"]["KeyPolicy"]["Statement"], names)
    return list(of_services)


def _resolved(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case {"Ref": name}:
            return names[name]
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_resolved(part, names) for part in parts)
        case dict():
            return {name: _resolved(one, names) for name, one in value.items()}
        case list():
            return [_resolved(one, names) for one in value]
        case _:
            return value


def main() -> int:
    """Print the statements of the command line's stack, to paste into the policy of a key."""
    parser = argparse.ArgumentParser(prog="python -m stacks.key_policy", description=__doc__)
    parser.add_argument("--account", required=True, help="the account, 12 digits")
    parser.add_argument("--region", required=True, help="the region of the stack and of its key")
    parser.add_argument("--partition", default="aws", choices=["aws", "aws-cn", "aws-us-gov"])
    parser.add_argument("--stack", default="BovespaPipeline", help="the stack's name (default: %(default)s)")
    given = parser.parse_args()
    policy = statements(given.stack, account=given.account, region=given.region, partition=given.partition)
    sys.stdout.write(json.dumps(policy, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
