"""Checks of the configuration and of the store: who may read and write it, its disk, its room."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator

from nftui import config, machine
from nftui.checks.finding import Finding, Patient, me, ok, problem, user, warning
from nftui.units import SECOND, duration, flows_per_second, octets

LEAST_FREE, LEAST_INODES = 0.05, 0.05
"""Parts of the disk."""
SLOW_WRITE, SLOW_READ = 30_000_000, 100_000_000
"""Octets a second. A hundred thousand flows a second are some ten million octets a second to write, and twice that in bursts."""
NETWORKED = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs")
PASSING = ("tmpfs", "ramfs")


def check_configuration(patient: Patient) -> Iterator[Finding]:
    """See that the configuration can be read, is right, and is not everybody's to write."""
    path = patient.config_path
    if patient.mistake:
        yield problem(patient.mistake, "mend that; what follows was checked with the defaults")
    try:
        about = path.stat()
    except FileNotFoundError:
        if not patient.mistake:
            yield ok(f"{path}: none, so all is as by default")
        return
    except OSError:
        return
    if about.st_mode & stat.S_IWOTH and not stat.S_ISCHR(about.st_mode):
        yield problem(f"{path} may be written by everybody", f"chmod o-w {path}")
    elif not patient.mistake:
        off = "" if patient.config.collector.enabled else "; collecting is switched off"
        yield ok(f"{path}, owner {_owner(about)}{off}")


def check_directory(patient: Patient) -> Iterator[Finding]:
    """See whose the data directory is, and who may do what there."""
    data = patient.data
    if not data.exists():
        above = next(folder for folder in data.absolute().parents if folder.exists())
        if os.access(above, os.W_OK | os.X_OK):
            yield ok(f"{data}: the collector makes it when it starts")
        else:
            yield problem(
                f"{data}: there is none, and {me()} may not make it", f"make it, or name another with --data: mkdir {data}"
            )
        return
    about = data.stat()
    told = f"{data}, owner {_owner(about)}, mode {stat.S_IMODE(about.st_mode):04o}"
    if not data.is_dir():
        yield problem(f"{data} is no directory", "name another with --data or store.path")
    elif about.st_mode & stat.S_IRWXO:
        yield warning(f"{told}: everybody may look into it", f"chmod o-rwx {data}, as flows tell who talks to whom")
    elif not os.access(data, os.R_OK | os.X_OK):
        yield problem(f"{told}: {me()} may not read it", f"usermod -aG {_group(about)} {me()}, and log in again")
    elif not os.access(data, os.W_OK):
        yield ok(f"{told}: {me()} may read it, and its owner collects")
    else:
        yield ok(told)


def check_files(patient: Patient) -> Iterator[Finding]:
    """See that all is its owner's: a collector that root ran once leaves files that the service may not write."""
    if not patient.readable:
        return
    owner = patient.data.stat().st_uid
    looked = 0
    for folder in (patient.data, patient.data / "tail", patient.data / "flows"):
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                looked += 1
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # sealed meanwhile
                    continue
                if about.st_uid != owner:
                    whose = user(owner)
                    yield problem(
                        f"{entry.path} is {user(about.st_uid)}'s, and the data directory {whose}'s",
                        f"chown -R {whose}: {patient.data}",
                    )
                    return
    yield ok(f"{looked:,} files and folders looked at, all {user(owner)}'s")


def check_file_system(patient: Patient) -> Iterator[Finding]:
    """See that the store is on a disk of this machine."""
    found = machine.mount(patient.data)
    if found is None:
        yield ok("can't be told here")
        return
    told = f"{found.kind} on {found.source}, mounted at {found.place}"
    if found.kind in PASSING:
        yield warning(f"{told}: it is in memory", "name a data directory on a disk: the next boot takes these flows away")
    elif found.kind in NETWORKED:
        yield warning(
            f"{told}: it is on another machine", "keep the store on a disk of this machine: a network that hangs stops storing"
        )
    else:
        yield ok(told)


def check_room(patient: Patient) -> Iterator[Finding]:
    """See that there is room, of octets and of inodes."""
    status = os.statvfs(next(folder for folder in (patient.data, *patient.data.absolute().parents) if folder.exists()))
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    kept = patient.config.store
    told = f"{octets(free)} of {octets(total)} free"
    if status.f_files and status.f_favail < status.f_files * LEAST_INODES:
        yield problem(
            f"{status.f_favail:,} of {status.f_files:,} inodes free", "remove small files there, or make a file system with more"
        )
    mend = "make room, or keep less: store.max_lifespan, store.max_size"
    if free < min(config.size(kept.min_free or "0"), total // 20):
        yield problem(f"{told}: less than store.min_free", mend)
    elif free < total * LEAST_FREE:
        yield warning(told, mend)
    else:
        days = f"flows are kept {kept.max_lifespan:g} days" if kept.max_lifespan else "flows are kept for ever"
        yield ok(f"{told}; {days}{f', {kept.max_size} at most' if kept.max_size else ''}")


def check_disk(patient: Patient) -> Iterator[Finding]:
    """Measure how fast the disk is written and read."""
    from nftui.engine import disk

    if not patient.data.is_dir():
        yield ok("not measured: there is no data directory yet")
        return
    if not os.access(patient.data, os.W_OK | os.X_OK):
        yield ok(f"not measured: {me()} may not write {patient.data}")
        return
    try:
        speed = disk.measure(patient.data)
    except OSError as error:
        yield problem(f"{patient.data} can't be written: {error.strerror}", "make room, or see to the disk")
        return
    told = f"{octets(speed.written)}/s written, {octets(speed.read)}/s read ({octets(speed.octets)}, with fsync)"
    if speed.written < SLOW_WRITE:
        yield warning(told, "put the store on a faster disk where many flows come: those that it can't take wait in memory")
    elif speed.read < SLOW_READ:
        yield warning(told, "put the store on a faster disk where questions over long ranges matter")
    else:
        yield ok(told)


def check_scan(patient: Patient) -> Iterator[Finding]:
    """Measure how fast questions read the newest segments."""
    import polars as pl

    from nftui.engine import disk

    if not patient.readable:
        return
    try:
        scanned = disk.scan(patient.store)
    except pl.exceptions.PolarsError as error:
        yield problem(
            f"a segment can't be read: {str(error).splitlines()[0]}", "start the collector, which sets damaged files aside"
        )
        return
    if scanned is None:
        yield ok("no segments yet")
    else:
        speed = f"{flows_per_second(scanned.flows / scanned.seconds)}, {octets(scanned.octets / scanned.seconds)}/s"
        yield ok(f"{scanned.flows:,} flows summed up in {duration(int(scanned.seconds * SECOND))}: {speed}")


def _group(about: os.stat_result) -> str:
    try:
        return grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        return str(about.st_gid)


def _owner(about: os.stat_result) -> str:
    return f"{user(about.st_uid)}:{_group(about)}"
