"""Pure decisions and the types they speak. Nothing here does I/O, reads a clock or draws randomness."""
