"""The counter file compared with a simple model, with many keys, several processes, and killed processes."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apilane_counter_file.counter_file import ENTRIES_MAX, CounterFile
from apilane_counter_file.slot_file import HORIZON_MS

T = TypeVar("T")
NOW = 1_760_000_000_000
MINUTE = 60_000


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run a call to its result; the counters never wait for the event loop."""
    try:
        work.send(None)
    except StopIteration as stopped:
        result: T = stopped.value
        return result
    raise AssertionError("it waited")


class Model:
    """A sliding log as in docs/reference/protocol/security.md section 4: a list of times."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self.limit = limit
        self.window_ms = window_ms
        self.times: list[int] = []

    def hit(self, now_ms: int) -> int | None:
        within = [t for t in self.times if now_ms - t <= self.window_ms]
        if len(within) < self.limit:
            self.times = [*within, now_ms]
            return None
        return within[-self.limit] + self.window_ms + 1 - now_ms

    def hit_many(self, uses: int, now_ms: int) -> tuple[int, int | None]:
        for recorded in range(uses):
            wait_ms = self.hit(now_ms)
            if wait_ms is not None:
                return recorded, wait_ms
        return uses, None

    def take_back(self, now_ms: int) -> None:
        if self.times and now_ms - self.times[-1] <= self.window_ms:
            self.times.pop()


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[CounterFile]:
    """A small counter file."""
    file = CounterFile(tmp_path / "counters", size_mib=1)
    yield file
    file.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(["hit", "hit", "hit", "hit", "back", "many", "back many"]),
        st.integers(0, 2),
        st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 1500)),
    ),
    max_size=250,
)


@given(steps=steps, limits=st.tuples(*[st.one_of(st.integers(1, 40), st.sampled_from([10, 11, 12, 22]))] * 3))
@settings(max_examples=150, deadline=None)
def test_counts_like_the_model(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], limits: tuple[int, int, int]
) -> None:
    """Any sequence of hits and take-backs gives the answers of a list of times, to the millisecond."""
    file = CounterFile(tmp_path_factory.mktemp("model") / "counters", size_mib=1)
    models = [Model(limit, 1000) for limit in limits]
    now = NOW
    for step, which, later in steps:
        now += later
        model, key = models[which], b"key %d" % which
        if step == "hit":
            assert done(file.hit(key, limit=model.limit, window_ms=1000, now_ms=now)) == model.hit(now)
        elif step == "many":
            uses = 1 + later % 30
            many = file.hit_many(key, uses=uses, limit=model.limit, window_ms=1000, now_ms=now)
            assert done(many) == model.hit_many(uses, now)
        else:
            uses = 1 + later % 15 if step == "back many" else 1
            done(file.take_back(key, now_ms=now, uses=uses))
            for _ in range(uses):
                model.take_back(now)
    file.close()


@pytest.mark.parametrize("limit", [1, 10, 11, 12, 100, 1000])
def test_a_steady_caller_gets_the_limit(counters: CounterFile, limit: int) -> None:
    """In a long run every window admits exactly ``limit`` uses."""
    model = Model(limit, 1000)
    passed = 0
    for at in range(NOW, NOW + 5000, max(1, 400 // limit)):
        answer = done(counters.hit(b"k", limit=limit, window_ms=1000, now_ms=at))
        assert answer == model.hit(at)
        passed += answer is None
    assert passed > limit


def test_a_large_limit(tmp_path: Path) -> None:
    """A limit too large for one entry per use still admits exactly that many, and admits again an hour later."""
    counters = CounterFile(tmp_path / "counters", size_mib=16)
    limit, hour = 100_001, 3_600_000
    admitted = sum(
        done(counters.hit(b"k", limit=limit, window_ms=hour, now_ms=NOW + at // 100)) is None
        for at in range(limit + 1000)
    )
    assert admitted == limit
    wait = done(counters.hit(b"k", limit=limit, window_ms=hour, now_ms=NOW + 2000))
    assert wait is not None
    assert hour - 2000 < wait <= hour - 2000 + limit // ENTRIES_MAX
    assert done(counters.hit(b"k", limit=limit, window_ms=hour, now_ms=NOW + 2000 + wait)) is None
    counters.close()


def test_a_changed_limit_counts_what_was(counters: CounterFile) -> None:
    """A lowered or raised limit counts the uses that are already stored."""

    def hit(limit: int) -> int | None:
        return done(counters.hit(b"k", limit=limit, window_ms=MINUTE, now_ms=NOW))

    assert [hit(10) for _ in range(10)] == [None] * 10
    assert hit(5) == MINUTE + 1
    assert [hit(30) for _ in range(21)] == [None] * 20 + [MINUTE + 1]
    assert hit(10) == MINUTE + 1


def test_refused_uses_are_not_recorded(counters: CounterFile) -> None:
    """Refused uses do not extend the wait."""
    assert done(counters.hit(b"k", limit=1, window_ms=1000, now_ms=NOW)) is None
    waits = [done(counters.hit(b"k", limit=1, window_ms=1000, now_ms=NOW + at)) for at in range(0, 1001, 100)]
    assert waits == [1001 - at for at in range(0, 1001, 100)]
    assert done(counters.hit(b"k", limit=1, window_ms=1000, now_ms=NOW + 1001)) is None


def test_a_limit_of_nothing_admits_nothing(counters: CounterFile) -> None:
    """A limit of zero admits no use."""
    assert done(counters.hit(b"k", limit=0, window_ms=1000, now_ms=NOW)) == 1000


def test_remember_until(counters: CounterFile) -> None:
    """A key is remembered once until its time is over, and is separate from a log with the same key."""
    assert done(counters.hit(b"k", limit=1, window_ms=1000, now_ms=NOW)) is None
    assert done(counters.remember(b"k", until_ms=NOW + 500, now_ms=NOW))
    assert not done(counters.remember(b"k", until_ms=NOW + 900, now_ms=NOW + 499))
    assert done(counters.remember(b"k", until_ms=NOW + 900, now_ms=NOW + 500))
    assert done(counters.hit(b"k", limit=1, window_ms=1000, now_ms=NOW + 500)) == 501


def test_no_longer_than_a_day(counters: CounterFile) -> None:
    """A time span that the file cannot store is an error of the caller, and no count is lost."""
    with pytest.raises(ValueError, match="86400000"):
        done(counters.hit(b"k", limit=1, window_ms=HORIZON_MS, now_ms=NOW))
    with pytest.raises(ValueError, match="86400000"):
        done(counters.remember(b"k", until_ms=NOW + HORIZON_MS, now_ms=NOW))


@pytest.mark.parametrize("back", [5, 5_000, 86_400_000, 40_000_000_000])
def test_a_clock_set_back(counters: CounterFile, back: int) -> None:
    """After the clock is set back no wait exceeds a window, no key its limit, and new keys find room at once."""
    limit = 50
    assert [done(counters.hit(b"k", limit=limit, window_ms=MINUTE, now_ms=NOW)) for _ in range(limit)] == [None] * limit
    earlier = NOW - back
    wait = done(counters.hit(b"k", limit=limit, window_ms=MINUTE, now_ms=earlier))
    assert wait is not None
    assert wait <= MINUTE + 1000
    again = [done(counters.hit(b"k", limit=limit, window_ms=MINUTE, now_ms=earlier + wait)) for _ in range(limit + 1)]
    assert again == [*[None] * limit, MINUTE + 1]


def test_slots_of_a_wrong_clock_are_free(tmp_path: Path) -> None:
    """A file that was filled while the clock was years ahead has room again when the clock is right."""
    counters = CounterFile(tmp_path / "counters", size_mib=1)
    ahead = NOW + 400 * HORIZON_MS
    for number in range(20_000):
        done(counters.remember(b"%d" % number, until_ms=ahead + MINUTE, now_ms=ahead))
    assert all(done(counters.remember(b"new %d" % number, until_ms=NOW + 1, now_ms=NOW)) for number in range(1000))
    counters.close()


def test_many_keys_in_a_small_file(counters: CounterFile, tmp_path: Path) -> None:
    """With 100,000 callers the file keeps its size, each admitted use is counted, and known keys keep their counts."""
    size = (tmp_path / "counters").stat().st_size if done(counters.remember(b"", until_ms=0, now_ms=0)) else 0
    for _ in range(3):
        assert done(counters.hit(b"known", limit=5, window_ms=MINUTE, now_ms=NOW)) is None
    keys = [b"caller %d" % number for number in range(100_000)]
    admitted = [key for key in keys if done(counters.hit(key, limit=2, window_ms=MINUTE, now_ms=NOW)) is None]
    assert 6_000 < len(admitted) < 8_192
    # Each admitted key was counted: its second use passes, the third does not.
    assert all(done(counters.hit(key, limit=2, window_ms=MINUTE, now_ms=NOW)) is None for key in admitted)
    assert not any(done(counters.hit(key, limit=2, window_ms=MINUTE, now_ms=NOW)) is None for key in keys[::7])
    wait = done(counters.hit(keys[-1], limit=2, window_ms=MINUTE, now_ms=NOW + 1000))
    assert wait == MINUTE - 1000 + 1
    assert not done(counters.remember(keys[-1], until_ms=NOW + 1000, now_ms=NOW))
    answers = [done(counters.hit(b"known", limit=5, window_ms=MINUTE, now_ms=NOW)) for _ in range(3)]
    assert answers == [None, None, MINUTE + 1]
    assert (tmp_path / "counters").stat().st_size == size <= 2**20 + 4096
    # A minute later these keys are idle and can be replaced.
    later = NOW + MINUTE + 1
    assert (
        sum(done(counters.hit(b"l%d" % n, limit=2, window_ms=MINUTE, now_ms=later)) is None for n in range(4000))
        == 4000
    )


def test_a_long_log_in_a_full_file(counters: CounterFile) -> None:
    """A log that cannot grow refuses uses; it loses no count and does not exceed the limit."""
    for number in range(20_000):
        done(counters.remember(b"%d" % number, until_ms=NOW + MINUTE, now_ms=NOW))
    limit = 500
    admitted = sum(
        done(counters.hit(b"long %d" % number, limit=limit, window_ms=MINUTE, now_ms=NOW)) is None
        for number in range(50)
        for _ in range(600)
    )
    assert admitted <= 50 * 11
    later = NOW + MINUTE
    assert [done(counters.hit(b"long 0", limit=limit, window_ms=1000, now_ms=later)) for _ in range(501)].count(
        None
    ) == 500


HAMMER = """
import sys, time
from pathlib import Path
from apilane_counter_file.counter_file import CounterFile
def done(work):
    try:
        work.send(None)
    except StopIteration as stopped:
        return stopped.value
