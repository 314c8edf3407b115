"""Threads, forked and fresh processes, Dask workers: every dream is the one that a single thread makes, bit for bit."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import TINY, command_environment

import deepdream as dd
from deepdream import optical_flow
from deepdream.io.arrays import to_uint8
from deepdream.network import activations, forking

SEEDS = range(4)
DREAM = {"iter_n": 4, "octave_n": 2, "jitter": 9}


def at_once(*functions):
    """What each of these returns when all run at once, each in a thread of its own."""
    results, ready = [None] * len(functions), threading.Barrier(len(functions))

    def run(number, function):
        ready.wait()
        try:
            results[number] = function()
        except Exception as error:
            results[number] = error

    # Threads take turns so often that one that is not protected is interrupted between any two lines.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(functions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread waits for ever"
    finally:
        sys.setswitchinterval(interval)
    return results


def assert_the_same_at_once(*functions):
    expected = [function() for function in functions]
    for got, alone in zip(at_once(*functions), expected):
        if isinstance(got, Exception):
            raise got
        np.testing.assert_array_equal(got, alone)


@pytest.fixture
def another(tiny_prototxt, tiny, tmp_path):
    """A function that gives a further network with the weights of `tiny`."""
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    return lambda: dd.Net(tiny_prototxt, tmp_path / "tiny.caffemodel", (104, 117, 123), "both")


# Threads


def test_a_network_for_each_thread(another, sky):
    nets = [another() for _ in SEEDS]
    assert_the_same_at_once(
        *(lambda net=net, seed=seed: dd.deepdream(net, sky, seed=seed, **DREAM) for net, seed in zip(nets, SEEDS))
    )


def test_networks_made_in_threads(another, sky):
    assert_the_same_at_once(*(lambda seed=seed: dd.deepdream(another(), sky, seed=seed, **DREAM) for seed in SEEDS))


def test_one_network_in_many_threads(tiny, sky):
    """Dreams of several sizes, in tiles, at several layers, of a label, guided; looks and labels: all at once."""
    small = sky[:48, :64]
    guided = dd.guided(tiny, small, "left")
    assert_the_same_at_once(
        lambda: dd.deepdream(tiny, sky, seed=1, **DREAM),
        lambda: dd.deepdream(tiny, small, seed=2, **DREAM),
        lambda: dd.deepdream(tiny, sky, seed=3, tile=64, **DREAM),
        lambda: dd.deepdream(tiny, small, end={"left": 1, "both": 2}, seed=4, **DREAM),
        lambda: dd.deepdream(tiny, sky, objective=guided, seed=5, **DREAM),
        lambda: dd.label_picture(tiny, "c", 40, seed=6, iter_n=4, octave_n=2),
        lambda: [probability for _ in range(9) for _, probability in dd.classify(tiny, sky)],
        lambda: [activations.layer_activations(tiny, sky[:, 9 * i :], "right").sum() for i in range(9)],
    )


def test_memory_that_is_given_back_meanwhile(tiny, sky):
    """Features in pieces give the network's memory back after each picture."""
    budget = 300_000
    assert_the_same_at_once(
        lambda: dd.deepdream(tiny, sky, seed=1, **DREAM),
        lambda: dd.deepdream(tiny, sky[:40], seed=2, **DREAM),
        lambda: [activations.layer_activations(tiny, sky, "right", budget).sum() for _ in range(5)],
    )


def test_memory_is_not_given_back_within_a_step(tiny, sky):
    began = threading.Event()

    def slow(dst):
        began.set()
        time.sleep(0.1)
        return dd.objective_L2(dst)

    def release():
        began.wait()
        tiny.release()

    expected = dd.deepdream(tiny, sky, seed=1, **DREAM)
    got, _ = at_once(lambda: dd.deepdream(tiny, sky, seed=1, objective=slow, **DREAM), release)
    np.testing.assert_array_equal(got, expected)


