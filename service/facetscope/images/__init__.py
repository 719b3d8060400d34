"""Image sets in, pictures out: archives to pixels, pixels to networks, pixels to files."""