path, limit, window_ms, start = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
told = sys.argv[6] == "told"
counters = CounterFile(path, size_mib=16)
while time.time() < start:
    pass
admitted = 0
for turn in range(int(sys.argv[5])):
    now_ms = time.time_ns() // 1_000_000
    admitted += done(counters.hit(b"one key", limit=limit, window_ms=window_ms, now_ms=now_ms)) is None
    done(counters.hit(b"other %d" % (turn % 50), limit=20, window_ms=1000, now_ms=now_ms))
    if told and turn % 10 == 9:
        print("ten turns", flush=True)
print(admitted)
"""


def hammer(
    path: Path, limit: int, turns: int = 5000, *, window_ms: int = MINUTE, told: bool = False
) -> subprocess.Popen[str]:
    """A process that uses one key as fast as it can, and other keys in between.

    ``told``: it prints a line after every ten turns.
    """
    arguments = [str(path), str(limit), str(window_ms), str(time.time() + 0.5), str(turns), "told" if told else ""]
    return subprocess.Popen([sys.executable, "-c", HAMMER, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("limit", [7, 1000, 15_000])
def test_exact_among_processes(tmp_path: Path, limit: int) -> None:
    """Four processes that start at once on a new file together admit exactly the limit."""
    processes = [hammer(tmp_path / "counters", limit) for _ in range(4)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == limit


def test_killed_processes_leave_no_lock(tmp_path: Path) -> None:
    """Processes that are killed at any moment leave no lock and no log that exceeds its limit."""
    path, limit = tmp_path / "counters", 2000
    counters = CounterFile(path, size_mib=16)
    assert done(counters.hit(b"bystander", limit=2, window_ms=MINUTE * 10, now_ms=time.time_ns() // 10**6)) is None
    for turn in range(12):
        process = hammer(path, limit, turns=1_000_000, window_ms=MINUTE * 10, told=True)
        assert process.stdout is not None
        for _ in range(20 + turn):  # 200 uses at least, so the twelve processes together reach the limit
            assert process.stdout.readline() == "ten turns\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    began = time.monotonic()
    now = time.time_ns() // 10**6
    for number in range(1000):
        done(counters.hit(b"fresh %d" % number, limit=1, window_ms=1000, now_ms=now))
    assert done(counters.hit(b"one key", limit=limit, window_ms=MINUTE * 10, now_ms=now)) is not None
    assert [done(counters.hit(b"bystander", limit=2, window_ms=MINUTE * 10, now_ms=now)) is None for _ in "12"] == [
        True,
        False,
    ]
    assert time.monotonic() - began < 20  # a lock that stays would add a wait to each of the 1,000 uses
    counters.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_children_go_on_with_the_file(tmp_path: Path) -> None:
    """A file that was opened before a fork counts for parent and child together."""
    counters = CounterFile(tmp_path / "counters", size_mib=1)
    assert done(counters.hit(b"k", limit=200, window_ms=MINUTE, now_ms=NOW)) is None
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = sum(done(counters.hit(b"k", limit=200, window_ms=MINUTE, now_ms=NOW)) is None for _ in range(90))
            finally:
                os._exit(code)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [90, 90]
    left = sum(done(counters.hit(b"k", limit=200, window_ms=MINUTE, now_ms=NOW)) is None for _ in range(100))
    assert left == 200 - 1 - 180
    counters.close()


def test_counts_outlive_the_process(tmp_path: Path) -> None:
    """Counts from before a restart still count after it."""
    for expected in (None, MINUTE + 1):
        counters = CounterFile(tmp_path / "counters", size_mib=1)
        assert done(counters.hit(b"k", limit=1, window_ms=MINUTE, now_ms=NOW)) == expected
        counters.close()


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(5000), b"apilane1" + bytes(2**20 + 4088), os.urandom(2**20 + 4096)]
)
def test_an_unreadable_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    """A file with other content or another size is replaced; only its owner can read the new one."""
    path = tmp_path / "counters"
    path.write_bytes(content)
    counters = CounterFile(path, size_mib=1)
    assert [done(counters.hit(b"k", limit=2, window_ms=MINUTE, now_ms=NOW)) for _ in range(3)] == [
        None,
        None,
        MINUTE + 1,
    ]
    if content:
        assert path.stat().st_mode & 0o777 == 0o600
    counters.close()


def test_another_size_replaces_the_file(tmp_path: Path) -> None:
    """With another size the file is replaced; processes that use the old file keep it until they end."""
    small, large = (CounterFile(tmp_path / "counters", size_mib=size) for size in (1, 2))
    for file in (small, large, small, large):
        assert done(file.hit(b"k", limit=2, window_ms=MINUTE, now_ms=NOW)) is None
    assert (tmp_path / "counters").stat().st_size == 2 * 2**20 + 4096
    small.close()
    large.close()


@given(noise=st.binary(min_size=8, max_size=4000), at=st.integers(0, 2**20 - 4000))
@settings(max_examples=60, deadline=None)
def test_broken_slots_keep_the_file_usable(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    """With random bytes in some slots every call returns, waits stay bounded, and limits hold from then on."""
    path = tmp_path_factory.mktemp("broken") / "counters"
    counters = CounterFile(path, size_mib=1)
    for number in range(300):
        done(counters.hit(b"%d" % (number % 20), limit=40, window_ms=MINUTE, now_ms=NOW))
    with path.open("r+b") as file:
        file.seek(4096 + at)
        file.write(noise)
    for number in range(20):
        answers = [done(counters.hit(b"%d" % number, limit=40, window_ms=MINUTE, now_ms=NOW)) for _ in range(41)]
        assert answers[-1] is not None
        assert all(answer is None or 0 < answer <= HORIZON_MS for answer in answers)
        done(counters.take_back(b"%d" % number, now_ms=NOW))
    counters.close()


def test_random_numbers_in_every_slot(tmp_path: Path) -> None:
    """A file with a valid header and random slots still answers, and counts as far as it has room."""
    path = tmp_path / "counters"
    counters = CounterFile(path, size_mib=1)
    done(counters.remember(b"", until_ms=NOW, now_ms=NOW))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"".join(struct.pack("q", NOW * number % 2**63) for number in range(2**17)))
    for number in range(500):
        assert [done(counters.hit(b"%d" % number, limit=20, window_ms=MINUTE, now_ms=NOW)) for _ in range(21)][-1]
    counters.close()


def test_calls_are_coroutines(counters: CounterFile) -> None:
    """The methods are coroutines, as the contract requires."""
    assert asyncio.run(counters.hit(b"k", limit=1, window_ms=MINUTE, now_ms=NOW)) is None
