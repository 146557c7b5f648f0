//! Parallax against programs that nobody here wrote: see `README.md`. Everything is in `tests/`.
