"""Explain errors of S3 buckets in plain words."""

from __future__ import annotations

import os
import re
from pathlib import Path

from data.errors import CacheError

_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Environment variables from which AWS's libraries get credentials."""

_CODE = re.compile(r"AWS Error (?P<code>\w+) during (?P<operation>\w+) operation")
_BUCKET = re.compile(r"[Bb]ucket '(?P<bucket>[^']+)'")


def bucket_failure(error: OSError) -> CacheError | None:
    """Explain an error that Arrow raised about a bucket.

    Parameters
    ----------
    error : OSError
        The exception; Arrow has no separate class for these errors.

    Returns
    -------
    CacheError or None
        The cause and a remedy in one line; None if the error is not about a bucket.
    """
    text = str(error)
    failure, named = _CODE.search(text), _BUCKET.search(text)
    bucket = f"s3://{named['bucket']}" if named else "the bucket"
    if failure is None:
        is_missing = named is not None and "not found" in text
        return CacheError(f"{bucket}: no such bucket; create it, or correct its name") if is_missing else None
    code = failure["code"]
    where = f"{code} at {failure['operation']}"
    if code == "NETWORK_CONNECTION":
        return CacheError(f"{bucket}: no answer ({where}); check the network and AWS_ENDPOINT_URL")
    if code == "NO_SUCH_BUCKET":
        return CacheError(f"{bucket}: no such bucket; create it, or correct its name")
    if not _has_credentials():
        return CacheError(
            f"{bucket}: refused ({where}), and there are no credentials; set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or run 'aws configure', or give the machine a role"
        )
    return CacheError(
        f"{bucket}: refused ({where}); check that these credentials can read, list and write it"
    )


def _has_credentials() -> bool:
    path = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    return any(os.environ.get(name) for name in _CREDENTIALS) or Path(path).expanduser().exists()
