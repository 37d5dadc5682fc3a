//! Small worlds, in which every schedule is run.
