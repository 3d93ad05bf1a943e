//! The networks of the GMNM paper (arXiv 2510.06660) and the baselines they are held against.
