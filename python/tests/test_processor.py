"""What is packed for the server, and what a processing job refuses before anything is sent."""

import io
import os
import tarfile
import tempfile
import unittest
from pathlib import Path

from runyard import Channel, Processor
from runyard.package import Package


def members(package):
    """What is in a package: raw blocks of one zstd frame, around a tar."""
    file, length = package.rewound()
    data = file.read()
    assert len(data) == length and data[:4] == b"\x28\xb5\x2f\xfd", data[:8]
    at, tar, last = 6, b"", False
    while not last:
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        assert kind == 0 and size <= 1 << 17, (kind, size)
        tar += data[at + 3 : at + 3 + size]
        at += 3 + size
    assert at == len(data)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: (oct(member.mode), archive.extractfile(member).read() if member.isreg() else None) for member in archive}


class Packing(unittest.TestCase):
    def setUp(self):
        manager = tempfile.TemporaryDirectory()
        self.addCleanup(manager.cleanup)
        self.base = Path(manager.name)

    def write(self, name, content=b"x"):
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def test_code_is_packed_without_what_is_no_program_and_data_with_everything(self):
        for name in ("main.py", ".git/config", "__pycache__/a.pyc", "sub/b.pyc", "sub/tool.sh", "empty/.keep"):
            self.write(name)
        os.chmod(self.base / "sub/tool.sh", 0o700)
        with Package(self.base, whole=False) as code:
            found = members(code)
        self.assertEqual(sorted(found), ["empty", "empty/.keep", "main.py", "sub", "sub/tool.sh"])
        self.assertEqual(found["sub/tool.sh"][0], "0o755")
        self.assertEqual(found["main.py"], ("0o644", b"x"))
        with Package(self.base, whole=True) as data:
            self.assertIn("sub/b.pyc", members(data))

    def test_the_same_files_give_the_same_digest_and_large_ones_many_blocks(self):
        large = self.write("large.bin", os.urandom(1 << 20))
        with Package(self.base, whole=True) as one:
            digest = one.digest
            self.assertEqual(members(one)["large.bin"][1], large.read_bytes())
        os.utime(large, (1, 1))
        with Package(self.base, whole=True) as two:
            self.assertEqual(two.digest, digest)

    def test_one_file_is_an_input_by_its_name(self):
        self.write("other.txt")
        with Package(self.write("words.txt", b"one"), whole=True) as package:
            self.assertEqual(package.uri, f"upload://{package.digest}/words.txt")
            self.assertEqual(list(members(package)), ["words.txt"])

    def test_what_cannot_be_packed_is_named(self):
        with self.assertRaisesRegex(ValueError, "is no folder"):
            Package(self.write("main.py"), whole=False)
        (self.base / "link").symlink_to("/etc/passwd")
        with self.assertRaisesRegex(ValueError, "leads out of the folder"):
            Package(self.base, whole=True)
        (self.base / "link").unlink()
        self.write(".runyardignore")
        with self.assertRaisesRegex(ValueError, "runyard process"):
            Package(self.base, whole=False)


class Refusing(unittest.TestCase):
    def test_every_wrong_field_is_named_before_anything_is_sent(self):
        processor = Processor(None, "", labels={"team": "ocr"})
        processor.set_input_channels([Channel("train", required=True)])
        with self.assertRaises(ValueError) as caught:
            processor.run({"gone": "/no/such/file"}, {"o": "./here"})
        for part in ("command: is needed", "inputs.train: is required", "inputs.gone: '/no/such/file'", "outputs.o: './here'"):
            self.assertIn(part, str(caught.exception))
        self.assertEqual(processor.get_outputs_data(), {})


if __name__ == "__main__":
    unittest.main()
