"""Names in a deployed stack that commands look for, so that they need not load the CDK."""

RESERVED = "Reserved"
"""What the ids of a bucket policy's statements begin with that say who may write (`stacks.storage`)."""
