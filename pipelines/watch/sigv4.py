"""Amazon's signature of a request, version 4, for one object of S3.

The steps are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote


@dataclass(frozen=True)
class Keys:
    """Credentials and region of a signature."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    session_token: str = field(default="", repr=False)


def signed_headers(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Keys,
    moment: datetime,
) -> dict[str, str]:
    """Returns the headers, with those of the signature added.

    Args:
        path: unencoded path of the object with a leading slash; there is no query.
        headers: the other headers that the signature covers.
        moment: the current time in UTC.
    """
    time = moment.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    covered = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": time}
    if keys.session_token:
        covered["x-amz-security-token"] = keys.session_token
    covered = {name.lower(): value.strip() for name, value in sorted(covered.items())}
    names = ";".join(sorted(covered))
    lines = [f"{name}:{covered[name]}" for name in sorted(covered)]
    canonical = "\n".join([method, quote(path, safe="/~"), "", *lines, "", names, digest])
    scope = f"{time[:8]}/{keys.region}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _signature(keys, scope, f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}")
    proof = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope},"
        f"SignedHeaders={names},Signature={signature}"
    )
    return {**covered, "authorization": proof}


def _signature(keys: Keys, scope: str, text: str) -> str:
    key = b"AWS4" + keys.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
