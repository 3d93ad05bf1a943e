//! Pretrained model directories as bytes inside the binary, with the SHA-256 of every file.
