"""The widget."""

import pytest

from deepdream.playground.uploads import Limits


def test_the_widget_passes_messages_on(own_cache):
    pytest.importorskip("anywidget")
    from deepdream.playground import Playground

    widget = Playground(Limits(side=640))
    assert "render" in widget._esm and ".deepdream" in widget._css
    widget._handle_custom_msg({"do": "nothing"}, [])
    widget.close()
