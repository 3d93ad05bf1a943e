//! Train, evaluate, label and share small GMNM networks.
