"""The CDK app: context to `Config` to `BovespaStack`, checked by cdk-nag's AwsSolutions rules."""

import sys
from collections.abc import Mapping

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.arguments import REFUSED
from stacks.bovespa_stack import BovespaStack
from stacks.config import Config, ConfigError


def build(context: Mapping[str, object] | None = None) -> cdk.App:
    """Make the app, not yet synthesised.

    Args:
        context: Settings beside those that the CDK CLI passes from `cdk.json` and `-c key=value`.

    Raises:
        ConfigError: A setting is missing, unknown or of no use; the message names its key.
    """
    app = cdk.App(context=context)
    config = Config.from_context(app.node.get_all_context())
    BovespaStack(app, config.stack_name, config=config)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def main() -> None:
    """Synthesise; a setting that is refused ends it with a line that says which, and why."""
    try:
        app = build()
    except ConfigError as error:
        sys.exit(f"{REFUSED}{error}")
    app.synth()


if __name__ == "__main__":
    main()
