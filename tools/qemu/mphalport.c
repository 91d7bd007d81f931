// The port wants a file of this name; what it would hold is in board.c.
