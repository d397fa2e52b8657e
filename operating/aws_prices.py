"""AWS's public prices, the ones that the pipeline's costs are made of.

On-demand prices in US dollars of region us-east-1, without taxes and without the free tiers of new accounts,
as of `AS_OF`; `of` also has those of São Paulo (sa-east-1). Nothing here is looked up: when AWS changes a
price, change it here. `docs/cost.md` says where each was last seen, and which is yet to be checked.
"""

from __future__ import annotations

from decimal import Decimal

AS_OF = "2026-11"
REGION = "us-east-1"

S3_PUT = Decimal("0.005") / 1000
"""A PUT, COPY, POST or LIST request. Source: aws.amazon.com/s3/pricing, S3 Standard."""
S3_GET = Decimal("0.0004") / 1000
"""A GET, HEAD or any other request; DELETE is free. Source: as above."""
S3_GB_MONTH = Decimal("0.023")
"""A GB (10^9 bytes) of S3 Standard for a month, the first 50 TB. Source: as above."""

GLUE_DPU_HOUR = Decimal("0.44")
"""A DPU, which is one G.1X worker, for an hour of a Spark job, billed by the second.
Source: aws.amazon.com/glue/pricing."""
GLUE_MINIMUM_SECONDS = 60
"""The least that is billed of a job run. Source: as above."""

CATALOG_FREE_OBJECTS = 1_000_000
"""Tables and partitions in the Glue Data Catalog that cost nothing. Source: aws.amazon.com/glue/pricing."""
CATALOG_OBJECT_MONTH = Decimal("1.00") / 100_000
"""A table or partition beyond those, for a month. Source: as above."""
CATALOG_FREE_REQUESTS = 1_000_000
"""Requests to the catalog in a month that cost nothing. Source: as above."""
CATALOG_REQUEST = Decimal("1.00") / 1_000_000
"""A request beyond those. Source: as above."""

LAMBDA_REQUEST = Decimal("0.20") / 1_000_000
"""An invocation. Source: aws.amazon.com/lambda/pricing."""
LAMBDA_GB_SECOND = Decimal("0.0000166667")
"""A GiB of memory for a second, on x86. Source: as above."""
LAMBDA_STORAGE_GB_SECOND = Decimal("0.0000000309")
"""A GB of ephemeral storage for a second, beyond the 512 MB that come with a function. Source: as above."""

ATHENA_TB = Decimal("5.00")
"""A TB (10^12 bytes) that a query scans. Source: aws.amazon.com/athena/pricing."""
ATHENA_MINIMUM_BYTES = 10_000_000
"""The least that is billed of a query. Source: as above."""

LOGS_GB = Decimal("0.50")
"""A GB of logs that CloudWatch takes in. Source: aws.amazon.com/cloudwatch/pricing."""

METRIC_MONTH, FREE_METRICS = Decimal("0.30"), 10
"""A custom metric in CloudWatch for a month, and how many cost nothing. Source: as above."""
ALARM_MONTH, FREE_ALARMS = Decimal("0.10"), 10
"""An alarm on a metric for a month, and how many cost nothing. Source: as above."""
DASHBOARD_MONTH, FREE_DASHBOARDS = Decimal("3.00"), 3
"""A dashboard of up to 50 metrics for a month, and how many cost nothing. Source: as above."""

SAO_PAULO = "sa-east-1"
_SAO_PAULO = {
    "S3_PUT": Decimal("0.007") / 1000,
    "S3_GET": Decimal("0.0056") / 10_000,
    "S3_GB_MONTH": Decimal("0.0405"),
    "GLUE_DPU_HOUR": Decimal("0.69"),
    "ATHENA_TB": Decimal("9.00"),
    "LOGS_GB": Decimal("0.90"),
}
"""What differs there, by the names above."""


def of(name: str, region: str = REGION) -> Decimal:
    """A price in a region.

    Args:
        name: Its name in this module.
        region: us-east-1 or sa-east-1.

    Raises:
        KeyError: There is no such price, or no prices of that region.
    """
    here: Decimal = globals()[name]
    return {REGION: here, SAO_PAULO: _SAO_PAULO.get(name, here)}[region]
