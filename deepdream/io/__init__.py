"""Files <-> arrays: images, videos, and the text inside image files."""
