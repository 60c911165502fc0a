"""Which commits changed what, and what files were then: asked of Git, read from how it stores trees, remembered."""
