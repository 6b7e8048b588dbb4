"""A program: runs one command where it sees nothing of this machine but what it is given, and can reach nobody.

A dump is code. So its restore has a root of its own (a few read-only folders of the system, one folder to write in), no
network but its own loopback, process ids of its own, and a user that owns nothing else. As root that is another user of
the machine; for everybody else a user namespace, in which nothing but these folders exists.
It ends with the process that started it: the lifeline is a pipe that nobody else holds, and what the command started
ends with the command, because the kernel ends a pid namespace with its first process.
Only the standard library, and nothing of ours: it runs with `python -I -S`.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = 4096, 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
#: Flags of a mount that a user namespace may not take away, as statvfs tells them (Linux: the same bits).
LOCKED = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
DEVICES = ("null", "zero", "random", "urandom")
#: The exit code where no jail could be made; its stderr says why.
EXIT_NO_JAIL = 125

libc = ctypes.CDLL(None, use_errno=True)


class NoJailError(Exception):
    """The system refused a part of it."""


def main() -> int:
    """The command's exit code, 128 and its signal, or EXIT_NO_JAIL."""
    wanted = json.loads(sys.argv[1])
    try:
        _leave_namespaces(wanted)
    except NoJailError as error:
        print(f"no jail: {error}", file=sys.stderr)  # noqa: T201 - a program's own voice
        return EXIT_NO_JAIL
    child = os.fork()
    if child == 0:
        _become(wanted)
    return _watch(child, wanted["lifeline"])


def _leave_namespaces(wanted: dict[str, Any]) -> None:
    """From here on the next child is alone."""
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        return _call("unshare", libc.unshare(flags))
    _call("unshare as a user", libc.unshare(flags | CLONE_NEWUSER))
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{wanted['uid']} {uid} 1")
        _write("/proc/self/gid_map", f"{wanted['gid']} {gid} 1")
    except OSError as error:
        raise NoJailError(f"the user namespace: {error.strerror}") from error
    return None


def _become(wanted: dict[str, Any]) -> NoReturn:
    """In the first process of the jail: build its root, give up every right, and be the command."""
    try:
        os.close(wanted["lifeline"])
        _build_root(wanted["root"], wanted["binds"])
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(*[wanted["gid"]] * 3)
            os.setresuid(*[wanted["uid"]] * 3)
        _call("no new privileges", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _call("its end", libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.umask(0o077)
        os.chdir(wanted["folder"])
        os.closerange(3, 1024)
        command = wanted["command"]
        os.execve(command[0], command, wanted["environment"])  # noqa: S606 - no shell: that is what is wanted
    except (NoJailError, OSError) as error:
        os.write(2, f"no jail: {error}\n".encode())
    os._exit(EXIT_NO_JAIL)


def _build_root(root: str, binds: list[tuple[str, str, bool]]) -> None:
    os.umask(0o022)  # what it makes is for another user
    _mount("/", None, MS_REC | MS_PRIVATE)
    _mount(root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    for folder in ("dev", "dev/shm", "tmp"):
        os.mkdir(f"{root}/{folder}")
    for folder in ("dev/shm", "tmp"):
        _mount(f"{root}/{folder}", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for device in DEVICES:
        open(f"{root}/dev/{device}", "w").close()
        _mount(f"{root}/dev/{device}", f"/dev/{device}", MS_BIND)
    for source, target, is_writable in binds:
        _bind(source, root + target, is_writable)
    os.chdir(root)
    number = PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise NoJailError(f"pivot_root is not known for {os.uname().machine}")
    _call("pivot_root", libc.syscall(number, b".", b"."))
    _call("umount of the old root", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    _mount("/", None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _bind(source: str, target: str, is_writable: bool) -> None:
    """A folder or a file of the system at its place; a symbolic link is one there too."""
    if os.path.islink(source):
        return os.symlink(os.readlink(source), target)
    os.makedirs(target if os.path.isdir(source) else os.path.dirname(target), exist_ok=True)
    if not os.path.isdir(source):
        open(target, "w").close()
    try:
        _mount(target, source, MS_BIND)
    except NoJailError:  # a user namespace may not look below what is mounted there
        _mount(target, source, MS_BIND | MS_REC)
    locked = os.statvfs(source).f_flag & LOCKED
    return _mount(
        target, None, MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | locked | (0 if is_writable else MS_RDONLY)
    )


def _mount(target: str, source: str | None, flags: int, options: str = "") -> None:
    kind = b"tmpfs" if source == "tmpfs" else None
    words = (source.encode() if source else None, target.encode(), kind, flags, options.encode())
    _call(f"mount of {target}", libc.mount(*words))


def _call(what: str, returned: int) -> None:
    if returned != 0:
        raise NoJailError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _watch(child: int, lifeline: int) -> int:
    """Wait for the command; kill it where the lifeline ends. A signal to us is one to the command."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    end = os.pidfd_open(child)
    poll = select.poll()
    for descriptor in (lifeline, end):
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    if end not in {descriptor for descriptor, _ in poll.poll()}:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
