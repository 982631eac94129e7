"""Copies folders to and from S3 with a client of boto3, key for path. Needs no boto3 itself."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any, Union


def _check(key_prefix: str) -> None:
    if not key_prefix.endswith("/"):
        raise ValueError(f"the key prefix {key_prefix!r} must end with a slash")


def upload_directory_to_s3(s3_client: Any, src_dir: Union[str, Path], bucket: str, key_prefix: str) -> None:
    """Uploads every file below `src_dir` under `key_prefix` and its path."""
    _check(key_prefix)
    for folder, _, names in os.walk(src_dir):
        for name in names:
            path = os.path.join(folder, name)
            key = key_prefix + os.path.relpath(path, src_dir).replace(os.sep, "/")
            s3_client.upload_file(Filename=path, Bucket=bucket, Key=key)


def download_directory_from_s3(s3_client: Any, bucket: str, key_prefix: str, dst_dir: Union[str, Path]) -> None:
    """Downloads every object under `key_prefix` into `dst_dir`."""
    _check(key_prefix)
    for page in s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key_prefix):
        for found in page.get("Contents", []):
            rest = found["Key"][len(key_prefix) :]
            if not rest or rest.endswith("/"):
                continue  # a mark for a folder
            parts = PurePosixPath(rest).parts
            if ".." in parts or rest.startswith("/"):
                raise ValueError(f"the key {found['Key']!r} would be written outside of {dst_dir}")
            path = os.path.join(dst_dir, *parts)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            s3_client.download_file(Bucket=bucket, Key=found["Key"], Filename=path)
