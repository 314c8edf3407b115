"""deepdream against the 2015 algorithm on stock Caffe, PyTorch, and the speed of the machine's multiplications.

`make bench` runs them.
"""