def test_two_steps_at_once_are_two_steps(tiny, sky):
    def slow(dst):
        time.sleep(0.1)
        return dd.objective_L2(dst)

    def after(run):
        tiny.input.reshape(1, 3, *sky.shape[:2])
        tiny.input.data[0] = dd.preprocess(tiny, sky)
        run(lambda: dd.make_step(tiny, jitter=0, objective=slow))
        return tiny.input.data[0].copy()

    np.testing.assert_array_equal(after(lambda step: at_once(step, step)), after(lambda step: (step(), step())))


def test_single_steps_of_two_threads(tiny, sky):
    def step(seed):
        """As a reader of the 2015 notebook would: the picture into the blob, a step, the picture out of it."""

        def run():
            pictures, rng = [], np.random.RandomState(seed)
            for size in (40, 64, 50):
                with tiny.lock:
                    tiny.input.reshape(1, 3, size, size)
                    tiny.input.data[0] = dd.preprocess(tiny, sky[:size, :size])
                    dd.make_step(tiny, rng=rng)
                    pictures.append(tiny.input.data[0].copy().ravel())
            return np.concatenate(pictures)

        return run

    assert_the_same_at_once(step(1), step(2), step(3))


def test_another_thread_gets_the_network_after_an_error(tiny, sky):
    def fails(dst):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dd.deepdream(tiny, sky, objective=fails, **DREAM)
    assert at_once(lambda: dd.deepdream(tiny, sky, seed=1, **DREAM).shape) == [sky.shape]


def test_videos_in_threads(sky):
    cv2 = pytest.importorskip("cv2")
    frames = [np.roll(np.kron(sky, np.ones((3, 3, 1), np.float32)), shift, 1) for shift in (0, 3, 9)]
    threads = cv2.getNumThreads()
    assert_the_same_at_once(
        *(
            lambda pair=pair: [optical_flow.motion(*pair)[0] for _ in range(4)]
            for pair in ((frames[0], frames[1]), (frames[1], frames[2]), (frames[2], frames[0]))
        )
    )
    assert cv2.getNumThreads() == threads


# Processes. They are started by a script of their own: a test that forks pytest would hang it with itself.

BEGINNING = f"""
import concurrent.futures, hashlib, multiprocessing, os, sys, threading
import caffe, numpy as np, deepdream as dd
from deepdream.data.clouds import clouds

TINY = {TINY!r}

def network():
    with open("tiny.prototxt", "w" if not os.path.exists("tiny.prototxt") else "r") as file:
        file.writable() and file.write(TINY)
    net = dd.Net("tiny.prototxt", "tiny.caffemodel" if os.path.exists("tiny.caffemodel") else None, (104, 117, 123),
                 "both")
    return net

def dream(net, seed):
    img = clouds(150, 200)
    return hashlib.sha256(dd.deepdream(net, img, seed=seed, iter_n=3, octave_n=2).tobytes()).hexdigest()

def loaded(seed):
    return dream(network(), seed)

def child(function):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, function().encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text
"""


def run_script(tmp_path, tiny, code, *arguments):
    """Run Python code behind BEGINNING, and fail if it takes longer than it may: then something waits for ever."""
    tiny.save(str(tmp_path / "tiny.caffemodel"))
    (tmp_path / "script.py").write_text(BEGINNING + code, encoding="utf-8")
    process = subprocess.Popen(
        # Python 3.12 and later warn of what is tried here.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "script.py", *arguments],
        cwd=tmp_path,
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False)
        pytest.fail(f"it waits for ever: {process.communicate()}")
    assert process.returncode == 0, err
    assert err == ""
    return out


POOLS = """
if __name__ == "__main__":
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of every fork beside threads
    expected = [loaded(seed) for seed in range(4)]
    context = multiprocessing.get_context(sys.argv[1])
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        got = pool.map(loaded, range(4))
        here = [loaded(seed) for seed in range(4)]
        assert list(got) == here == expected
    assert [loaded(seed) for seed in range(4)] == expected
"""


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_processes_of_every_kind_while_the_parent_dreams(tmp_path, tiny, method):
    run_script(tmp_path, tiny, POOLS, method)


def test_a_fork_after_the_import(tmp_path, tiny):
    run_script(tmp_path, tiny, "first = child(lambda: loaded(1))\nassert first == loaded(1)\n")


