"""Whether a transition, a difference or a whole history keeps to the rules."""
