"""Whether a folder lies on a network share, where SQLite's write-ahead log is unsafe.

The log needs memory shared by all processes, which two machines do not have
(https://www.sqlite.org/wal.html, section 1).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_NETWORK = {
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "drvfs", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav",
}  # fmt: skip
_LINUX = re.compile(r"^\S+ (?P<place>\S+) (?P<kind>\S+)", re.MULTILINE)
_MACOS = re.compile(r"^.+? on (?P<place>.+) \((?P<kind>\w+)", re.MULTILINE)


def is_on_network(folder: Path) -> bool:
    """Return whether the folder lies on a network share or on a user-space file system.

    Parameters
    ----------
    folder : Path
        An existing folder.

    Returns
    -------
    bool
        False also where the system does not tell.
    """
    folder = folder.resolve()
    if sys.platform == "win32":
        return _is_remote_drive(folder)
    return is_network_mount(folder, _mounts())


def is_network_mount(folder: Path, mounts: str) -> bool:
    r"""Return whether the mount that holds the folder is a network one.

    Parameters
    ----------
    folder : Path
        An absolute folder.
    mounts : str
        The mount table as Linux's ``/proc/self/mounts`` or macOS's ``mount`` print it.

    Examples
    --------
    >>> table = "/dev/sda1 / ext4 rw 0 0\nnas:/data /mnt/my\\040nas nfs4 rw 0 0"
    >>> is_network_mount(Path("/mnt/my nas/pets"), table)
    True
    >>> is_network_mount(Path("/home/ana"), table)
    False
    """
    pattern = _MACOS if " on /" in mounts else _LINUX  # Linux writes spaces as \\040
    kinds = {_unescape(match["place"]): match["kind"] for match in pattern.finditer(mounts)}
    holding = [place for place in (folder, *folder.parents) if str(place) in kinds]
    kind = kinds[str(holding[0])] if holding else ""
    return kind in _NETWORK or kind.startswith("fuse.")


def _unescape(place: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place)


def _mounts() -> str:
    if sys.platform == "darwin":
        return subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout
    table = Path("/proc/self/mounts")
    return table.read_text("utf-8", "surrogateescape") if table.exists() else ""


def _is_remote_drive(folder: Path) -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    remote = 4  # DRIVE_REMOTE
    is_unc = folder.drive.startswith("\\\\")
    return is_unc or ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == remote
