"""silent_files.py SOCKET DEVICE DIRECTORY [UID | overlay]: a FUSE whose server, a user's, does not say that a file may be closed.

For each line of stdin a request is sent with a descriptor of its file; the answer is printed. Of one that ends in "..." it is the
beginning alone, and nothing is printed. On stderr "flush" is said for each close that waits. For an empty line all of them are let
go, and at the end of stdin the server is killed. With UID it begins as root, and mounts it for all; with
"overlay" the file is one of an overlay of the user's own above it.

silent_files.py exec DEVICE DIRECTORY: the execve(2) of a child comes to no end, as it closes such a file; and this one spins.
"""

import ctypes
import os
import signal
import socket
import struct
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
LOOKUP, GETATTR, OPEN, STATFS, RELEASE, FLUSH, INIT, OPENDIR = 1, 3, 14, 17, 18, 25, 26, 27  # fuse(4), linux/fuse.h
FORGET, INTERRUPT, BATCH_FORGET = 2, 36, 42  # these have no answer
ENOSYS, ROOT = 38, 1
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(device, where):
    uid, gid = os.getuid(), os.getgid()
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    for name, words in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(words)
    return mount_fuse(device, where, "user_id=0,group_id=0")


def mount_fuse(device, where, options):
    fd = os.open(device, os.O_RDWR)
    checked(libc.mount(b"silent", where.encode(), b"fuse", 0, f"fd={fd},rootmode=40000,{options}".encode()))
    return fd


def mount_for_all(device, where, uid):
    """As fusermount does where fuse.conf lets users (user_allow_other)."""
    fd = mount_fuse(device, where, f"user_id={uid},group_id={uid},allow_other")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return fd


def attributes(node):
    mode = 0o40755 if node == ROOT else 0o100666
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def serve(fd):
    """Until it is killed: then whoever waits for it is let go."""
    closes = []  # that wait
    answers = {
        INIT: lambda node: struct.pack("<IIIIHHIIHHIIHH", 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, 0, 0, 0, 0) + bytes(20),
        LOOKUP: lambda node: struct.pack("<4QII", 2, 0, 1000, 1000, 0, 0) + attributes(2),
        GETATTR: lambda node: struct.pack("<QII", 1000, 0, 0) + attributes(node),
        OPEN: lambda node: struct.pack("<QII", 1, 0, 0),
        OPENDIR: lambda node: struct.pack("<QII", 1, 0, 0),
        STATFS: lambda node: struct.pack("<5Q4I24x", 100, 100, 100, 100, 100, 4096, 255, 4096, 0),
        RELEASE: lambda node: b"",
    }

    def let_go(number, frame):
        while closes:
            answer(fd, closes.pop())

    signal.signal(signal.SIGUSR1, let_go)
    while True:
        _, code, unique, node = struct.unpack_from("<IIQQ", os.read(fd, 1 << 17))
        if code == FLUSH:
            closes.append(unique)
            os.write(sys.stderr.fileno(), b"flush\n")
        elif code in answers:
            answer(fd, unique, answers[code](node))
        elif code not in (FORGET, INTERRUPT, BATCH_FORGET):
            answer(fd, unique, b"", -ENOSYS)


def answer(fd, unique, data=b"", error=0):
    os.write(fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)


def use(path, connection):
    replies, server = connection.makefile("r", encoding="utf-8"), os.getppid()
    file = os.open(path, os.O_RDONLY)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "\n":
            os.kill(server, signal.SIGUSR1)
            continue
        socket.send_fds(connection, [line.removesuffix("...\n").encode()], [file])
        if line.endswith("...\n"):
            continue
        print(replies.readline(), end="", flush=True)
    os.kill(server, signal.SIGKILL)


def hang_in_exec(device, directory):
    server = mount(device, directory)
    if os.fork() == 0:
        serve(server)
    os.close(server)
    os.open(os.path.join(directory, "file"), os.O_RDWR | os.O_CLOEXEC)
    if os.fork() == 0:
        os.execv("/bin/true", ["true"])
    while True:
        pass


def mount_above(directory):
    checked(libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None))
    for name in ("/mnt/empty", "/mnt/all"):
        os.mkdir(name)
    checked(libc.mount(b"overlay", b"/mnt/all", b"overlay", 0, f"lowerdir={directory}:/mnt/empty".encode()))
    return "/mnt/all"


def main():
    if sys.argv[1] == "exec":
        hang_in_exec(*sys.argv[2:])
    path, device, directory, *how = sys.argv[1:]
    server = mount(device, directory) if how in ([], ["overlay"]) else mount_for_all(device, directory, int(how[0]))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    if os.fork() > 0:
        connection.close()
        serve(server)
    os.close(server)
    use(os.path.join(mount_above(directory) if how == ["overlay"] else directory, "file"), connection)


main()
