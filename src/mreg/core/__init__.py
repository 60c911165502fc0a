"""What a registry is and what may happen to it: pure, without files, Git, clocks or the network."""
