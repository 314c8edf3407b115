"""Files from elsewhere: the folders they are kept in, downloads, archives, bundled images."""
