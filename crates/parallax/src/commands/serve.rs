//! `parallax serve`: run a node until it is told to stop.
