"""What the classifier says of an image."""

import pytest

import deepdream as dd


def test_classify_knows_a_cat(squeezenet, googlenet):
    for net in (squeezenet, googlenet):
        answers = dd.classify(net, dd.picture("cat"))
        assert len(answers) == 5
        assert "cat" in answers[0][0]
        assert sum(probability for label, probability in answers if "cat" in label) > 0.5
        assert [p for _, p in answers] == sorted((p for _, p in answers), reverse=True)


def test_classify_needs_labels(tiny, sky):
    assert len(dd.classify(tiny, sky, top=2)) == 2
    tiny.labels = []
    with pytest.raises(dd.ModelError, match="5 outputs and 0 labels"):
        dd.classify(tiny, sky)
