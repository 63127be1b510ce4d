"""What a bucket's refusal means, in the user's words."""

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
"""Variables of the environment by which AWS's libraries are given credentials, or told where they are."""

_CODE = re.compile(r"AWS Error (?P<code>\w+) during (?P<operation>\w+) operation")
_BUCKET = re.compile(r"[Bb]ucket '(?P<bucket>[^']+)'")


def bucket_failure(error: OSError) -> CacheError | None:
    """Explain an error that Arrow raised about a bucket.

    Parameters
    ----------
    error : OSError
        What was raised; Arrow has no class of its own for it.

    Returns
    -------
    CacheError or None
        The same in one line that says what to do; None if the error is about something else.
    """
    text = str(error)
    told, named = _CODE.search(text), _BUCKET.search(text)
    bucket = f"s3://{named['bucket']}" if named else "the bucket"
    if told is None:
        missing = named is not None and "not found" in text
        return (
            CacheError(f"{bucket}: there is no such bucket; make it, or mend its name") if missing else None
        )
    code = told["code"]
    where = f"{code} at {told['operation']}"
    if code == "NETWORK_CONNECTION":
        return CacheError(
            f"{bucket}: nobody answers ({where}); is the network there, and AWS_ENDPOINT_URL right?"
        )
    if code == "NO_SUCH_BUCKET":
        return CacheError(f"{bucket}: there is no such bucket; make it, or mend its name")
    if not _has_credentials():
        return CacheError(
            f"{bucket}: refused ({where}), and there are no credentials; give AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or run 'aws configure', or give the machine a role"
        )
    return CacheError(f"{bucket}: refused ({where}); may these credentials read, list and write this bucket?")


def _has_credentials() -> bool:
    named = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    return any(os.environ.get(name) for name in _CREDENTIALS) or Path(named).expanduser().exists()
