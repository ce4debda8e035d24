//! Prints figures and what they are compared with; see `make bench`.

fn main() {}
