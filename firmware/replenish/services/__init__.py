"""What is on the wire, without I/O: a call in, a request out; an answer in, an outcome out."""
