"""Data files: their folders, downloads, archives, bundled images."""
