"""Files, parameters and moments that nobody would choose: what `make fuzz` runs, and a part of it for `make test`."""
