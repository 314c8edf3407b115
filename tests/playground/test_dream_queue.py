"""One dream at a time, first come, first served."""

import subprocess
import sys
import threading
import time

from deepdream.playground.dream_queue import QueueSlot


class TestTurns:
    def test_first_come_first_served(self, tmp_path):
        first, second, third = (QueueSlot(tmp_path) for _ in range(3))
        assert [turn.ahead() for turn in (first, second, third)] == [0, 1, 2]
        second.close()
        assert [turn.ahead() for turn in (first, third)] == [0, 1]
        first.close()
        first.close()
        assert third.ahead() == 0
        third.close()
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]

    def test_nobody_waits_for_a_process_that_was_killed(self, tmp_path):
        code = (
            "import sys, time; from deepdream.playground.dream_queue import QueueSlot; "
            "slot = QueueSlot(sys.argv[1]); print('here', flush=True); time.sleep(60)"
        )
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout.readline() == "here\n"
            with QueueSlot(tmp_path) as turn:
                assert turn.ahead() == 1
                other.kill()
                other.wait()
                assert turn.ahead() == 0
        finally:
            other.kill()
            other.communicate()

    def test_never_two_at_once(self, tmp_path):
        inside, most, order = [], [], []

        def take(number):
            with QueueSlot(tmp_path) as turn:
                while turn.ahead():
                    time.sleep(0.001)
                inside.append(number)
                most.append(len(inside))
                order.append(turn._number)
                time.sleep(0.005)
                inside.remove(number)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) == 1
        assert len(order) == 12
