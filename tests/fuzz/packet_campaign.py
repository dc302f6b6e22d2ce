"""Campaigns of packets: lives of meters, one after the other, and capture files that are broken in any way."""

from __future__ import annotations

import faulthandler
import gzip
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np

from nftui.capture.dissection import MARGIN
from nftui.capture.probe import chain
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock
from nftui.errors import CaptureFileError
from tests.capture.probe import capture_writing as writing
from tests.fuzz.campaign import HANG_S, Campaign, Watch
from tests.fuzz.checks import Failure
from tests.fuzz.mutations import mutated
from tests.fuzz.packet_checks import PacketChecker
from tests.fuzz.packet_traffic import STEPS, PacketSession, captured

PACKETS = "packets"
FILES = 4
"""Capture files after each session."""


class PacketCampaign(Campaign):
    """Sessions of packets; what fails comes again with `--replay SEED:STEP`."""

    def _session(self, number: int, most: int, watch: Watch, until: float) -> None:
        session, step = PacketSession(self.seed, number), None
        checker = PacketChecker(session.settings())
        try:
            for step in session.steps():
                if step.number - number * STEPS == most or (until and time.monotonic() > until):
                    break
                # Ends everything and tells where it was.
                faulthandler.dump_traceback_later(HANG_S, exit=True)
                checker.step(step)
            checker.close()
            for place in range(FILES):
                faulthandler.dump_traceback_later(HANG_S, exit=True)
                broken_file(Random(f"file {self.seed} {number} {place}"))
        except Failure as failure:
            self.failures[failure.kind] = self.failures.get(failure.kind, 0) + 1
            if self.failures[failure.kind] <= 3:
                where = f"{self.seed}:{step.number if step is not None else number * STEPS}"
                print(f"{self.protocol} --replay {where}: {failure.kind}: {failure}", flush=True)
        finally:
            faulthandler.cancel_dump_traceback_later()
        self.counts.add(checker.counts)

    def line(self) -> str:
        """Return what was seen, on one line."""
        return super().line().replace("datagrams", "frames").replace("malformed", "cut").replace("unread", "not IP")


def replayed(seed: int, until: int) -> None:
    """Run the session of a step again, up to it, and the files behind it.

    Raises:
        Failure: Something doesn't hold.
    """
    number = until // STEPS
    session = PacketSession(seed, number)
    checker = PacketChecker(session.settings())
    for step in session.steps():
        checker.step(step)
        if step.number == until and until % STEPS < STEPS - 1:
            break
    checker.close()
    for place in range(FILES):
        broken_file(Random(f"file {seed} {number} {place}"))


def broken_file(random: Random) -> None:
    """Write a capture file, break it, and read it with guesses where frames begin, and without.

    Raises:
        Failure: The two differ, a block is not as it should be, or anything but an error of capture files comes.
    """
    octets = _written(random)
    for _ in range(random.choice((0, 1, 1, 2))):
        octets = mutated(random, octets, _written(random)) if len(octets) < 60_000 else octets[: random.randrange(len(octets))]
    if random.random() < 0.3:
        octets = gzip.compress(octets, 1)
        octets = octets if random.random() < 0.5 else mutated(random, octets, octets)
    room, far = random.choice((600, 5000, 1 << 20)), random.choice((64, 1000, 1 << 14))
    outcomes = []
    for fewest in (1, 1 << 30):
        before = chain.SEGMENT, chain.FEWEST
        chain.SEGMENT, chain.FEWEST = far, fewest
        try:
            outcomes.append(_read(octets, room))
        finally:
            chain.SEGMENT, chain.FEWEST = before
    if outcomes[0] != outcomes[1]:
        raise Failure("guesses", f"{outcomes[0][1:]} with guesses, {outcomes[1][1:]} without: {octets[:400].hex()}")


def _written(random: Random) -> bytes:
    order, count, now = random.choice("<>"), random.choice((1, 5, 60, 400)), 1_700_000_000_000_000
    case = random.choice(captured())
    at = random.randrange(len(case))
    frames = [writing.Frame(octets, now + random.randrange(10**6)) for octets in case[at : at + count]]
    if random.random() < 0.5:
        return writing.pcap(frames, order, nanoseconds=random.random() < 0.5)
    made = writing.section(order) + writing.interface(order, 1, random.choice((6, 9)))
    for one in frames:
        kind = random.random()
        if kind < 0.02:
            order = random.choice("<>")
            made += writing.section(order) + writing.interface(order, random.choice((1, 101)), random.choice((6, 9, 0x80 | 20)))
        elif kind < 0.05:
            made += writing.interface(order, 101, snap=random.choice((0, 40)))
        elif kind < 0.1:
            made += random.choice((writing.simple(order, one), writing.obsolete(order, one, drops=random.choice((0, 9, 0xFFFF)))))
        made += writing.enhanced(order, one, random.choice((0, 0, 0, 1, 9)), flags=random.choice((None, 1, 2)))
    return made


def _read(octets: bytes, room: int) -> tuple[list[writing.Frame], int, str]:
    """Return the frames of a file, how many there were, and why there were no more."""
    found, said, frames = list[writing.Frame](), "", 0
    with tempfile.NamedTemporaryFile() as file:
        file.write(octets)
        file.flush()
        try:
            for block in CaptureFile(Path(file.name), block_octets=room):
                _check(block)
                frames += len(block)
                found += writing.frames_of(block)
        except CaptureFileError as error:
            said = str(error).removeprefix(file.name)
        except Exception as error:
            raise Failure(f"{type(error).__name__} in a file", repr(error)) from error
    return found, frames, said


def _check(block: FrameBlock) -> None:
    fine = len(block) > 0 and bool((block.start <= block.end).all() and (block.length >= block.end - block.start).all())
    fine = fine and bool((block.time >= 0).all()) and int(block.end.max()) + MARGIN <= len(block.flat)
    if not fine or not all(one.dtype == np.int64 for one in (block.start, block.end, block.length, block.time)):
        raise Failure("block", f"a block of {len(block)} frames is not as it should be")
