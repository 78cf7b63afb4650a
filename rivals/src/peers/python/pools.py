# Pools of processes: reads ranges of numbers, a line each, and says the sum of the results of each.

import concurrent.futures


def work_on(payload):
    number = check(payload)
    if number is None:
        raise ValueError("a payload was not as it was made")
    steps(STEPS)
    return mix(number)


def payloads(part):
    return (make(0, number, 0) for number in part)


def serve(run):
    """Jobs go in parts of as many as there is room for: what a pool is given it copies into its own queue at once."""
    say(sorted([os.getpid()] + [process.pid for process in multiprocessing.active_children()]))
    for line in sys.stdin.buffer:
        first, end = map(int, line.split())
        parts = (range(at, min(at + CAPACITY, end)) for at in range(first, end, CAPACITY))
        try:
            total = sum(sum(run(payloads(part))) for part in parts)
        except Exception as why:
            cannot(f"{type(why).__name__}: {why}")
        say(total & M64)


def main():
    me = os.getpid()
    if told["means"] == "pool":
        with CONTEXT.Pool(CONSUMERS, end_with, (me,)) as pool:
            sum(pool.imap_unordered(work_on, payloads(range(CONSUMERS)), 1))
            serve(lambda part: pool.imap_unordered(work_on, part, BATCH))
        return
    with concurrent.futures.ProcessPoolExecutor(CONSUMERS, CONTEXT, end_with, (me,)) as pool:
        sum(pool.map(work_on, payloads(range(CONSUMERS))))
        if BATCH > 1:
            serve(lambda part: pool.map(work_on, part, chunksize=BATCH))
        else:
            serve(lambda part: [f.result() for f in [pool.submit(work_on, payload) for payload in part]])


main()
