"""One driver per file, one interface (see `file.py`)."""
