"""The widget."""

import os
import signal

import pytest

from deepdream.playground.uploads import Limits


def test_the_widget_passes_messages_on(own_cache):
    pytest.importorskip("anywidget")
    from deepdream.playground import Playground

    widget = Playground(Limits(side=640))
    assert "render" in widget._esm and ".deepdream" in widget._css
    widget._handle_custom_msg({"do": "nothing"}, [])
    widget.close()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no such signal on this system")
def test_the_signal_of_the_server_stops_the_dream(own_cache):
    pytest.importorskip("anywidget")
    from deepdream.playground import Playground

    before = signal.getsignal(signal.SIGUSR1)
    widget = Playground()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert widget.session._stopped.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
        widget.close()
