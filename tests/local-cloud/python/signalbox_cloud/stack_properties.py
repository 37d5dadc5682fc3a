"""Properties of a stack's resources that nothing is done with: they fail their resource, instead of being forgotten.

What is looked at is what the emulator's code for a type reads. That is seen for the properties by their names, not for
what is within them, and not where the code takes them all at once.
"""

import copy

from ministack.services.cloudformation import provisioners

from . import patching, stack_deletion

# Without effect here, and known to be: nothing is encrypted, nothing grows old, and an object has no owner but its
# account.
WITHOUT_EFFECT = {"AWS::S3::Bucket": {"BucketEncryption", "LifecycleConfiguration", "OwnershipControls"}}
# Of these, the properties are for somebody else.
PASSED_ON = ("Custom::", "AWS::CloudFormation::")
# Stands for every property.
ALL = object()


_create = provisioners._provision_resource


def apply() -> None:
    patching.wrap(provisioners, "_provision_resource", provision, "3b8f01fb1871")
    patching.provide(provisioners, _watched_update=update, _unwatched_creation=_create)
    patching.substitute(
        provisioners,
        "_update_resource",
        (
            """\
            return handler["update"](
                physical_id, old_props, new_props, stack_name, logical_id
            )
        return handler["update"](physical_id, old_props, new_props, stack_name)
""",
            """\
            return _watched_update(
                resource_type, handler["update"], physical_id, old_props, new_props, stack_name, logical_id
            )
        return _watched_update(resource_type, handler["update"], physical_id, old_props, new_props, stack_name)
""",
        ),
        # A few types are updated by creating them again, over what is there: that must not be deleted.
        (
            "    return _provision_resource(resource_type, logical_id or physical_id, new_props, stack_name)\n",
            "    return _unwatched_creation(resource_type, logical_id or physical_id, new_props, stack_name)\n",
        ),
    )


class Watched(dict):
    """Properties that know which of them were read."""

    def __init__(self, properties: dict) -> None:
        super().__init__(properties)
        self._read: set = set()

    def unread(self, names) -> list[str]:
        return [] if ALL in self._read else sorted(set(names) - self._read)

    def converted(self, convert) -> "Watched":
        """The same with other values: what is read there is read here."""
        other = Watched({name: convert(name, dict.get(self, name)) for name in dict.keys(self)})
        other._read = self._read
        return other

    def __getitem__(self, name):
        self._read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name) -> bool:
        self._read.add(name)
        return super().__contains__(name)

    def get(self, name, default=None):
        self._read.add(name)
        return super().get(name, default)

    def pop(self, name, *default):
        self._read.add(name)
        return super().pop(name, *default)

    def setdefault(self, name, default=None):
        self._read.add(name)
        return super().setdefault(name, default)

    def __iter__(self):
        self._read.add(ALL)
        return super().__iter__()

    def keys(self):
        self._read.add(ALL)
        return super().keys()

    def values(self):
        self._read.add(ALL)
        return super().values()

    def items(self):
        self._read.add(ALL)
        return super().items()

    def copy(self) -> dict:
        return dict(self)

    def __or__(self, other) -> dict:
        return dict(self) | other

    def __ror__(self, other) -> dict:
        return other | dict(self)

    def __deepcopy__(self, memo) -> dict:
        return copy.deepcopy(dict(self), memo)


def provision(original, resource_type: str, logical_id: str, props: dict, stack_name: str) -> tuple:
    """Create a resource. AWS: a property that is not known, or misspelled, fails it."""
    if resource_type.startswith(PASSED_ON):
        return original(resource_type, logical_id, props, stack_name)
    watched = Watched(props)
    physical_id, attributes = original(resource_type, logical_id, watched, stack_name)
    unread = watched.unread(props.keys() - WITHOUT_EFFECT.get(resource_type, set()))
    if unread:
        token = stack_deletion.forced.set(True)
        try:
            provisioners._delete_resource(resource_type, physical_id, props, stack_name, logical_id)
        finally:
            stack_deletion.forced.reset(token)
        raise ValueError(f"{', '.join(unread)}: the local cloud has no such property of {resource_type}")
    return physical_id, attributes


def update(resource_type: str, handler, physical_id: str, old: dict, new: dict, stack_name: str, *logical_id) -> tuple:
    """Update a resource. A change that the emulator does not make is undone with the others."""
    watched = Watched(new)
    result = handler(physical_id, old, watched, stack_name, *logical_id)
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    unread = watched.unread(changed - WITHOUT_EFFECT.get(resource_type, set()))
    if unread:
        handler(result[0], new, old, stack_name, *logical_id)
        raise ValueError(f"{', '.join(unread)}: the local cloud cannot change it of {resource_type} that is there")
    return result
