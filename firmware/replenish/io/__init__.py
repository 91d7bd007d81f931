"""The only modules that touch the machine, the network and the interpreter's input and output."""
