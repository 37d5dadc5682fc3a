"""What keeps a resource of a stack from being deleted: a bucket that has objects, a table that is protected."""

import xml.etree.ElementTree
from contextvars import ContextVar

from ministack.services import dynamodb, s3
from ministack.services.cloudformation import provisioners, stacks

from . import patching

# Set by those who want to be rid of a stack, whatever is in it: `DELETE /_local/stacks`.
forced: ContextVar[bool] = ContextVar("forced", default=False)


def apply() -> None:
    patching.wrap(provisioners, "_s3_delete", delete_bucket, "52bcaf59bd5b")
    patching.wrap(provisioners, "_ddb_delete", delete_table, "33ee7316b2ca")
    patching.substitute(
        stacks,
        "_delete_stack_async",
        (
            '"DELETE_IN_PROGRESS",\n               physical_id=stack_id)',
            '"DELETE_IN_PROGRESS", "User Initiated",\n               physical_id=stack_id)',
        ),
    )


def delete_bucket(original, physical_id: str, props: dict) -> None:
    """AWS: a bucket with objects, or with versions of them, stays. The emulator drops it with all that is in it."""
    if not forced.get() and physical_id in s3._buckets:
        status, _headers, body = s3._delete_bucket(physical_id)
        if status >= 400:
            root = xml.etree.ElementTree.fromstring(body)
            reason = next(element.text for element in root.iter() if element.tag.endswith("Message"))
            raise ValueError(f"{reason} (Service: S3, Status Code: {status})")
    original(physical_id, props)


def delete_table(original, physical_id: str, props: dict) -> None:
    """AWS: a table with DeletionProtectionEnabled stays. The emulator drops it."""
    table = dynamodb._tables.get(physical_id)
    if table is not None and table.get("DeletionProtectionEnabled") and not forced.get():
        raise ValueError(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection "
            "first. (Service: DynamoDb, Status Code: 400)"
        )
    original(physical_id, props)
