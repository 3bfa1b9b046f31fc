#!/usr/bin/env python3
"""A whole machine in an emulator: emulate.py BUILD SERVICE_BUILD, the latter with --prefix=/usr.

A kernel and a systemd of Debian's that hand controllers of cgroups down to supd, which not every machine's do. In it run
the service's scenes, those of limits, and from end to end what depends on the kernel. Where there can be no such machine
this says why, and passes. The last line says how many passed and failed.
"""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from machine import Unavailable, install, make_tree, needed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SUITE = "trixie"  # systemd 257: DelegateSubgroup= is known from 254 on
PACKAGES = ("systemd,systemd-sysv,dbus,libpam-systemd,libev4t64,libjansson4,libsqlite3-0,libnettle8t64,python3,procps,"
            "kmod,linux-image-cloud-amd64")
UNNEEDED = ("boot", "usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists")
MEMORY = 3072  # MiB: the tree is in it too
DISK = 64 << 20
GUARD = 1800  # seconds; against a hang
END_TO_END = "test_resources test_leavers test_faults.test_a_signal test_descendants test_users test_kill.test_kill_reaches"
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
WorkingDirectory=/supd
ExecStart=/bin/bash /supd/inside
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
ExecStopPost=/usr/bin/systemctl poweroff --force --force
"""
# The second part runs in the root's cgroup: what is below another's could hand nothing down, as its tests are in it.
INSIDE = """modprobe virtio_blk
python3 -B tests/systemd/run.py --here
echo $$ >/sys/fs/cgroup/cgroup.procs
export SUPD=build/daemon/supd SUPCTL=build/client/supctl SUPD_CHILD=build/tests/child
python3 -B tests/e2e/run.py --jobs 1 NAMES
"""


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def copy_project(build, tree):
    """The tests and what they run, without what compiling left."""
    for folder in ("tests", "client/python"):
        shutil.copytree(os.path.join(ROOT, folder), os.path.join(tree, "supd", folder))
    for folder in ("daemon", "client", "tests"):
        shutil.copytree(os.path.join(build, folder), os.path.join(tree, "supd/build", folder),
                        ignore=shutil.ignore_patterns("*.p", "unit", "bench"))


def make_image(directory, build, service_build):
    """The kernel and a file system in memory, with all of it."""
    tree, kernel, image = (os.path.join(directory, name) for name in ("tree", "kernel", "image"))
    make_tree(tree, SUITE, PACKAGES)
    shutil.move(glob.glob(f"{tree}/boot/vmlinuz-*")[0], kernel)
    for path in UNNEEDED:
        shutil.rmtree(os.path.join(tree, path))
    for path in glob.glob(f"{tree}/usr/lib/modules/**/*.ko*", recursive=True):
        if "virtio" not in path:
            os.unlink(path)
    install(service_build, tree)
    copy_project(build, tree)
    put(f"{tree}/supd/inside", INSIDE.replace("NAMES", END_TO_END))
    put(f"{tree}/etc/systemd/system/supd-tests.service", UNIT)
    subprocess.run(f"find . -print0 | cpio --null -o -H newc --quiet | gzip -1 >{image}", shell=True, cwd=tree, check=True)
    return kernel, image


def emulate(directory, kernel, image):
    """Prints what it says as it comes. Returns that."""
    disk = os.path.join(directory, "disk")
    with open(disk, "wb") as file:
        file.truncate(DISK)
    console = os.path.join(directory, "console")
    command = ["timeout", str(GUARD), "qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg,thread=multi", "-cpu", "max",
               "-smp", str(os.cpu_count()), "-m", str(MEMORY), "-nographic", "-no-reboot", "-nodefaults",
               "-drive", f"file={disk},format=raw,if=virtio", "-serial", f"file:{console}", "-serial", "stdio",
               "-kernel", kernel, "-initrd", image,
               "-append", "console=ttyS0 rdinit=/sbin/init panic=-1 quiet systemd.wants=supd-tests.service"]
    said = ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            said += line
            print(line.rstrip(), flush=True)
    if "passed" not in said:
        with open(console, encoding="utf-8", errors="replace") as file:
            print("the console's last words:", file.read()[-2000:])
    return said


def main():
    build, service_build = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="supd-machine-") as directory:
        try:
            if platform.machine() != "x86_64":
                raise Unavailable("its kernel is for x86_64")
            needed("qemu-system-x86_64", "mmdebstrap", "cpio")
            kernel, image = make_image(directory, build, service_build)
        except Unavailable as why:
            print(f"skipped: there can be no such machine here: {why}")
            print("0 passed, 0 failed")
            return 0
        said = emulate(directory, kernel, image)
    counts = re.findall(r"^(\d+) passed, (\d+) failed", said, re.MULTILINE)
    passed, failed = (sum(map(int, numbers)) for numbers in zip(*counts)) if counts else (0, 0)
    failed += len(counts) != 2  # a part that did not come to its end
    failed += len(re.findall("^skipped", said, re.MULTILINE))  # this is the machine that it is for
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
