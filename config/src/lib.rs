//! Turns the text of a configuration file into checked settings, or into every fault in it.
