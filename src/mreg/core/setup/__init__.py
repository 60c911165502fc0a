"""Where mreg comes from in CI, and the workflows of a host."""
