"""Squares ranges of numbers, read as lines "FIRST END", on worker processes; prints the sum of the squares for each.

Arguments: what moves the jobs, how many workers, how many jobs are under way together, the process with which all ends.
"""

import concurrent.futures
import ctypes
import multiprocessing
import os
import signal
import sys

means, workers, window, parent = sys.argv[1], *map(int, sys.argv[2:5])


def end_with(parent):
    """Ends this process when its parent ends, however that happens."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


def square(number):
    return number * number


def serve(jobs, results, parent):
    end_with(parent)
    for job in iter(jobs.get, None):
        results.put(square(job))


def windows(first, end):
    return (range(at, min(at + window, end)) for at in range(first, end, window))


def answer(total):
    print(total % 2**64, flush=True)


def main():
    end_with(parent)
    ranges = (map(int, line.split()) for line in sys.stdin)
    me = os.getpid()
    # What the pools do in a child; as a child is what they fork, functions of this script are known there.
    context = multiprocessing.get_context("fork")
    if means == "executor":
        with concurrent.futures.ProcessPoolExecutor(workers, context, end_with, (me,)) as pool:
            for first, end in ranges:
                total = 0
                for part in windows(first, end):
                    futures = [pool.submit(square, job) for job in part]
                    total += sum(future.result() for future in futures)
                answer(total)
    elif means == "queue":
        jobs, results = context.Queue(), context.Queue()
        processes = [context.Process(target=serve, args=(jobs, results, me), daemon=True) for _ in range(workers)]
        for process in processes:
            process.start()
        for first, end in ranges:
            total = 0
            for part in windows(first, end):
                for job in part:
                    jobs.put(job)
                total += sum(results.get() for _ in part)
            answer(total)
        for _ in processes:
            jobs.put(None)
        for process in processes:
            process.join()
    else:
        with context.Pool(workers, end_with, (me,)) as pool:
            run = pool.map if means == "pool_map" else pool.imap_unordered
            for first, end in ranges:
                answer(sum(run(square, range(first, end), 1000)))


main()
