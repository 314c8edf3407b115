"""The seeds of a run's frames."""

from deepdream.seeds import frame_seed


def test_every_frame_has_shifts_of_its_own():
    seeds = [frame_seed(5, index) for index in range(1000)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert frame_seed(5, 1) == 3796490668  # frozen: a run of today can be continued in ten years
