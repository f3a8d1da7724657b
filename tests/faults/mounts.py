# SPDX-License-Identifier: BSL-1.0
"""Loop devices and mounts that leave nothing behind, whatever happens.

A loop device is set up to go with its last user, which is its mount; mounts are made in a mount
namespace of this process (full_disk.in_a_namespace), with which they go. So also a driver that is
killed leaves nothing. (Where all loop devices are taken the kernel makes another one; such a one
stays, unused.)
"""

import ctypes
import errno
import fcntl
import os
import pathlib
import struct
import time

import processes

LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LO_FLAGS_AUTOCLEAR = 4
MS_BIND = 4096
MNT_DETACH = 2
SECTOR = 512

LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *words):
    """A system call of libc that returns 0, or raises OSError."""
    if function(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(source, folder, kind, flags=0, options=""):
    call(LIBC.mount, str(source).encode(), str(folder).encode(), kind.encode(),
         ctypes.c_ulong(flags), options.encode())


def unmount(folder):
    """Unmounts, and waits for whoever is still about to leave it."""
    until = time.monotonic() + processes.LONGEST_S
    while True:
        try:
            return call(LIBC.umount2, str(folder).encode(), 0)
        except OSError as failure:
            if failure.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def loop_device(file):
    """A loop device over an open file. Returns its path and a descriptor that keeps it."""
    configuration = bytearray(struct.pack("II", file, SECTOR) + bytes(232 + 64))
    struct.pack_into("I", configuration, 8 + 52, LO_FLAGS_AUTOCLEAR)
    with open("/dev/loop-control", "rb", buffering=0) as control:
        for _ in range(100):
            path = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, bytes(configuration))
                return path, device
            except OSError as failure:
                os.close(device)
                if failure.errno != errno.EBUSY:  # somebody else was quicker
                    raise
    raise OSError(errno.EBUSY, "there is always somebody quicker to take a loop device")


def mount_file(file, folder, kind, options):
    """Mounts what an open file holds."""
    path, device = loop_device(file)
    try:
        mount(path, folder, kind, 0, options)
    finally:
        os.close(device)


def mounted_under(root):
    """What is mounted at a folder and below, the innermost first."""
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            point = pathlib.Path(line.split()[4])
            if point == root or root in point.parents:
                points.append(point)
    return sorted(points, key=lambda point: len(point.parts), reverse=True)


class Place:
    """A small file system in memory, to mount others in."""

    # It is there wherever FUSE is, and nobody needs it here. A folder made for this would be left
    # behind by a driver that is killed.
    ROOT = pathlib.Path("/sys/fs/fuse/connections")

    def __enter__(self):
        try:
            mount("tmpfs", self.ROOT, "tmpfs", 0, "size=1m")
        except OSError as failure:
            processes.skip(f"nothing can be mounted: {failure}")
        return self.ROOT

    def __exit__(self, *_):
        for point in mounted_under(self.ROOT)[:-1]:
            try:
                unmount(point)
            except OSError as failure:
                print(f"WRONG cannot unmount {point}: {failure}")
                LIBC.umount2(str(point).encode(), MNT_DETACH)


def another_boot(root):
    """From here on, this is another boot of the machine for all who ask the kernel which it is."""
    real = pathlib.Path("/proc/sys/kernel/random/boot_id")
    other = root / "boot_id"
    digits = real.read_text()
    other.write_text(("1" if digits[0] == "0" else "0") + digits[1:])
    mount(other, real, "none", MS_BIND)
