"""Following what moves: optical flow against motion that is known."""

import cv2
import numpy as np
from helpers import view

import deepdream as dd
from deepdream.optical_flow import motion, warp


def test_flow_of_a_known_motion(scene):
    (before, _, _), (now, truth, seen) = (view(scene, index, 96, 144) for index in (3, 4))
    flow, trust = motion(before, now)
    assert flow.shape == (96, 144, 2)
    assert np.abs(flow - truth)[seen].mean() < 0.25  # pixels
    assert trust.min() >= 0
    assert trust.max() <= 1
    assert trust[seen].mean() > 0.85
    assert trust[~seen].mean() < 0.5  # came into view
    assert np.abs(warp(before, flow) - now)[seen].mean() < np.abs(before - now)[seen].mean() / 3


def test_nothing_is_trusted_over_a_cut(scene):
    now = view(scene, 4)[0]
    _, trust = motion(dd.resize(dd.picture("coffee"), *now.shape[:2]), now)
    assert trust.mean() < 0.2


def test_flow_does_not_depend_on_the_number_of_threads(scene):
    before, now = (dd.resize(view(scene, index)[0], 480, 640) for index in (3, 4))
    threads = cv2.getNumThreads()
    try:
        flows = []
        for number in (1, 4):
            cv2.setNumThreads(number)
            flows.append(motion(before, now))
            assert cv2.getNumThreads() == number
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(flows[0][0], flows[1][0])
    np.testing.assert_array_equal(flows[0][1], flows[1][1])
