"""Authorization: what a call is on, and calls that the emulator makes in its own process."""

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region

from . import patching


def apply() -> None:
    # AWS asks for ListStateMachines on `stateMachine:*`, as its refusals say, and for the calls that are about tags on
    # what has them; the emulator on `*` alone, which is what a policy must name there.
    patching.substitute(
        iam_actions,
        "extract_resource_arn",
        (
            """\
            return f"arn:aws:states:{region}:{account_id}:stateMachine:{name}"
        return "*"
""",
            """\
            return f"arn:aws:states:{region}:{account_id}:stateMachine:{name}"
        if headers.get("x-amz-target", "").endswith(".ListStateMachines"):
            return f"arn:aws:states:{region}:{account_id}:stateMachine:*"
        return _safe_json_field(body, "resourceArn") or "*"
""",
        ),
        # AWS: the events of a stream are read on the stream; to the emulator, on its group.
        (
            """\
        if name:
            return f"arn:aws:logs:{region}:{account_id}:log-group:{name}"
""",
            """\
        if name and action == "GetLogEvents":
            stream = _safe_json_field(body, "logStreamName") or ""
            return f"arn:aws:logs:{region}:{account_id}:log-group:{name}:log-stream:{stream}"
        if name:
            return f"arn:aws:logs:{region}:{account_id}:log-group:{name}"
""",
        ),
    )
    # What is plain HTTP on loopback stands for TLS: a policy that asks for aws:SecureTransport means the way to AWS.
    patching.substitute(
        iam_evaluator,
        "pin_request_origin",
        ("_request_origin.set((source_ip, secure_transport))", "_request_origin.set((source_ip, True))"),
    )
    # AWS says on what the call was refused, and SNS spells its actions in capitals.
    patching.substitute(
        iam_actions,
        "access_denied_response",
        (
            "    if not message:\n        reason = (\n",
            '    if not message:\n        action = action.replace("sns:", "SNS:")\n        reason = (\n',
        ),
        ('if service == "iot" else ""', 'if service in ("ecs", "iot", "sns", "states") else ""'),
    )


def denial(role_arn: str, action: str, service: str, resource_arn: str) -> str | None:
    """Why a service that has assumed the role may not do this, in AWS's words; None if it may.

    With the emulator's own evaluator of policies.
    """
    account, role_name = get_account_id(), role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{role_name}/signalbox-local-cloud"
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
    )
    from ministack.services import iam as store

    limits = iam_evaluator._permissions_boundary(store._roles, role_name, account)
    result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role_name, account), *limits)
    resource_policy = iam_evaluator._resource_policy(service, resource_arn)
    if resource_policy is not None:
        result = iam_evaluator.combine_resource_policy(result, context, *resource_policy, limits=limits)
    if result.decision == "Allow":
        return None
    refused = f"User: {principal} is not authorized to perform: {action} on resource: {resource_arn}"
    if result.decision == "Deny":
        return f"{refused} with an explicit deny in an identity-based policy"
    return f"{refused} because no identity-based policy allows the {action} action"
