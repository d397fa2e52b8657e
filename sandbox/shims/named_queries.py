"""`AWS::Athena::NamedQuery` in CloudFormation: MiniStack's Athena has named queries, its CloudFormation not.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-namedquery.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import athena
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

Properties = dict[str, Any]


def install() -> None:
    """Register the resource type's create, update and delete."""
    _RESOURCE_HANDLERS["AWS::Athena::NamedQuery"] = {"create": _create, "update": _update, "delete": _delete}


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, Properties]:
    """Return the physical id, which is the query's id, and the resource's attributes."""
    _status, _headers, body = athena._create_named_query(properties)  # type: ignore[no-untyped-call]  # MiniStack has no types
    query_id: str = json.loads(body)["NamedQueryId"]
    return query_id, {"NamedQueryId": query_id}


def _update(physical_id: str, _old: Properties, new: Properties, stack_name: str) -> tuple[str, Properties]:
    """Replace the query: on AWS too, a change of any property does."""
    created = _create("", new, stack_name)
    _delete(physical_id, {})
    return created


def _delete(physical_id: str, _properties: Properties) -> None:
    athena._delete_named_query({"NamedQueryId": physical_id})  # type: ignore[no-untyped-call]  # as above
