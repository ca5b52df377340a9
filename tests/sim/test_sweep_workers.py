import multiprocessing
import signal
import threading

import pytest

from dispatch.errors import DispatchError, InputError
from dispatch.sim import sweep_workers
from dispatch.sim.sweep_workers import Task, Workers
from sim.tiny_sweeps import TINY


def task(seed, **values):
    return Task(f"{seed} {values}", TINY.with_values(values), values, seed)


def test_runs_are_made_in_turn_and_tell_how_far_they_are():
    tasks = [task(seed, drivers=drivers) for seed in (1, 2) for drivers in (8, 12)]
    shares = []
    with Workers(1) as workers:
        made = list(workers.make_runs(tasks, lambda name, share: shares.append((name, share))))
    assert [(run.run_id, run.seed, run.values) for run in made] == [
        (one.run_id, one.seed, one.values) for one in tasks
    ]
    assert [(run.num_orders, run.num_drivers) for run in made] == [(60, 8), (60, 12)] * 2
    assert {name for name, _ in shares} == {one.run_id for one in tasks}
    assert all(0 <= share <= 1 for _, share in shares)
    assert all(run.run_s > 0 for run in made)


def test_processes_are_used_again_and_tell_of_errors_and_of_their_end():
    told = []
    with Workers(2) as workers:
        first = list(workers.make_runs([task(1), task(2)], lambda name, share: told.append(share)))
        assert sorted(run.seed for run in first) == [1, 2]
        assert told
        processes = set(multiprocessing.active_children())
        assert len(processes) == 2
        bad = Task("bad", TINY.with_value("city", "/no/such/place"), {}, 1)
        with pytest.raises(InputError, match="no/such/place"):
            list(workers.make_runs([bad]))
        assert list(workers.make_runs([task(1)])) != []
        assert set(multiprocessing.active_children()) == processes
        for process in processes:
            process.kill()
            process.join()
        with pytest.raises(DispatchError, match="ended without a result"):
            list(workers.make_runs([task(1), task(2)]))
    assert multiprocessing.active_children() == []


def test_asked_to_stop_they_give_what_is_finished():
    with Workers(1) as workers:
        seeds = set()
        tasks = [task(seed) for seed in (1, 2, 3)]
        runs = workers.make_runs(tasks, lambda name, _: seeds.add(name), lambda: len(seeds) == 2)
        # The second run says that it has begun, is asked to stop, and is lost.
        assert [run.seed for run in runs] == [1]
    with Workers(2) as workers:
        assert list(workers.make_runs([task(1), task(2)], should_stop=lambda: True)) == []
    assert multiprocessing.active_children() == []


def test_a_run_stopped_halfway_is_none():
    asked = iter([False, False, True])
    with Workers(1) as workers:
        assert list(workers.make_runs([task(1)], should_stop=lambda: next(asked, True))) == []


def test_ctrl_c_is_heard_as_before_after_starting():
    before = signal.getsignal(signal.SIGINT)
    with sweep_workers._deaf_to_interrupts():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is before
    # Elsewhere than in the main thread signals cannot be set, and none is.
    failed = []

    def elsewhere():
        try:
            with sweep_workers._deaf_to_interrupts():
                assert signal.getsignal(signal.SIGINT) is before
        except BaseException as error:  # noqa: BLE001 - told below, in the thread of the test
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failed == []


def test_how_many():
    with pytest.raises(InputError, match="jobs is 0"):
        Workers(0)
