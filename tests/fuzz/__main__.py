"""Fuzzing of the decoders: any octets, changed captures and datagrams by the grammar, with template state kept; and of packets.

    python -m tests.fuzz [--protocol v9,ipfix] [--seconds S] [--seed N]
    python -m tests.fuzz --protocol v9 --replay SEED:STEP
    python -m tests.fuzz --replay FILE.pcap [--mode alone]

Ends with status 1 where something failed. What failed is saved as captures: all steps of the session, and those that are needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.checks import MODES, Checker, Failure
from tests.fuzz.mutations import PROTOCOLS as DECODED
from tests.fuzz.packet_campaign import PACKETS, PacketCampaign, replayed
from tests.fuzz.steps import load
from tests.fuzz.traffic import STEPS, Session

FOLDER = Path("build/fuzz")
PROTOCOLS = (*DECODED, PACKETS)


def replay(what: str, protocol: str, mode: str) -> int:
    """Run the steps of a failure again; return the exit status."""
    if protocol == PACKETS:
        return replay_packets(what)
    if what.endswith(".pcap"):
        steps, until = load(Path(what)), float("inf")
    else:
        seed, until = (int(part) for part in what.split(":"))
        session = Session(protocol, seed, until // STEPS)
        steps, mode = session.steps(), session.mode
    checker, number = Checker(mode), 0
    try:
        for step in steps:
            number = step.number
            checker.step(step)
            if number >= until:
                break
        checker.close()
    except Failure as failure:
        print(f"step {number}: {failure.kind}: {failure}")
        if failure.__cause__:
            raise failure.__cause__ from None
        return 1
    print(f"nothing failed: {checker.counts}")
    return 0


def replay_packets(what: str) -> int:
    """Run the steps of a failure of packets again; return the exit status."""
    try:
        replayed(*(int(part) for part in what.split(":")))
    except Failure as failure:
        print(f"{failure.kind}: {failure}")
        if failure.__cause__:
            raise failure.__cause__ from None
        return 1
    print("nothing failed")
    return 0


def main() -> int:
    """Fuzz, and tell what was seen."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", default=",".join(PROTOCOLS), help="one or more, separated by commas; all unless told")
    parser.add_argument("--seconds", type=float, default=180.0, help="in all, shared by the protocols")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", metavar="SEED:STEP|FILE")
    parser.add_argument("--mode", choices=MODES, default="block", help="of a replayed file")
    parser.add_argument("--save", type=Path, default=FOLDER, help="folder for what failed")
    options = parser.parse_args()
    protocols = options.protocol.split(",")
    if unknown := set(protocols) - set(PROTOCOLS):
        parser.error(f"{', '.join(sorted(unknown))}: the protocols are {', '.join(PROTOCOLS)}")
    if options.replay:
        return replay(options.replay, protocols[0], options.mode)
    campaigns = [(PacketCampaign if one == PACKETS else Campaign)(one, options.seed, options.save) for one in protocols]
    lines = []
    for campaign in campaigns:
        campaign.run(options.seconds / len(campaigns))
        lines.append(campaign.line())
    print("\n" + "\n".join(lines))
    failed = {f"{one.protocol}: {kind}": times for one in campaigns for kind, times in one.failures.items()}
    for what, times in failed.items():
        print(f"{times:5} x {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
