"""DynamoDB tables of a stack, with the properties that the emulator's CloudFormation ignores."""

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from . import patching, stack_properties

# Properties with booleans in them.
SWITCHES = (
    "DeletionProtectionEnabled",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "StreamSpecification",
    "TimeToLiveSpecification",
)


def apply() -> None:
    patching.wrap(provisioners, "_ddb_create", create, "277586e016c6")
    patching.wrap(provisioners, "_ddb_update", update, "0665980ffdd0")


def create(original, logical_id, props, stack_name):
    """AWS applies TimeToLiveSpecification and PointInTimeRecoverySpecification; the emulator drops them silently."""
    props = _with_booleans(props)
    name, attributes = original(logical_id, props, stack_name)
    _apply_time_to_live(name, {}, props)
    _apply_point_in_time_recovery(name, {}, props)
    return name, attributes


def update(original, physical_id, old_props, new_props, stack_name, logical_id=None):
    """The same for the update of a stack: a changed specification is applied, a dropped one switched off."""
    old_props, new_props = _with_booleans(old_props), _with_booleans(new_props)
    name, attributes = original(physical_id, old_props, new_props, stack_name, logical_id)
    _apply_time_to_live(name, old_props, new_props)
    _apply_point_in_time_recovery(name, old_props, new_props)
    return name, attributes


def _with_booleans(props: dict) -> dict:
    """A boolean that comes from a parameter is a string, and the string "false" is true to the emulator."""

    def convert(name: str, value):
        return _as_boolean(value) if name in SWITCHES else value

    if isinstance(props, stack_properties.Watched):
        return props.converted(convert)
    return {name: convert(name, value) for name, value in props.items()}


def _as_boolean(value):
    if isinstance(value, dict):
        return {name: _as_boolean(member) for name, member in value.items()}
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _apply_time_to_live(table: str, old: dict, new: dict) -> None:
    before, after = old.get("TimeToLiveSpecification"), new.get("TimeToLiveSpecification")
    if before == after:
        return
    specification = after or {**before, "Enabled": False}
    _require(dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification}))


def _apply_point_in_time_recovery(table: str, old: dict, new: dict) -> None:
    before, after = old.get("PointInTimeRecoverySpecification"), new.get("PointInTimeRecoverySpecification")
    if before == after:
        return
    specification = after or {"PointInTimeRecoveryEnabled": False}
    request = {"TableName": table, "PointInTimeRecoverySpecification": specification}
    _require(dynamodb._update_continuous_backups(request))


def _require(response: tuple) -> None:
    status, _headers, body = response
    if status >= 400:
        raise ValueError(f"AWS::DynamoDB::Table: {body!r}")
