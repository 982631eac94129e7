"""What oss2, unmodified, does with the object store of the server under test: one case per call, by its name."""

import base64
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import oss2
from oss2.models import BatchDeleteObjectVersionList, PartInfo

URL = os.environ["RUNYARD_TEST_URL"]
AUTH = oss2.Auth(os.environ["RUNYARD_TEST_KEY"], os.environ["RUNYARD_TEST_SECRET"])
MIB = 1 << 20
#: Keys that a path on the way could damage.
KEYS = [
    "plain.txt",
    "a/b/c.txt",
    "with space/and + plus",
    "percent %2F %25 %",
    "中文/文件 ü.txt",
    "a//b",
    "../up/./here",
    "question?and#hash&more=1",
    "quote\"<>'",
    "back\\slash",
    "tab\tand\nline",
    "emoji 🚀",
    "ends/",
    ".hidden",
    "x" * 1023,
]


def bucket(name="data", endpoint=URL, auth=AUTH, **more):
    return oss2.Bucket(auth, endpoint, name, connect_timeout=30, **more)


def noise(length, seed=1):
    """The same bytes each time, that no compression makes small."""
    block = b"".join(hashlib.sha256(f"{seed} {at}".encode()).digest() for at in range(2048))
    return (block * (length // len(block) + 1))[:length]


def refused(error, code, call, *args, **options):
    """Makes sure that this exception of the SDK is raised, with this word in it."""
    try:
        call(*args, **options)
    except oss2.exceptions.OssError as raised:
        assert type(raised) is error or (error is None and isinstance(raised, oss2.exceptions.ServerError)), (
            type(raised),
            raised,
        )
        assert raised.code == code, (raised.code, raised)
        assert raised.request_id and raised.message, raised
        return raised
    raise AssertionError(f"{code} was expected")


def ours(method, path, body=None):
    """Our own API."""
    request = urllib.request.Request(
        f"{URL}/api/v2{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['RUNYARD_TEST_TOKEN']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        said = answer.read()
    return json.loads(said)["data"] if said else None


def objects():
    """Objects of any size under any key are read back as they were, checked by their CRC."""
    data = bucket()
    for key in KEYS:
        content = f"content of {key}".encode()
        put = data.put_object(key, content)
        assert put.etag == hashlib.md5(content).hexdigest().upper(), put.etag
        assert put.crc is not None and put.request_id
        got = data.get_object(key)
        assert got.read() == content and got.client_crc == got.server_crc, key
        assert data.object_exists(key), key
    assert sorted(one.key for one in oss2.ObjectIteratorV2(data)) == sorted(KEYS)
    for key in ("empty", "empty/__init__.py"):
        # An iterable has no length: it goes in chunks.
        for content in (b"", iter([b""])):
            data.put_object(key, content)
            assert data.get_object(key).read() == b"" and data.head_object(key).content_length == 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.py"
        file.touch()
        data.put_object_from_file("from/empty.py", str(file))
        assert data.head_object("from/empty.py").content_type == "text/x-python"
        data.get_object_to_file("plain.txt", str(file))
        assert file.read_bytes() == b"content of plain.txt"
    data.put_object("chunks", iter([b"one ", b"two"]))
    assert data.get_object("chunks").read() == b"one two"
    assert not data.object_exists("nothing")


def headers():
    """What was said of an object is answered with it."""
    data = bucket()
    said = {
        "Content-Type": "application/json",
        "Cache-Control": "no-cache",
        "Content-Disposition": 'attachment; filename="a.json"',
        "Content-Encoding": "identity",
        "Expires": "Sat, 21 Nov 2026 21:24:27 GMT",
        "x-oss-meta-author": "ann",
        "x-oss-storage-class": "IA",
        "Content-MD5": base64.b64encode(hashlib.md5(b"{}").digest()).decode(),
    }
    data.put_object("k", b"{}", headers=said)
    head = data.head_object("k")
    for name in set(said) - {"Content-MD5"}:
        assert head.headers[name] == said[name], (name, dict(head.headers))
    assert head.object_type == "Normal" and head.content_length == 2 and head.last_modified > 1_600_000_000
    assert head.etag == hashlib.md5(b"{}").hexdigest().upper()
    got = data.get_object("k")
    assert got.read() == b"{}" and got.client_crc == int(head.headers["x-oss-hash-crc64ecma"])
    meta = data.get_object_meta("k")
    assert meta.content_length == 2 and meta.etag == head.etag and "x-oss-meta-author" not in meta.headers
    large = noise(4096).hex()
    data.put_object("large.json", json.dumps({"a": large}), headers={"Content-Type": "application/json"})
    got = data.get_object("large.json", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in got.headers and json.loads(got.read())["a"] == large, "it was compressed"
    wrong = {"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}
    refused(None, "InvalidDigest", data.put_object, "k", b"{}", headers=wrong)
    refused(None, "InvalidDigest", data.put_object, "k", b"{}", headers={"Content-MD5": "nonsense"})
    assert data.get_object("k").read() == b"{}"
    changed = data.update_object_meta("k", {"x-oss-meta-author": "bob"})
    assert changed.status == 200 and data.head_object("k").headers["x-oss-meta-author"] == "bob"
    assert data.get_object("k").read() == b"{}"


def ranges():
    """Ranges and conditions are HTTP's."""
    data, content = bucket(), noise(100_000)
    data.put_object("k", content)
    for asked, wanted in [((0, 9), content[:10]), ((99_990, None), content[-10:]), ((None, 7), content[-7:])]:
        got = data.get_object("k", byte_range=asked)
        assert got.status == 206 and got.read() == wanted and got.content_length == len(wanted), asked
    assert data.get_object("k", byte_range=(99_999, 200_000)).read() == content[-1:]
    beyond = refused(None, "InvalidRange", data.get_object, "k", byte_range=(100_000, 100_001))
    assert beyond.status == 416
    head = data.head_object("k")
    etag, since = head.etag, head.headers["Last-Modified"]
    old = "Sat, 01 Jan 2000 00:00:00 GMT"
    for good in ({"If-Match": etag}, {"If-Match": f'"{etag}"', "If-Unmodified-Since": since}, {"If-None-Match": "other"},
                 {"If-Modified-Since": old}, {"If-Match": "*"}):
        assert data.get_object("k", headers=good).read() == content, good
    for fails in ({"If-Match": "other"}, {"If-Unmodified-Since": old}):
        refused(oss2.exceptions.PreconditionFailed, "PreconditionFailed", data.get_object, "k", headers=fails)
        refused(oss2.exceptions.PreconditionFailed, "PreconditionFailed", data.head_object, "k", headers=fails)
    for same in ({"If-None-Match": etag}, {"If-Modified-Since": since}):
        try:
            data.get_object("k", headers=same)
        except oss2.exceptions.NotModified as raised:
            assert raised.status == 304
        else:
            raise AssertionError("it was sent again")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        oss2.resumable_download(data, "k", str(file), multiget_threshold=1, part_size=10_000, num_threads=4)
        assert file.read_bytes() == content


def multipart():
    """25 MiB in parts of several threads, in any order, with the CRC of the whole."""
    data, content = bucket(), noise(25 * MIB)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        put = oss2.resumable_upload(data, "large", str(file), multipart_threshold=10 * MIB, part_size=10 * MIB, num_threads=4)
        assert put.etag.endswith("-3") and put.crc is not None, put.etag
        back = Path(folder) / "back"
        got = data.get_object_to_file("large", str(back))
        assert back.read_bytes() == content and got.client_crc == got.server_crc
    assert data.head_object("large").object_type == "Multipart"
    assert data.get_object("large", byte_range=(10 * MIB - 5, 10 * MIB + 4)).read() == content[10 * MIB - 5 : 10 * MIB + 5]
    upload = data.init_multipart_upload("other", headers={"x-oss-meta-a": "1", "Content-Type": "text/plain"}).upload_id
    parts = []
    for number, text in [(7, b"seven "), (2, b"two "), (9999, b"last")]:
        sent = data.upload_part("other", upload, number, text)
        assert sent.etag == hashlib.md5(text).hexdigest().upper() and sent.crc is not None
        parts.append(PartInfo(number, sent.etag))
    data.upload_part("other", upload, 8, b"never named")
    listed = list(oss2.PartIterator(data, "other", upload, max_parts=2))
    assert [(one.part_number, one.size) for one in listed] == [(2, 4), (7, 6), (8, 11), (9999, 4)], listed
    wrong = [PartInfo(2, "0" * 32)]
    refused(None, "InvalidPart", data.complete_multipart_upload, "other", upload, wrong)
    refused(None, "InvalidPart", data.complete_multipart_upload, "other", upload, [PartInfo(3, "0" * 32)])
    for _ in range(2):
        # The SDK sorts them itself.
        done = data.complete_multipart_upload("other", upload, parts)
        assert done.etag.endswith("-3") and done.crc is not None
    assert data.get_object("other").read() == b"two seven last"
    head = data.head_object("other")
    assert head.content_type == "text/plain" and head.headers["x-oss-meta-a"] == "1"
    gone = refused(oss2.exceptions.NoSuchUpload, "NoSuchUpload", data.upload_part, "other", upload, 1, b"late")
    assert gone.status == 404
    upload = data.init_multipart_upload("other").upload_id
    data.upload_part("other", upload, 1, b"x")
    assert [one.upload_id for one in oss2.MultipartUploadIterator(data)] == [upload]
    assert [one.upload_id for one in oss2.ObjectUploadIterator(data, "other")] == [upload]
    refused(None, "BucketNotEmpty", data.delete_bucket)
    data.abort_multipart_upload("other", upload)
    refused(oss2.exceptions.NoSuchUpload, "NoSuchUpload", data.abort_multipart_upload, "other", upload)
    refused(oss2.exceptions.NoSuchUpload, "NoSuchUpload", data.list_parts, "other", upload)
    refused(oss2.exceptions.NoSuchUpload, "NoSuchUpload", data.list_parts, "other", "nonsense")
    refused(None, "InvalidArgument", data.upload_part, "other", upload, 10_001, b"x")
    upload = data.init_multipart_upload("all").upload_id
    data.upload_part("all", upload, 1, b"all ")
    data.upload_part("all", upload, 2, b"of it")
    data.complete_multipart_upload("all", upload, None, headers={"x-oss-complete-all": "yes"})
    assert data.get_object("all").read() == b"all of it"


def interrupt(name):
    """An upload of 25 MiB that breaks off in its middle: the server is killed when a file says so."""
    data, content, folder = bucket(), noise(25 * MIB, 3), Path.cwd()
    (folder / "large").write_bytes(content)

    def seen(sent, total):
        if sent <= 10 * MIB:
            return
        (folder / name).touch()
        try:
            while True:
                urllib.request.urlopen(f"{URL}/healthz").close()
                time.sleep(0.02)
        except OSError:
            pass

    store = oss2.ResumableStore(root=str(folder))
    try:
        oss2.resumable_upload(data, "resumed", str(folder / "large"), store=store, multipart_threshold=MIB,
                              part_size=MIB, num_threads=1, progress_callback=seen)
    except oss2.exceptions.RequestError:
        return
    raise AssertionError("it was not interrupted")


def resume():
    """The rest of it, once the server is there again: what has arrived is not sent again."""
    data, content, folder = bucket(), noise(25 * MIB, 3), Path.cwd()
    uploads = [one for one in oss2.MultipartUploadIterator(data) if one.key == "resumed"]
    there = {one.part_number for one in oss2.PartIterator(data, "resumed", uploads[-1].upload_id)}
    assert 10 <= len(there) < 25, there
    sent = []
    original = oss2.Bucket.upload_part

    def counted(self, key, upload_id, part_number, *args, **options):
        sent.append(part_number)
        return original(self, key, upload_id, part_number, *args, **options)

    oss2.Bucket.upload_part = counted
    store = oss2.ResumableStore(root=str(folder))
    oss2.resumable_upload(data, "resumed", str(folder / "large"), store=store, multipart_threshold=MIB, part_size=MIB,
                          num_threads=2)
    assert not there & set(sent) and there | set(sent) == set(range(1, 26)), (there, sent)
    got = data.get_object("resumed")
    assert got.read() == content and got.client_crc == got.server_crc


def lists():
    """Pages, prefixes and delimiters, in both versions of the protocol."""
    data = bucket()
    keys = [f"a/{at:02}" for at in range(7)] + [f"b/{at}/x" for at in range(3)] + ["c", "d 中/1", "line\nend", "中文", "z+%2F"]
    for key in keys:
        data.put_object(key, key)
    assert [one.key for one in oss2.ObjectIterator(data, max_keys=3)] == sorted(keys)
    assert [one.key for one in oss2.ObjectIteratorV2(data, max_keys=3, fetch_owner=True)] == sorted(keys)
    folded = ["a/", "b/", "c", "d 中/", "line\nend", "z+%2F", "中文"]
    for iterate in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
        assert [one.key for one in iterate(data, delimiter="/", max_keys=2)] == folded
        assert [one.key for one in iterate(data, prefix="b/", delimiter="/", max_keys=1)] == ["b/0/", "b/1/", "b/2/"]
        assert [one.key for one in iterate(data, prefix="中", max_keys=1)] == ["中文"]
    one = data.list_objects_v2(prefix="a/", start_after="a/04", max_keys=1, fetch_owner=True)
    found = one.object_list[0]
    assert one.is_truncated and found.key == "a/05" and found.size == 4 and found.type == "Normal"
    assert found.etag == hashlib.md5(b"a/05").hexdigest().upper() and found.storage_class == "Standard"
    assert found.owner.id and found.last_modified > 1_600_000_000
    rest = data.list_objects_v2(prefix="a/", continuation_token=one.next_continuation_token)
    assert [one.key for one in rest.object_list] == ["a/06"] and not rest.is_truncated
    page = data.list_objects(prefix="a/", marker="a/05")
    assert [one.key for one in page.object_list] == ["a/06"]
    assert data.list_objects(prefix="nothing").object_list == []
    wrong = refused(None, "InvalidArgument", data.list_objects_v2, continuation_token="!")
    assert "none of ours" in wrong.message
    refused(None, "InvalidArgument", data.list_objects, max_keys=1001)
    deleted = data.batch_delete_objects(keys + ["never there"])
    assert sorted(deleted.deleted_keys) == sorted(keys + ["never there"])
    assert data.list_objects().object_list == []
    for key in ("blank ", " blank", "<&>"):
        data.put_object(key, b"x")
        data.batch_delete_objects([key])
        assert not data.object_exists(key), key
    data.put_object("k", b"x")
    for _ in range(2):
        assert data.delete_object("k").status == 204
    refused(None, "MalformedXML", data.delete_object_versions, _versions())


def _versions():
    from oss2.models import BatchDeleteObjectVersion

    return BatchDeleteObjectVersionList([BatchDeleteObjectVersion("k", "v1")])


def copies():
    """Copies of objects, of their headers and of their parts."""
    data, other = bucket(), bucket("other")
    data.put_object("from/中 +", b"0123456789", headers={"x-oss-meta-a": "1"})
    copied = other.copy_object("data", "from/中 +", "to")
    assert copied.etag == hashlib.md5(b"0123456789").hexdigest().upper()
    assert other.get_object("to").read() == b"0123456789"
    assert other.head_object("to").headers["x-oss-meta-a"] == "1"
    data.delete_object("from/中 +")
    got = other.get_object("to")
    assert got.read() == b"0123456789" and got.client_crc == got.server_crc
    other.copy_object("other", "to", "to", headers={"x-oss-metadata-directive": "REPLACE", "x-oss-meta-b": "2"})
    head = other.head_object("to")
    assert head.headers["x-oss-meta-b"] == "2" and "x-oss-meta-a" not in head.headers
    refused(oss2.exceptions.NoSuchKey, "NoSuchKey", other.copy_object, "data", "from/中 +", "again")
    unlike = {"x-oss-copy-source-if-match": "other"}
    refused(oss2.exceptions.PreconditionFailed, "PreconditionFailed", other.copy_object, "other", "to", "x", headers=unlike)
    upload = other.init_multipart_upload("joined").upload_id
    parts = []
    for number, byte_range in [(1, (8, 9)), (2, (0, 2))]:
        part = other.upload_part_copy("other", "to", byte_range, "joined", upload, number)
        parts.append(PartInfo(number, part.etag))
    other.complete_multipart_upload("joined", upload, parts)
    assert other.get_object("joined").read() == b"89012"
    forbidden = {"x-oss-forbid-overwrite": "true"}
    raised = refused(None, "FileAlreadyExists", other.put_object, "to", b"x", headers=forbidden)
    assert raised.status == 409 and other.get_object("to").read() == b"0123456789"
    other.put_object("new", b"x", headers=forbidden)


def buckets():
    """Buckets are made by writing to them, or by name, and go when they are empty."""
    service = oss2.Service(AUTH, URL)
    bucket("made-by-writing").put_object("k", b"x")
    named = bucket("by-name")
    for _ in range(2):
        named.create_bucket()
    names = [one.name for one in oss2.BucketIterator(service, max_keys=1)]
    assert names == ["by-name", "made-by-writing"], names
    assert [one.name for one in oss2.BucketIterator(service, prefix="made")] == ["made-by-writing"]
    info = named.get_bucket_info()
    assert info.name == "by-name" and info.acl.grant == "private" and info.owner.id and info.location
    assert named.get_bucket_location().location and named.get_bucket_acl().acl == "private"
    assert bucket("made-by-writing").get_object_acl("k").acl == "default"
    named.delete_bucket()
    refused(oss2.exceptions.NoSuchBucket, "NoSuchBucket", named.delete_bucket)
    refused(oss2.exceptions.NoSuchBucket, "NoSuchBucket", named.get_bucket_info)
    refused(None, "BucketNotEmpty", bucket("made-by-writing").delete_bucket)
    for name in ("api", "metrics", "objects"):
        wrong = refused(oss2.exceptions.ServerError, "InvalidBucketName", bucket(name).put_object, "k", b"x")
        assert "own addresses begin so" in wrong.message, wrong


def refusals():
    """Every refusal is the SDK's own exception, and says what to do."""
    data = bucket()
    data.put_object("k", b"x")
    assert refused(oss2.exceptions.NoSuchKey, "NoSuchKey", data.get_object, "nothing").status == 404
    refused(oss2.exceptions.NoSuchBucket, "NoSuchBucket", bucket("nothing").get_object, "k")
    refused(oss2.exceptions.NoSuchBucket, "NoSuchBucket", bucket("nothing").list_objects)
    # Without a body, the words are in a header.
    refused(oss2.exceptions.NoSuchKey, "NoSuchKey", data.head_object, "nothing")
    refused(oss2.exceptions.NoSuchBucket, "NoSuchBucket", bucket("nothing").head_object, "k")
    key, secret = os.environ["RUNYARD_TEST_KEY"], os.environ["RUNYARD_TEST_SECRET"]
    bad = bucket(auth=oss2.Auth(key, secret + "x"))
    wrong = refused(oss2.exceptions.SignatureDoesNotMatch, "SignatureDoesNotMatch", bad.put_object, "k", b"y" * MIB)
    assert secret not in str(wrong)
    nobody = bucket(auth=oss2.Auth("nobody", secret))
    refused(None, "InvalidAccessKeyId", nobody.get_object, "k")
    refused(None, "InvalidAccessKeyId", nobody.head_object, "k")
    newer = bucket(auth=oss2.AuthV4(key, secret), region="cn-hangzhou")
    assert "OSS4-HMAC-SHA256" in refused(None, "InvalidArgument", newer.get_object, "k").message
    refused(None, "InvalidObjectName", data.put_object, "/k", b"x")
    refused(None, "InvalidObjectName", data.put_object, "zero\0", b"x")
    refused(None, "InvalidObjectName", data.put_object, "x" * 1024, b"x")
    for call, args, options in [
        (data.append_object, ("k", 0, b"x"), {}),
        (data.put_object, ("k", b"x"), {"headers": {"x-oss-server-side-encryption": "AES256"}}),
        (data.put_object, ("k", b"x"), {"headers": {"x-oss-object-acl": "public-read"}}),
        (data.put_object, ("k", b"x"), {"headers": {"x-oss-tagging": "a=b"}}),
        (data.put_symlink, ("k", "l"), {}),
        (data.get_object_tagging, ("k",), {}),
        (data.get_bucket_lifecycle, (), {}),
        (data.get_object, ("k",), {"process": "image/resize,w_100"}),
    ]:
        # Not 501: many clients would ask again.
        assert refused(None, "NotImplemented", call, *args, **options).status == 400
    large = refused(None, "InvalidArgument", data.put_object, "k", b"x", headers={"x-oss-meta-a": "x" * 9000})
    assert "8192" in large.message
    assert data.get_object("k").read() == b"x"
    for date, code in [("Sat, 01 Jan 2000 00:00:00 GMT", "RequestTimeTooSkewed"), ("yesterday", "AccessDenied")]:
        text = f"GET\n\n\n{date}\n/data/k".encode()
        signature = base64.b64encode(hmac.new(secret.encode(), text, "sha1").digest()).decode()
        headers = {"Date": date, "Authorization": f"OSS {key}:{signature}"}
        try:
            urllib.request.urlopen(urllib.request.Request(f"{URL}/data/k", headers=headers))
        except urllib.error.HTTPError as error:
            assert error.code == 403 and f"<Code>{code}</Code>" in error.read().decode(), code
        else:
            raise AssertionError(f"{code} was expected")


def signed():
    """Addresses that were signed with an access key may be used without it."""
    data = bucket()
    data.put_object("a/中 b", b"content")

    def ask(method, url, body=None, headers=()):
        request = urllib.request.Request(url, method=method, data=body, headers=dict(headers))
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    for slash_safe in (False, True):
        address = data.sign_url("GET", "a/中 b", 60, slash_safe=slash_safe)
        assert ask("GET", address)[:2] == (200, b"content")
    named = data.sign_url("GET", "a/中 b", 60, params={"response-content-type": "text/x-shown"})
    assert ask("GET", named)[2]["Content-Type"] == "text/x-shown"
    status, body, _ = ask("GET", address.replace("Signature=", "Signature=x"))
    assert status == 403 and b"SignatureDoesNotMatch" in body, body
    status, body, _ = ask("DELETE", address)
    assert status == 403 and data.object_exists("a/中 b"), body
    put = data.sign_url("PUT", "put", 60, headers={"Content-Type": "text/plain"})
    assert ask("PUT", put, b"by address", {"Content-Type": "text/plain"})[0] == 200
    assert data.get_object("put").read() == b"by address"
    status, body, _ = ask("GET", data.sign_url("GET", "put", -10))
    assert status == 403 and b"expired" in body, body
    status, body, _ = ask("GET", f"{URL}/data/put")
    assert status == 404 and b"there is nothing at" in body, "who is not signed asks our own API"


def hosts():
    """A bucket may be named by the host. A proxy stands for the names that a test has none for."""
    data = bucket(endpoint="http://oss.example", proxies={"http": URL})
    for key in ("plain", "api/v2/runs", "healthz", "objects/x", "中 +"):
        data.put_object(key, key)
        assert data.get_object(key).read() == key.encode(), key
        assert bucket().get_object(key).read() == key.encode(), key
    assert len(list(oss2.ObjectIteratorV2(data, prefix="api"))) == 1
    assert data.get_bucket_info().name == "data"
    refused(oss2.exceptions.NoSuchKey, "NoSuchKey", data.get_object, "nothing")
    in_path = bucket(endpoint="http://oss.example", proxies={"http": URL}, is_path_style=True)
    assert in_path.get_object("plain").read() == b"plain"
    assert in_path.get_bucket_info().name == "data"


def projects():
    """A bucket belongs to the project of who made it; a revoked key works no more."""
    bucket().put_object("k", b"of the default project")
    ours("POST", "/projects", {"name": "other"})
    made = ours("POST", "/tokens", {"name": "b", "scope": "project", "project_id": "other", "access_key": True})
    theirs = oss2.Auth(made["token"]["access_key_id"], made["secret"])
    for call, args in [
        (bucket(auth=theirs).get_object, ("k",)),
        (bucket(auth=theirs).head_object, ("k",)),
        (bucket(auth=theirs).put_object, ("k", b"x")),
        (bucket(auth=theirs).delete_object, ("k",)),
        (bucket(auth=theirs).list_objects, ()),
        (bucket(auth=theirs).create_bucket, ()),
        (bucket("theirs", auth=theirs).copy_object, ("data", "k", "k")),
    ]:
        refused(oss2.exceptions.AccessDenied, "AccessDenied", call, *args)
    own = bucket("theirs", auth=theirs)
    own.put_object("k", b"of the other one")
    assert [one.name for one in oss2.BucketIterator(oss2.Service(theirs, URL))] == ["theirs"]
    assert bucket("theirs").get_object("k").read() == b"of the other one", "an admin reads everything"
    ours("DELETE", f"/tokens/{made['token']['id']}")
    assert "revoked" in refused(None, "InvalidAccessKeyId", own.get_object, "k").message


def main():
    name, *args = sys.argv[1:]
    globals()[name](*args)
    print("all of it works")


if __name__ == "__main__":
    main()
