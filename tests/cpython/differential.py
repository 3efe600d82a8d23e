"""CPython's side of the differential tests in `differential.rs`.

Each line that comes is a sequence, its fields parted by tabs: "one" or "crew", then an expression
that makes `p`, then a call a field. The answer is one line, with what each call returned or raised.

"one" is run by one thread. In a "crew", four threads wait for work, and "owner" or "other" before
a call says which kind of thread it is given to. What is told is the call's result, or that it
waits, and the results of those that waited and that it let go on. After a "+" the call ends by
itself, at its timeout say, and is waited for.
"""

import functools
import os
import platform
import re
import sys
import threading
import time

RLOCK = type(threading.RLock())
LOCK = type(threading.Lock())
compiled = functools.lru_cache(None)(lambda text: compile(text, text, "eval"))


def lock_of(p):
    return p._lock if isinstance(p, threading.Condition) else p


def owned(p):
    """Whether the calling thread owns `p`, if a thread can."""
    lock = lock_of(p)
    return isinstance(lock, RLOCK) and lock._is_owned()


def depth(p):
    """How often the calling thread holds the RLock; `_recursion_count` is not in every version."""
    return int(re.search(r"count=(\d+)", repr(lock_of(p)))[1]) if owned(p) else 0


def free(p):
    """Whether a call that may wait would not. No other thread holds an RLock of "one"."""
    lock = lock_of(p)
    if isinstance(lock, LOCK):
        return not lock.locked()
    if isinstance(lock, threading.Semaphore):
        return lock._value > 0
    if isinstance(lock, threading.Event):
        return lock.is_set()
    if isinstance(lock, threading.Barrier):
        return lock.parties == 1 or lock.broken
    return True


def within(p, inside):
    with p:
        return inside()


def try_within(p, inside):
    """The same if it is free; so the order in which threads get it does not matter."""
    return within_held(p, inside) if p.acquire(False) else "busy"


def within_held(p, inside):
    try:
        return inside()
    finally:
        p.release()


def flip():
    """A predicate that is true when it is asked again."""
    answers = iter([False, True])
    return lambda: next(answers)


def counted(condition):
    condition.n = 0
    return condition


def put(p):
    p.n += 1
    p.notify()


def take(p, timeout=None):
    if not p.wait_for(lambda: p.n > 0, timeout):
        return "nothing"
    p.n -= 1
    return "took"


def fail():
    raise RuntimeError("fails")


def words(p):
    """What a repr tells of the state."""
    state = r"\b(?:un)?locked\b|\b(?:un)?set\b|\bbroken\b|\b(?:value|waiters)=\S+(?=>)"
    return " ".join(re.findall(state + r"|\d+(?=\)>$)", repr(p)))


def rescue(p):
    """Brings those that wait on `p` nearer to their end."""
    if isinstance(p, threading.Event):
        p.set()
    elif isinstance(p, threading.Barrier):
        p.abort()
    elif not isinstance(p, threading.Condition):
        p.release()
    else:
        p.n = 1000
        p.acquire(False)
        p.notify_all()
        p.release()
        if owned(p):
            p.release()


def said(text, names):
    try:
        return str(eval(compiled(text), names))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Worker:
    def __init__(self, names):
        self.names = names
        self.turn = threading.Lock()
        self.turn.acquire()
        self.busy = True
        self.owns = False
        self.text = None
        self.last = 0
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        self.id = threading.get_native_id()
        self.busy = False
        while True:
            self.turn.acquire()
            if self.text is None:
                return
            self.result = said(self.text, self.names)
            self.owns = owned(self.names["p"])
            self.busy = False

    def begin(self, text):
        self.busy = True
        self.text = text
        self.turn.release()

    def sleep(self):
        """The number of its sleep, or None if it is awake. To read it lets go of the GIL, so that a
        thread that has only been waiting for that is awake."""
        with open(f"/proc/self/task/{self.id}/status") as status:
            status = status.read()
        if "\nState:\tS" in status:
            return re.search(r"\nvoluntary_ctxt_switches:\t(\d+)", status)[1]


class Crew:
    def __init__(self, names):
        self.names = names
        self.workers = [Worker(names) for _ in range(4)]
        self.turns = 0
        while any(worker.busy for worker in self.workers):
            time.sleep(0.0001)

    def settle(self, ends=None):
        """Until the one that `ends` has ended; and then until each thread that has something to do
        sleeps over it, and sleeps on. In this order, as in `differential.rs`."""
        before = None
        while True:
            ended = not (ends and ends.busy)
            sleeps = [(worker, worker.sleep()) for worker in self.workers if worker.busy]
            asleep = all(sleep for _, sleep in sleeps)
            if ended and asleep and sleeps == before:
                return
            before = sleeps if ended and asleep else None
            time.sleep(0.0003)

    def run(self, who, text):
        idle = [worker for worker in self.workers if not worker.busy]
        waiting = [worker for worker in self.workers if worker.busy]
        able = [worker for worker in idle if worker.owns == who.startswith("owner")]
        if not able:
            return "nobody"
        # The one whose last turn was the longest ago.
        worker = min(able, key=lambda worker: worker.last)
        self.turns += 1
        worker.last = self.turns
        worker.begin(text)
        self.settle(worker if who.endswith("+") else None)
        result = "waits" if worker.busy else worker.result
        others = sorted(other.result for other in waiting if not other.busy)
        return ", ".join([result] + others)

    def end(self):
        """Brings all waits to an end, in as many rounds as `differential.rs` allows."""
        rounds = 0
        while any(worker.busy for worker in self.workers):
            rounds += 1
            if rounds > 100:
                raise RuntimeError("a thread waits, and nothing frees it")
            said("rescue(p)", self.names)
            for worker in self.workers:
                if not worker.busy:
                    worker.begin("rescue(p)")
            self.settle()
        for worker in self.workers:
            worker.begin(None)


def main():
    print(platform.python_implementation(), *platform.python_version_tuple()[:2], flush=True)
    threading.stack_size(1 << 18)
    for line in sys.stdin:
        kind, make, *calls = line.rstrip("\n").split("\t")
        names = {**vars(threading), **globals()}
        answers = []
        try:
            names["p"] = eval(compiled(make), names)
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
            calls = []
        if kind == "one":
            answers += [said(call, names) for call in calls]
        else:
            crew = Crew(names)
            answers += [crew.run(*call.split(" ", 1)) for call in calls]
            crew.end()
        print("\t".join(answers), flush=True)


if __name__ == "__main__":
    main()
