# Participants over a queue: they map the page that all share, and do what the benchmark's own participants do.

import mmap


class Page:
    """The page. Only aligned words are read and written, each by one instruction; a store comes after those before it, as what the
    interpreter does between them takes hundreds of instructions."""

    def __init__(self):
        with open(told["page"], "r+b") as file:
            self.map = mmap.mmap(file.fileno(), layout["bytes"])
        self.phase, self.record = self.half(layout["phase"]), self.half(layout["record"])
        self.jobs, self.interval, self.start = (self.word(layout[name]) for name in ("jobs", "interval", "start"))
        self.tally_from = self.word(layout["tally_from"])

    def half(self, at):
        return ctypes.c_uint32.from_buffer(self.map, at)

    def word(self, at):
        return ctypes.c_uint64.from_buffer(self.map, at)

    def tally(self, number):
        """Counts a payload by itself, if there is room for it."""
        if layout["tallies"]:
            at = ((number & (1 << SHIFT) - 1) - self.tally_from.value) * PRODUCERS + (number >> SHIFT)
            if 0 <= at < layout["tallies"]:
                at += layout["tally"]
                self.map[at] = self.map[at] + 1 & 255

    def wait_for(self, last):
        """Waits for the phase after `last`."""
        FUTEX_WAIT = 0
        while (phase := self.phase.value) == last:
            LIBC.syscall(told["futex"], ctypes.byref(self.phase), FUTEX_WAIT, phase, None, None, 0)
        return phase


class Seat:
    def __init__(self, page, number):
        at = layout["seats"] + number * layout["seat"]
        self.done = page.half(at + layout["done"])
        self.count, self.digest, self.wrong, self.noted = (
            page.word(at + layout[name]) for name in ("count", "digest", "wrong", "noted")
        )
        samples = layout["samples"]
        self.notes = (ctypes.c_uint64 * samples).from_buffer(page.map, layout["notes"] + number * samples * 8)

    def note(self, late):
        noted = self.noted.value
        if noted < len(self.notes):
            self.notes[noted] = max(0, late)
            self.noted.value = noted + 1


class Plain:
    """`Queue` and `SimpleQueue`; several payloads go as one list."""

    def __init__(self, queue):
        self.queue = queue

    def send(self, payloads):
        self.queue.put(payloads if BATCH > 1 else payloads[0])

    def receive(self):
        return self.queue.get() if BATCH > 1 else (self.queue.get(),)

    def flush(self):
        pass


class Joinable(Plain):
    """Whoever sends waits at the end until all is worked on."""

    def receive(self):
        payloads = super().receive()
        self.queue.task_done()
        return payloads

    def flush(self):
        self.queue.join()


class FasterFifo(Plain):
    """`put_many` and `get_many`."""

    FOREVER = 1e6

    def send(self, payloads):
        if BATCH > 1:
            self.queue.put_many(payloads, timeout=self.FOREVER)
        else:
            self.queue.put(payloads[0], timeout=self.FOREVER)

    def receive(self):
        if BATCH > 1:
            return self.queue.get_many(timeout=self.FOREVER, max_messages_to_get=BATCH)
        return (self.queue.get(timeout=self.FOREVER),)


def queue(size):
    """A queue for payloads of `size` bytes."""
    items = max(1, CAPACITY // BATCH)
    means = told["means"]
    if means == "queue":
        return Plain(CONTEXT.Queue(items))
    if means == "simple_queue":
        return Plain(CONTEXT.SimpleQueue())
    if means == "joinable_queue":
        return Joinable(CONTEXT.JoinableQueue(items))
    try:
        import faster_fifo
    except ImportError:
        cannot("the Python module faster_fifo is not installed")
    # A pickled payload is a little larger.
    return FasterFifo(faster_fifo.Queue(max_size_bytes=CAPACITY * (size + 64), maxsize=CAPACITY))


def wait_until(due):
    while (left := due - time.monotonic_ns()) > 0:
        time.sleep(max(0, left - 100_000) / 1e9 if left > 200_000 else 0)


def produce(producer, jobs):
    page = Page()
    seat = Seat(page, producer)
    sent, digest, last = 0, 0, 0
    while True:
        seat.done.value = last + 1
        last = page.wait_for(last)
        interval, start, first = page.interval.value, page.start.value, sent
        end = sent + page.jobs.value
        while sent < end:
            count = min(BATCH, end - sent)
            due = start + (sent - first) * interval if interval else 0
            if interval:
                wait_until(due)
            payloads = []
            for n in range(sent, sent + count):
                number = producer << SHIFT | n
                payloads.append(make(producer, number, due))
                digest += mix(number)
            jobs.send(payloads)
            sent += count
            seat.count.value = sent
        digest &= M64
        jobs.flush()
        seat.digest.value = digest


def consume(number, jobs, size, steps_each):
    page = Page()
    seat = Seat(page, number)
    count, digest = seat.count.value, seat.digest.value
    seat.done.value = 1
    while True:
        for payload in jobs.receive():
            found = check(payload, size)
            if found is None:
                seat.wrong.value += 1
            else:
                if page.record.value and size > 8:
                    seat.note(time.monotonic_ns() - WORD.unpack_from(payload, 8)[0])
                digest = (digest + mix(found)) & M64
                steps(steps_each)
                page.tally(found)
            count += 1
        seat.digest.value = digest
        seat.count.value = count


def work(number, jobs, results):
    Seat(Page(), number).done.value = 1
    while True:
        numbers = [check(payload) for payload in jobs.receive()]
        done = []
        for number in numbers:
            if number is not None:
                steps(STEPS)
                done.append(WORD.pack(number))
        if done:
            results.send(done)


def main():
    me = os.getpid()
    jobs = queue(SIZE)

    def live(target, *arguments):
        end_with(me)
        target(*arguments)

    def start(target, *arguments):
        process = CONTEXT.Process(target=live, args=(target, *arguments), daemon=True)
        process.start()
        return process.pid

    # Consumers first; they are told of after the producers.
    if CALLS:
        results = queue(8)
        consumers = [start(work, PRODUCERS + 1 + n, jobs, results) for n in range(CONSUMERS)]
        consumers.append(start(consume, PRODUCERS, results, 8, 0))
    else:
        consumers = [start(consume, PRODUCERS + n, jobs, SIZE, STEPS) for n in range(CONSUMERS)]
    say([start(produce, n, jobs) for n in range(PRODUCERS)] + consumers)
    # Nothing more comes: the benchmark ends this process, and with it all of them.
    sys.stdin.buffer.read()


main()
