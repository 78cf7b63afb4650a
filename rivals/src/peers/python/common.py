"""What all scripts share: what they are told, the form of payloads, work, and the end with their parent."""

import ctypes
import json
import multiprocessing
import os
import signal
import struct
import sys
import time

M64 = (1 << 64) - 1
LIBC = ctypes.CDLL(None, use_errno=True)
# No class of its own for each participant: a fork has the parent's memory, and with it what was told.
CONTEXT = multiprocessing.get_context("fork")


def end_with(parent):
    """Ends this process when its parent ends, however that happens."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


def say(value):
    print(json.dumps({"is": value}), flush=True)


def cannot(why):
    print(json.dumps({"why": why}), flush=True)
    sys.exit(1)


# Ctrl-C is for the benchmark, which ends all of this.
signal.signal(signal.SIGINT, signal.SIG_IGN)
end_with(int(sys.argv[1]))
told = json.loads(sys.stdin.buffer.readline())
shape, layout = told["shape"], told["layout"]
SIZE, BATCH, CAPACITY = shape["payload"], shape["batch"], shape["capacity"]
PRODUCERS, CONSUMERS, CALLS = shape["producers"], shape["consumers"], shape["pattern"] == "calls"
SHIFT = told["producer_shift"]
MIX_FIRST, MIX_FACTOR, MIX_LAST = told["mix"]
BLANKS = [sys.stdin.buffer.read(SIZE) for _ in range(PRODUCERS)]
MIDDLES = [blank[16:-8] for blank in BLANKS]
WORD = struct.Struct("=Q")


def mix(number):
    x = ((number ^ number >> MIX_FIRST) * MIX_FACTOR) & M64
    return x ^ x >> MIX_LAST


def make(producer, number, due):
    """A payload: the number, when it was due, what does not change, the complement of the number."""
    if SIZE == 8:
        return WORD.pack(number)
    if SIZE == 16:
        return WORD.pack(number) + WORD.pack(due)
    return b"".join((WORD.pack(number), WORD.pack(due), MIDDLES[producer], WORD.pack(~number & M64)))


def check(payload, size=SIZE):
    """The number of a payload; None if it is not as it was sent. All bytes are looked at."""
    if len(payload) != size:
        return None
    (number,) = WORD.unpack_from(payload)
    if number >> SHIFT >= PRODUCERS:
        return None
    if size > 16:
        (complement,) = WORD.unpack_from(payload, size - 8)
        if complement != ~number & M64 or payload[16:-8] != MIDDLES[number >> SHIFT]:
            return None
    return number


def steps(count):
    x = 1
    for _ in range(count):
        x = x * 5 & 0xFFFF


def calibrated(nanos):
    """So many steps take as long as that on a CPU of their own: the least of several tries tells."""
    if nanos == 0:
        return 0

    def once():
        start = time.perf_counter_ns()
        steps(20_000)
        return time.perf_counter_ns() - start

    return max(1, round(nanos * 20_000 / min(once() for _ in range(10))))


STEPS = calibrated(shape["work"])
