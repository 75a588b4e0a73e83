"""SYS: speed, stalls, memory and the machine."""