def test_a_fork_after_a_dream_with_the_same_network(tmp_path, tiny):
    """OpenMP's threads are not in the child: unless they were ended before, it waits for them for ever."""
    run_script(
        tmp_path,
        tiny,
        """
net = network()
expected = dream(net, 1)
assert child(lambda: dream(net, 1)) == expected
assert child(lambda: child(lambda: dream(net, 1))) == expected
assert dream(net, 1) == expected
""",
    )


def test_a_fork_beside_and_from_a_thread_that_dreams(tmp_path, tiny):
    """The child has only the thread that forked, and the network is not taken by one that is gone."""
    run_script(
        tmp_path,
        tiny,
        """
import itertools, time
net, got, over = network(), [], threading.Event()
expected = dream(net, 1)

def dreams():
    while not over.is_set():
        dream(net, 2)

beside = threading.Thread(target=dreams)
beside.start()
for _ in range(3):
    time.sleep(0.01)
    with_it = child(lambda: dream(net, 1))
    assert with_it == expected
held, go = threading.Event(), threading.Event()

def holds():
    with net.lock:
        held.set()
        go.wait()

holder = threading.Thread(target=holds)
holder.start()
held.wait()
assert child(lambda: dream(net, 1)) == expected
go.set()
holder.join()
from_it = threading.Thread(target=lambda: got.append((dream(net, 1), child(lambda: dream(net, 1)))))
from_it.start()
from_it.join()
over.set()
beside.join()
assert got == [(expected, expected)]

def forks(dst):
    assert child(lambda: dream(net, 1)) == expected
    return dd.objective_L2(dst)

dd.deepdream(net, clouds(150, 200), objective=forks, iter_n=1, octave_n=1)
assert dream(net, 1) == expected
""",
    )


def test_videos_on_both_sides_of_a_fork(tmp_path, tiny):
    pytest.importorskip("cv2")
    run_script(
        tmp_path,
        tiny,
        """
from deepdream import optical_flow
frames = [np.roll(clouds(300, 400), shift, 1) for shift in (0, 5)]
def moved():
    found, trust = optical_flow.motion(*frames)
    warped = optical_flow.warp(frames[0], found, True)
    return hashlib.sha256(found.tobytes() + trust.tobytes() + warped.tobytes()).hexdigest()
expected = moved()
assert child(moved) == expected == moved()
""",
    )


def test_the_way_out_of_the_hang_is_there():
    """Where Caffe computes with OpenMP, its function that ends the threads is found."""
    import caffe

    ours = subprocess.run(["ldd", caffe._caffe.__file__], capture_output=True, text=True, check=True).stdout
    assert bool(forking._pause) == ("libgomp" in ours)


# Dask


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_threads_in_each_worker_and_dreams_outside(tmp_path, tiny_model):
    distributed = pytest.importorskip("distributed")
    from deepdream.recipes import gallery, gallery_file

    recipes = [
        dd.Recipe(input="noise:64x48", model=str(tiny_model), seed=seed, iter_n=3, octave_n=1) for seed in range(6)
    ]
    net = dd.load(tiny_model)
    expected = [recipe.render(net=net) for recipe in recipes]
    entries = tuple(gallery_file.Entry(f"n{seed}", recipe) for seed, recipe in enumerate(recipes))

    def by_hand(recipe):
        """What a user may write: a network that the worker's threads share, without a word about it."""
        from deepdream.recipes.render import make_with_cached_net

        return make_with_cached_net(recipe)[0]

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        futures = client.map(by_hand, recipes * 2, pure=False)
        outcomes, outside = at_once(
            lambda: list(
                gallery.make_gallery(gallery_file.Gallery("", "", entries), tmp_path, cluster.scheduler_address)
            ),
            lambda: [recipe.render(net=net) for recipe in recipes],
        )
        assert [outcome.error for outcome in outcomes] == [None] * 6
        for got, wanted in zip(client.gather(futures), expected * 2):
            np.testing.assert_array_equal(got, wanted)
    for number, wanted in enumerate(expected):
        np.testing.assert_array_equal(outside[number], wanted)
        np.testing.assert_array_equal(dd.read_image(tmp_path / f"n{number}.png"), to_uint8(wanted))
