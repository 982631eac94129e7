"""Publishes a folder in the form of arkindex-cli 0.5: the folder itself is the first member, no MD5 of contents is said."""

import hashlib
import io
import sys
import tarfile

import requests
import zstandard
from arkindex import ArkindexClient, options_from_env

tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as archive:
    archive.add(sys.argv[1], arcname=".")
tar.seek(0)
compressor = zstandard.ZstdCompressor(level=3)
packed = b"".join(compressor.compress(piece) for piece in iter(lambda: tar.read(1024), b""))

client = ArkindexClient(**options_from_env())
model = client.request("CreateModel", body={"name": "digits"})
version = client.request("CreateModelVersion", id=model["id"], body={"tag": "v1", "configuration": {}})
sent = requests.put(version["s3_put_url"], data=packed, headers={"Content-Type": "application/zstd"})
sent.raise_for_status()
client.request(
    "PartialUpdateModelVersion",
    id=version["id"],
    body={"state": "available", "size": len(packed), "archive_hash": hashlib.md5(packed).hexdigest()},
)
