"""S3: what a caller learns of an object that is not there, uploads of a length that nobody knows, tags in stacks."""

from ministack import app as emulator
from ministack.services import s3 as upstream
from ministack.services.cloudformation import provisioners

from . import patching


def apply() -> None:
    patching.wrap(upstream, "handle_request", handle_request, "0856144f19e7")
    patching.wrap(provisioners, "_s3_create", create_bucket, "477b78a3cb15")
    patching.wrap(provisioners, "_s3_update", update_bucket, "1d4f3f6390bb")


async def handle_request(original, method: str, path: str, headers: dict, body: bytes, query_params: dict, **options):
    """Serve a call.

    AWS: that there is no such object is for those alone who may list the bucket; to others it is forbidden. What is
    put must say how long it is: `curl -T -` does not.
    """
    if method == "PUT" and "transfer-encoding" in headers and "x-amz-decoded-content-length" not in headers:
        message = "A header you provided implies functionality that is not implemented"
        return upstream._error("NotImplemented", message, 501, path)
    response = await original(method, path, headers, body, query_params, **options)
    if response[0] != 404 or method not in ("GET", "HEAD"):
        return response
    bucket, key = upstream._parse_bucket_key(path, headers)
    if not key or bucket not in upstream._buckets:
        return response
    resource = f"arn:aws:s3:::{bucket}"
    named = f'"{resource}"'
    refusal = emulator._enforce_data_plane(
        "s3", "s3:ListBucket", headers, query_params, "", resource, named_resource=named
    )
    if refusal is None:
        return response
    return refusal if method == "GET" else (refusal[0], refusal[1], b"")


def create_bucket(original, logical_id: str, props: dict, stack_name: str) -> tuple:
    """AWS tags the bucket of a stack; the emulator drops its tags."""
    name, attributes = original(logical_id, props, stack_name)
    _tag(name, props)
    return name, attributes


def update_bucket(original, physical_id: str, old_props: dict, new_props: dict, stack_name: str) -> tuple:
    name, attributes = original(physical_id, old_props, new_props, stack_name)
    _tag(name, new_props)
    return name, attributes


def _tag(bucket: str, props: dict) -> None:
    tags = provisioners._tag_map(props.get("Tags"))
    if tags:
        upstream._bucket_tags[bucket] = tags
    else:
        upstream._bucket_tags.pop(bucket, None)


def operation(method: str, path: str, query: dict, headers: dict) -> str:
    """The name of a call: what is in its path, its query and its headers, because it is nowhere by itself."""
    has_key = len(path.strip("/").split("/", 1)) == 2
    if method == "POST" and "delete" in query:
        return "DeleteObjects"
    if has_key and "uploadId" in query:
        return {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}.get(
            method, "ListParts"
        )
    if has_key and method == "POST":
        return "CreateMultipartUpload"
    if has_key and method == "PUT" and b"x-amz-copy-source" in headers:
        return "CopyObject"
    if has_key:
        return f"{method.title()}Object"
    if method == "GET" and path.strip("/"):
        return "ListObjectsV2" if "list-type" in query else "ListObjects"
    if method == "GET":
        return "ListBuckets"
    return {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(method, method.title())
