"""Network shares, as the systems' mount tables show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from handful.project.network import is_network_mount, is_on_network

LINUX = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
nas:/export /mnt/nas nfs4 rw,vers=4.2 0 0
//nas/photos /mnt/my\\040photos cifs rw 0 0
ana@host: /home/ana/remote fuse.sshfs rw 0 0
/dev/sdb1 /mnt/nas/local ext4 rw 0 0
/dev/sdc1 /mnt/ntfs fuseblk rw 0 0
"""
MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//ana@nas/photos on /Volumes/my photos (smbfs, nodev, nosuid, mounted by ana)
"""


@pytest.mark.parametrize(
    ("mounts", "folder", "expected"),
    [
        (LINUX, "/home/ana/images", False),
        (LINUX, "/mnt/nas", True),
        (LINUX, "/mnt/nas/a/b", True),
        (LINUX, "/mnt/nas/local/a", False),
        (LINUX, "/mnt/nasty", False),
        (LINUX, "/mnt/my photos/2024", True),
        (LINUX, "/home/ana/remote/images", True),
        (LINUX, "/mnt/ntfs/images", False),
        (MACOS, "/Users/ana/images", False),
        (MACOS, "/Volumes/my photos/2024", True),
        ("", "/anywhere", False),
    ],
)
def test_mount_tables(mounts, folder, expected):
    assert is_network_mount(Path(folder), mounts) == expected


def test_this_system_answers(tmp_path):
    assert is_on_network(tmp_path) in (True, False)
